"""POST /api/v1/runs: what a request means, and which agent it goes to."""

import os
from dataclasses import replace

import msgspec
import pytest

from runwell.dialects.praisonai.dialect import build_praisonai
from runwell.dialects.praisonai.words import kept_of
from runwell.domain.agent import ModelAgent
from runwell.domain.errors import QueueFull
from runwell.domain.json_gate import decode
from runwell.domain.run import Run
from runwell.engine.models import Models
from tests.support.asgi import Answer, AsgiClient
from tests.support.house import House

JSON = {"content-type": "application/json"}
YAML = """
topic: {topic}
roles:
  the researcher:
    role: Researcher
    backstory: You know {topic}.
    goal: Find out
    llm: {model: gpt-4o}
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.chdir(root)


async def post(house: House, **body) -> Answer:
    return await house.client.post("/api/v1/runs", body, headers=JSON)


async def submitted(house: House, **body) -> Run:
    answer = await post(house, prompt="hello", **body)
    assert answer.status == 202, answer.text
    return await house.store.runs.get(answer.json["job_id"].removeprefix("run_"))


def refusal(run: Run) -> dict[str, str]:
    assert run.definition is not None
    return msgspec.json.decode(run.definition)


async def test_a_prompt_alone_goes_to_the_default_agent(house: House):
    run = await submitted(house)
    assert (run.agent, run.definition, run.timeout, run.source) == ("echo", None, 3600.0, "praisonai")
    created = (await house.store.events.read(run.id, 0, 1))[0].event
    assert decode(created.input) == "hello"


@pytest.mark.parametrize(
    ("given", "timeout", "told"),
    [(0, 3600.0, 3600), (None, 3600.0, 3600), (7, 7.0, 7), ("8", 8.0, 8), (10**12, 2_592_000.0, 2_592_000)],
)
async def test_timeouts(house: House, given, timeout, told):
    run = await submitted(house, timeout=given)
    assert (run.timeout, kept_of(run).timeout) == (timeout, told)


async def test_a_negative_timeout_fails_at_once(house: House):
    run = await submitted(house, timeout=-1, recipe_name="echo")
    assert refusal(run) == {"refused": "Job timed out after -1s", "reason": "timed_out"}


@pytest.mark.parametrize("framework", [None, "", "praisonai", " PraisonAI "])
async def test_the_framework_that_there_is(house: House, framework):
    assert (await submitted(house, framework=framework)).definition is None


@pytest.mark.parametrize("name", ["counter", "recipe:counter"])
async def test_a_recipe_is_an_agent_and_goes_before_a_file(house: House, name):
    answer = await post(house, prompt="1", recipe_name=name, agent_file="echo")
    # The agent of this test wants a number, and a prompt is text.
    assert answer.status == 422
    assert answer.json["detail"][0]["msg"].startswith("Value error, ")
    run = await submitted(house, recipe_name="echo", recipe_config={"a": 1}, config={"b": 2})
    assert (run.agent, kept_of(run).agent_id, kept_of(run).recipe) == ("echo", "recipe:echo", True)
    assert decode(run.metadata) == {"config": {"b": 2}, "recipe_config": {"a": 1}}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"framework": "crewai"}, "Framework 'crewai' is not available on this server: use 'praisonai', "
         "or leave it out"),
        ({"recipe_name": "nope"}, "Recipe 'nope' not found: this server has no agent of that name"),
        ({"agent_file": "missing.yaml"}, "[Errno 2] No such file or directory: 'missing.yaml'"),
        ({"agent_file": "."}, "[Errno 22] Not a regular file: '.'"),
        ({"agent_file": "pipe"}, "[Errno 22] Not a regular file: 'pipe'"),
        ({"agent_file": "latin.yaml"}, "agent_file 'latin.yaml' cannot be used: it is not UTF-8"),
        ({"agent_file": "secret.env"}, "agent_file 'secret.env' cannot be used: it is no mapping with "
         "`roles` or `agents`"),
        ({"agent_yaml": "roles: [}"}, "agent_yaml cannot be used: it is not valid YAML, line 1"),
        ({"agent_yaml": "topic: x"}, "agent_yaml cannot be used: it names no role: write `roles:` or "
         "`agents:` with at least one"),
    ],
)  # fmt: skip
async def test_what_nothing_can_run_is_accepted_and_fails(house: House, body, sentence):
    os.mkfifo("pipe")
    with open("latin.yaml", "wb") as file:
        file.write(b"roles: \xe4")
    with open("secret.env", "w") as file:
        file.write("PASSWORD=hunter2\n")
    run = await submitted(house, **body)
    assert refusal(run) == {"refused": sentence, "reason": "error"}


async def test_a_file_is_looked_for_before_an_agent_of_its_stem(house: House):
    run = await submitted(house, agent_file="conf/echo.yaml")
    assert (run.agent, run.definition, kept_of(run).agent_id) == ("echo", None, "yaml:echo.yaml")
    run = await submitted(house, agent_file="echo")
    assert (run.agent, kept_of(run).agent_id) == ("echo", "yaml:echo")
    with open("echo.yaml", "w") as file:
        file.write("topic: x")
    assert "names no role" in refusal(await submitted(house, agent_file="echo.yaml"))["refused"]


@pytest.mark.parametrize("file", ["../outside.yaml", "/etc/passwd", "link/../../x", "link", "loop"])
async def test_no_way_leads_out_of_the_root(house: House, tmp_path, file):
    (tmp_path / "outside.yaml").write_text(YAML)
    os.symlink(tmp_path / "outside.yaml", "link")
    os.symlink("loop", "loop")
    answer = await post(house, prompt="x", agent_file=file)
    if file == "loop":  # it is inside, and nothing can be read there
        assert answer.status in (202, 400)
        return
    detail = f"agent_file must be within PRAISONAI_JOBS_AGENT_ROOT ({os.getcwd()})"
    assert (answer.status, answer.json) == (400, {"detail": detail})


async def test_without_models_a_role_is_the_default_agent(house: House):
    run = await submitted(house, agent_yaml=YAML)
    assert (run.agent, run.definition, kept_of(run).agent_id) == ("echo", None, "yaml:the-researcher")


async def test_with_models_the_first_role_is_an_agent_of_this_run(house: House):
    models = Models({"gpt-4o": {"model": "openai:gpt-4o", "api_key_env": "MODEL_KEY"}})
    house.services = replace(house.services, core=replace(house.core, models=models))
    client = AsgiClient(build_praisonai(house.services).app)
    with open("agents.yaml", "w") as file:
        file.write(YAML)
    for body in ({"agent_yaml": YAML}, {"agent_file": "agents.yaml"}):
        answer = await client.post("/api/v1/runs", {"prompt": "hello", **body}, headers=JSON)
        run = await house.store.runs.get(answer.json["job_id"].removeprefix("run_"))
        assert run.definition is not None
        made = msgspec.json.decode(run.definition, type=ModelAgent)
        assert (run.agent, made.model, made.api_key_env) == ("the-researcher", "openai:gpt-4o", "MODEL_KEY")
        assert made.instructions == "You are Researcher.\n\nYou know hello.\n\nYour goal: Find out"
        assert made.inline


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://example.com", "Webhook URL must use http or https scheme"),
        ("http://", "Invalid Webhook URL"),
        ("http://localhost/hook", "Webhook URL cannot be a localhost address"),
        ("http://nowhere.test/hook", "Webhook URL hostname could not be resolved"),
        ("http://inner.test/hook", "Webhook URL resolves to a private or restricted network address"),
    ],
)
async def test_addresses_that_are_not_posted_to(house: House, url, sentence):
    answer = await post(house, prompt="x", webhook_url=url)
    assert answer.status == 422
    fault = answer.json["detail"][0]
    assert (fault["loc"], fault["msg"]) == (["body", "webhook_url"], f"Value error, {sentence}")
    assert (fault["input"], fault["type"], fault["ctx"]) == (url, "value_error", {"error": {}})
    assert (await house.client.get("/api/v1/runs")).json["total"] == 0


@pytest.mark.parametrize("url", ["", None])
async def test_an_empty_webhook_is_none(house: House, url):
    assert (await submitted(house, webhook_url=url)).callbacks == ()


async def test_an_agent_that_takes_no_text_refuses_the_prompt(house: House):
    answer = await post(house, prompt="no number", recipe_name="counter")
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["body", "prompt"]
    assert (await house.client.get("/api/v1/runs")).json["total"] == 0


async def test_a_full_queue_takes_nothing_but_what_it_has(house: House, monkeypatch):
    first = await submitted(house, idempotency_key="k")

    async def full(*args):
        raise QueueFull("full", "", 5.0)

    monkeypatch.setattr(type(house.core.queue), "enter", full)
    answer = await post(house, prompt="x")
    assert (answer.status, answer.json) == (503, {"detail": "Job queue is full; retry later."})
    assert answer.headers["retry-after"] == "1"
    assert (await submitted(house, idempotency_key="k")).id == first.id


async def test_an_earlier_job_that_is_deleted_meanwhile_is_made_again(house: House, monkeypatch):
    first = await submitted(house, idempotency_key="k")
    await house.succeed(await house.claim(first))
    runs = house.store.runs
    seen: list[str] = []
    get = runs.get

    async def gone_at_first(run_id, owner=None):
        if run_id == first.id and not seen:
            seen.append(run_id)
            await runs.delete(first.id, "local")
        return await get(run_id, owner)

    monkeypatch.setattr(runs, "get", gone_at_first)
    answer = await post(house, prompt="another", idempotency_key="k")
    assert answer.status == 202
    assert "idempotency-mismatch" not in answer.headers
    assert seen
    assert answer.json["job_id"] != f"run_{first.id}"


async def test_long_keys_and_long_sessions_are_as_good_as_short_ones(house: House):
    key, session = "k" * 5_000, "s" * 5_000
    first = await submitted(house, idempotency_key=key, session_id=session)
    assert (await submitted(house, idempotency_key=key, session_id=session)).id == first.id
    assert (await submitted(house, idempotency_key=key + "2", session_id=session + "2")).id != first.id
    assert (await house.client.get(f"/api/v1/runs?session_id={session}")).json["total"] == 1
    shown = (await house.client.get(f"/api/v1/runs/run_{first.id}")).json
    assert shown["session_id"] == session


@pytest.mark.parametrize("field", ["prompt", "session_id", "idempotency_key", "recipe_name"])
async def test_text_that_cannot_be_stored(house: House, field):
    answer = await post(house, **{"prompt": "x", field: "a\x00b"})
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["body", field]


async def test_a_number_that_is_none_is_told_of(house: House):
    answer = await house.client.request("POST", "/api/v1/runs", headers=JSON, body=b'{"prompt":NaN}')
    assert answer.status == 422
    assert answer.json["detail"][0]["type"] == "string_type"


async def test_the_address_is_the_one_that_was_asked(house: House):
    client = house.client.with_headers(content_type="application/json", host="localhost:9")
    answer = await client.post("/praisonai/api/v1/runs", {"prompt": "x"})
    assert answer.json["poll_url"] == f"http://localhost:9/praisonai/api/v1/runs/{answer.json['job_id']}"
    assert answer.headers["location"] == answer.json["poll_url"]

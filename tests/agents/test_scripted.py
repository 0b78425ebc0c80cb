"""The scripted model over real HTTP: what it streams, how it fails, when it notices a disconnect."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from runwell.agents.scripted import ScriptedModel, Stats


def body(prompt: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": prompt}], **more}


def ask(model: ScriptedModel, prompt: str, **more: Any) -> httpx.Response:
    return httpx.post(f"{model.base_url}/chat/completions", json=body(prompt, **more), timeout=10)


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def streamed(model: ScriptedModel, prompt: str, **more: Any) -> list[dict[str, Any]]:
    return chunks(ask(model, prompt, stream=True, stream_options={"include_usage": True}, **more))


def text_of(parts: list[dict[str, Any]]) -> str:
    return "".join(part["choices"][0]["delta"].get("content", "") for part in parts if part["choices"])


def test_what_is_scripted_is_said_whole_or_streamed(model):
    script = "Please [[say: Hello, world.]] ignored [[words: 3]] and [[say:  Bye.]]"
    whole = ask(model, script).json()
    parts = streamed(model, script)
    message = whole["choices"][0]["message"]
    assert message["content"] == text_of(parts)
    assert message["content"].startswith("Hello, world. ")
    assert message["content"].endswith(". Bye.")
    assert len(message["content"].split()) == 6
    assert parts[0]["choices"][0]["delta"] == {"role": "assistant", "content": "Hello, "}
    assert parts[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"] == "stop"
    assert parts[-1]["usage"] == whole["usage"]
    assert whole["usage"]["completion_tokens"] == 6
    assert {part["id"] for part in parts} == {whole["id"]}


def test_answers_are_the_same_for_the_same_seed_prompt_and_turn(model):
    with ScriptedModel() as same, ScriptedModel(seed=7) as other:
        said = [ask(m, "Tell me").content for m in (model, model, same, other)]
    assert said[0] == said[1] == said[2] != said[3]
    assert ask(model, "Tell me", seed=7).json()["choices"] == json.loads(said[3])["choices"]
    assert json.loads(said[0])["choices"][0]["message"]["content"].startswith("You said: Tell me ")


def test_usage_is_only_streamed_when_asked_for(model):
    assert all("usage" not in part for part in chunks(ask(model, "[[say: a]]", stream=True)))


def test_usage_so_far_is_in_every_chunk_when_asked_for(model):
    script = '[[reason: hm]] [[say: a b]] [[tool: f {"x": 1}]]'
    options = {"include_usage": True, "continuous_usage_stats": True}
    used = [part["usage"] for part in chunks(ask(model, script, stream=True, stream_options=options))]
    assert [each["completion_tokens"] for each in used[:3]] == [1, 2, 3]
    assert {each["completion_tokens_details"]["reasoning_tokens"] for each in used} == {1}
    assert used[-1] == used[-2] == ask(model, script).json()["usage"]
    assert used[-1]["completion_tokens"] == 3 + 1 + 2


def test_reasoning_and_cached_words_are_counted(model):
    history = [{"role": "system", "content": "a b c"}, {"role": "user", "content": [{"text": "d e"}]}]
    prompt = {"role": "user", "content": "[[reason: so it is]] [[say: yes it is]]"}
    whole = ask(model, "", messages=[*history, prompt]).json()
    assert whole["choices"][0]["message"]["reasoning_content"] == "so it is"
    assert whole["usage"]["prompt_tokens_details"] == {"cached_tokens": 5}
    assert whole["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}
    assert whole["usage"]["completion_tokens"] == 6
    assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + 6


def test_text_is_cut_at_max_tokens(model):
    choice = ask(model, "[[words: 50]]", max_tokens=3).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"].split()) == 3


def test_tools_are_called_and_the_script_goes_on_behind_them(model):
    script = '[[say: Looking.]] [[tool: find {"q": [["x]]"]]}]] [[tool: now]] [[say: Found.]]'
    parts = streamed(model, script)
    deltas = [p["choices"][0]["delta"] for p in parts if p["choices"]]
    pieces = [call for delta in deltas for call in delta.get("tool_calls", [])]
    arguments = ["".join(p["function"]["arguments"] for p in pieces if p["index"] == i) for i in (0, 1)]
    assert arguments == ['{"q": [["x]]"]]}', "{}"]
    assert sum(1 for p in pieces if p["index"] == 0) > 2
    assert parts[-2]["choices"][0]["finish_reason"] == "tool_calls"

    first = ask(model, script).json()["choices"][0]["message"]
    assert [call["function"]["name"] for call in first["tool_calls"]] == ["find", "now"]
    assert len({call["id"] for call in first["tool_calls"]}) == 2
    results = [{"role": "tool", "tool_call_id": c["id"], "content": "42"} for c in first["tool_calls"]]
    messages = [*body(script)["messages"], first, *results]
    second = ask(model, "", messages=messages).json()["choices"][0]["message"]
    assert second == {"role": "assistant", "content": "Found."}


def test_without_a_script_behind_the_tools_their_results_are_named(model):
    script = "[[tool: now]]"
    first = ask(model, script).json()["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "noon"}
    messages = [*body(script)["messages"], first, result]
    last = ask(model, "", messages=messages).json()["choices"][0]
    assert last["message"]["content"] == "The tools returned: noon."


def test_a_scripted_status_comes_before_anything_is_said(model):
    for stream in (False, True):
        refused = ask(model, "[[error: 429]] [[say: never]]", stream=stream)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "status_429"


def test_an_error_may_come_a_number_of_times(model):
    codes = [ask(model, "[[error: 503 times=2]] [[say: ok]]").status_code for _ in range(4)]
    assert codes == [503, 503, 200, 200]


def test_an_error_in_mid_stream_is_an_event(model):
    response = ask(model, "[[words: 9]] [[error: 500 after=2]]", stream=True)
    events = [json.loads(e.removeprefix("data: ")) for e in response.text.split("\n\n") if e]
    assert response.status_code == 200
    assert len(events) == 3
    assert events[-1]["error"]["code"] == "status_500"
    assert ask(model, "[[words: 9]] [[error: 500 after=2]]").status_code == 500


@pytest.mark.parametrize("stream", [True, False])
def test_a_drop_closes_the_connection_in_the_middle(model, stream):
    with pytest.raises(httpx.RemoteProtocolError):
        ask(model, "[[words: 9]] [[drop after=2]]", stream=stream)
    assert model.wait_for(lambda stats: stats.open == 0).errors == 1


@pytest.mark.parametrize(
    ("prompt", "said"), [("[[hang]]", 0), ("[[words: 9]] [[hang after=3]]", 3), ("[[words: 2]] [[hang]]", 2)]
)
async def test_a_hang_ends_when_the_client_goes_and_is_noticed_at_once(model, prompt, said):
    async with httpx.AsyncClient(timeout=10) as client:
        url = f"{model.base_url}/chat/completions"

        async def read() -> None:
            async with client.stream("POST", url, json=body(prompt, stream=True)) as response:
                async for line in response.aiter_lines():
                    if line:
                        lines.append(line)
                        enough.set()

        lines: list[str] = []
        enough = asyncio.Event()
        task = asyncio.create_task(read())
        await model.until(lambda stats: stats.open == 1)
        while len(lines) < said:
            enough.clear()
            await enough.wait()
        assert model.stats.disconnects == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stats = await model.until(lambda stats: stats.disconnects == 1 and stats.open == 0)
        assert stats == Stats(requests=1, disconnects=1)
        assert len(lines) == said


async def test_a_client_that_stops_reading_a_paced_stream_is_noticed(model):
    url = f"{model.base_url}/chat/completions"
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("POST", url, json=body("[[pace: 1000/s]] [[words: 100000]]", stream=True)) as response,
    ):
        assert await anext(response.aiter_lines())
    assert (await model.until(lambda stats: stats.disconnects == 1)).open == 0


def test_a_pace_is_kept(model):
    took = ask(model, "[[pace: 100/s]] [[words: 20]]", stream=True).elapsed.total_seconds()
    assert 0.19 < took < 5


@pytest.mark.parametrize(
    "prompt",
    [
        "[[words: many]]", "[[words: -1]]", "[[words: 9999999]]", "[[pace: 0/s]]", "[[pace: nan]]",
        "[[tool: ]]", "[[tool: f {]]", '[[tool: f {"a":1} x]]', "[[error: 200]]", "[[error]]",
        "[[hang for=ever]]",
        "[[hang times=2]]", "[[say: endless",
    ],
)  # fmt: skip
def test_a_directive_without_sense_is_answered_with_the_reason(model, prompt):
    refused = ask(model, prompt)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith("[[")


def test_other_brackets_are_text(model):
    assert (
        ask(model, "[[wiki link]] [[").json()["choices"][0]["message"]["content"].startswith("You said: [[")
    )


def test_models_stats_and_requests_are_shown(model):
    ask(model, "hi")
    root = model.base_url.removesuffix("/v1")
    assert httpx.get(f"{model.base_url}/models").json()["data"][0]["id"] == "scripted"
    assert httpx.get(f"{root}/stats").json() == {"requests": 1, "disconnects": 0, "open": 0, "errors": 0}
    assert httpx.get(f"{root}/nothing").status_code == 404
    assert httpx.post(f"{model.base_url}/chat/completions", content=b"{").status_code == 400
    assert model.requests[0]["messages"][0]["content"] == "hi"


def test_stopping_ends_what_hangs(model):
    url = f"{model.base_url}/chat/completions"
    script = body("[[say: a]] [[hang]]", stream=True)
    with httpx.Client(timeout=10) as client, client.stream("POST", url, json=script) as response:
        lines = response.iter_lines()
        assert next(lines)
        model.stop()
        with pytest.raises(httpx.HTTPError):
            list(lines)


def test_it_runs_as_a_process_and_says_where():
    command = [sys.executable, "-m", "runwell.agents.scripted", "--seed", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        answer = httpx.post(f"{base_url}/chat/completions", json=body("[[say: hi]]"), timeout=10)
        process.terminate()
    assert answer.json()["choices"][0]["message"]["content"] == "hi"

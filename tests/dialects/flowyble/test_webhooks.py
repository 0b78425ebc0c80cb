"""F7: addresses that start runs."""

import hashlib
import hmac
import logging
from typing import Any

import pytest

from runwell.domain.errors import StoreUnavailable
from runwell.domain.ids import parse_id, spell_uuid
from runwell.domain.json_gate import decode
from runwell.domain.principal import Scope
from runwell.domain.run import Run
from tests.dialects.flowyble.agents import ECHO, SEARCH
from tests.dialects.flowyble.test_runs import check_refused
from tests.support.asgi import Answer
from tests.support.house import House

SECRET = "s3cret"


async def a_trigger(house: House, agent: str = "echo", **fields: Any) -> dict[str, Any]:
    made = await house.client.post("/triggers", {"agent": agent, **fields})
    assert made.status == 201, made.text
    trigger: dict[str, Any] = made.json
    return trigger


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"x-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


async def input_of(house: House, run: Run) -> Any:
    (created,) = await house.store.events.read(run.id, 0, 1)
    return decode(created.event.input)


async def fired(house: House, answer: Answer) -> Run:
    assert answer.status == 200, answer.text
    assert list(answer.json) == ["success", "runId", "type"]
    assert answer.json["success"] is True
    assert answer.json["runId"] == spell_uuid(parse_id(answer.json["runId"]))
    return await house.store.runs.get(parse_id(answer.json["runId"]))


@pytest.mark.parametrize("mount", ["", "/flowyble"])
async def test_a_post_starts_a_run_of_the_owners(house: House, mount):
    trigger = await a_trigger(house)
    answer = await house.client.post(mount + trigger["path"], {"issue": 7})
    run = await fired(house, answer)
    assert answer.json["type"] == "agent"
    assert (run.owner, run.agent, run.source) == ("local", "echo", "webhook")
    assert decode(run.metadata) == {"trigger": parse_id(trigger["id"])}
    # An agent that takes a prompt gets whatever came as text.
    assert await input_of(house, run) == '{"issue":7}'
    shown = (await house.client.get(f"/v1/agents/run/{answer.json['runId']}/status")).json
    assert (shown["agentId"], shown["userMessage"]) == (ECHO, '{"issue":7}')


@pytest.mark.parametrize(
    ("agent", "body", "input"),
    [
        ("echo", b'"plain"', "plain"), ("echo", b"[1, 2]", "[1,2]"), ("echo", b"", "{}"),
        ("counter", b"3", 3), ("search", b'{"query": "x"}', {"query": "x"}),
    ],
)  # fmt: skip
async def test_the_body_is_the_input(house: House, agent, body, input):
    trigger = await a_trigger(house, agent)
    run = await fired(house, await house.client.post(trigger["path"], body=body))
    assert await input_of(house, run) == input


async def test_a_tools_run_is_a_tool_run(house: House):
    trigger = await a_trigger(house, "search")
    answer = await house.client.post(trigger["path"], {"query": "x"})
    await fired(house, answer)
    assert answer.json["type"] == "tool"
    shown = await house.client.get(f"/v1/tools/run/{answer.json['runId']}/status")
    assert shown.json["toolId"] == SEARCH


@pytest.mark.parametrize(
    ("agent", "body", "word"),
    [
        ("echo", b"{", "not JSON"), ("echo", b"\xff", "not JSON"), ("echo", b"[" * 5000, "not JSON"),
        ("counter", b'"three"', "integer"), ("search", b"{}", "query"), ("echo", b'"\\u0000"', "NUL"),
    ],
)  # fmt: skip
async def test_a_body_that_cannot_be_the_input_is_400(house: House, agent, body, word):
    trigger = await a_trigger(house, agent)
    check_refused(await house.client.post(trigger["path"], body=body), 400, word)


async def test_with_a_secret_the_body_must_be_signed(house: House):
    trigger = await a_trigger(house, secret=SECRET)
    assert (trigger["signed"], SECRET in str(trigger)) == (True, False)
    body = b'{"a":  1}'
    good = signed(body)["x-signature"]
    await fired(house, await house.client.post(trigger["path"], body=body, headers=signed(body)))
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"x-signature": ""},
        signed(body, "another"),
        signed(b'{"a": 1}'),
        {"x-signature": f"sha256={good}"},
        {"x-signature": good.upper()},
        {"x-signature": "\xff" * 64},
    )
    for headers in wrong:
        answer = await house.client.post(trigger["path"], body=body, headers=headers)
        check_refused(answer, 401, "signature", "X-Signature")


async def test_openssls_signature_is_the_one(house: House):
    """`printf '{"ref":"main"}' | openssl dgst -sha256 -hmac s3cret`."""
    trigger = await a_trigger(house, secret=SECRET)
    headers = {"x-signature": "22707867160f8bbefc2d13c33988c27054550701eedfeb41903e23704bd9f679"}
    body = b'{"ref":"main"}'
    assert (await house.client.post(trigger["path"], body=body, headers=headers)).status == 200


async def test_an_unknown_token_is_404_whatever_is_sent(house: House):
    trigger = await a_trigger(house)
    for token in ("x", trigger["token"][:-1], trigger["id"], trigger["prefix"], "a" * 5000, "%ff"):
        check_refused(await house.client.post(f"/webhooks/{token}", {}), 404, "no trigger at this address")


async def test_a_paused_trigger_starts_nothing_until_resumed(house: House):
    trigger = await a_trigger(house)
    where = f"/triggers/{trigger['id']}"
    assert (await house.client.patch(where, {"paused": True})).json["paused"] is True
    check_refused(await house.client.post(trigger["path"], {}), 400, "paused")
    await house.client.patch(where, {"paused": False})
    await fired(house, await house.client.post(trigger["path"], {}))
    await house.client.delete(where)
    check_refused(await house.client.post(trigger["path"], {}), 404)


async def test_an_agent_that_is_gone_is_the_webhooks_fault_and_names_no_others(house: House):
    await house.client.put("/agents/mine", {"model": "m"})
    trigger = await a_trigger(house, "mine")
    await house.client.delete("/agents/mine")
    answer = await house.client.post(trigger["path"], {})
    check_refused(answer, 400, "gone")
    assert "echo" not in answer.text


async def test_an_address_takes_thirty_posts_a_minute(house: House):
    first, second = await a_trigger(house), await a_trigger(house)
    for number in range(30):
        mount = "/flowyble" if number % 2 else ""
        assert (await house.client.post(mount + first["path"], {})).status == 200
    refused = await house.client.post(first["path"], {})
    check_refused(refused, 429, "30 requests in 60 seconds")
    assert refused.headers["retry-after"] == "2"
    assert (await house.client.post(second["path"], {})).status == 200
    house.clock.move(2)
    assert (await house.client.post(first["path"], {})).status == 200
    assert (await house.client.post(first["path"], {})).status == 429


async def test_who_cannot_sign_uses_up_nothing(house: House):
    trigger = await a_trigger(house, secret=SECRET)
    for _ in range(40):
        assert (await house.client.post(trigger["path"], {})).status == 401
    assert (await house.client.post(trigger["path"], body=b"{}", headers=signed(b"{}"))).status == 200


async def test_no_key_is_asked_for_and_none_helps(keyed: House):
    ann = await keyed.client_of("ann", [Scope.RUNS_WRITE])
    made = await ann.post("/triggers", {"agent": "echo"})
    run = await fired(keyed, await keyed.client.post(made.json["path"], {}))
    assert run.owner == "ann"
    check_refused(await ann.post("/webhooks/x", {}), 404)
    # An address gives nothing away but its own runs' ids.
    check_refused(await keyed.client.get(f"/v1/agents/run/{spell_uuid(run.id)}/status"), 401)


async def test_a_token_stands_in_no_log_and_no_metric(house: House, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    trigger = await a_trigger(house)
    await fired(house, await house.client.post(trigger["path"], {}))
    await house.client.post(trigger["path"], body=b"{")
    await house.client.get(trigger["path"])
    await house.client.post(trigger["path"] + "/", {})

    async def gone(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("disk full")

    async def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(house.store.runs, "add", gone)
    assert (await house.client.post(trigger["path"], {})).status == 503
    monkeypatch.setattr(house.store.runs, "add", broken)
    with pytest.raises(ZeroDivisionError):  # on its way to the server's log, after the answer
        await house.client.post(trigger["path"], {})
    metrics = (await house.client.get("/metrics")).text
    assert "/webhooks/{token}" in metrics
    assert trigger["token"] not in metrics
    assert trigger["token"] not in caplog.text
    assert trigger["token"] not in (await house.client.get("/triggers")).text

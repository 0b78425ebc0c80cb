"""Runs of this dialect in a server without a worker."""

from typing import Any

from runwell.domain.ids import parse_id
from runwell.domain.run import Run
from tests.support.asgi import AsgiClient
from tests.support.house import House


def said(text: str = "hello", **fields: Any) -> dict[str, Any]:
    """A request's body."""
    return {"messages": [{"role": "user", "content": text}], **fields}


async def an_agent(client: AsgiClient, **fields: Any) -> str:
    answer = await client.post("/v1/agents/", {"name": "probe", **fields})
    assert answer.status == 200, answer.text
    return answer.json["id"]


async def a_conversation(client: AsgiClient, agent: str, **fields: Any) -> str:
    answer = await client.post(f"/v1/conversations/?agent_id={agent}", fields)
    assert answer.status == 200, answer.text
    return answer.json["id"]


async def a_sent_run(house: House, agent: str, text: str = "hello", **fields: Any) -> Run:
    house.clock.move(1)
    answer = await house.client.post(f"/v1/agents/{agent}/messages/async", said(text, **fields))
    assert answer.status == 200, answer.text
    return await house.store.runs.get(parse_id(answer.json["id"]))


async def shown(house: House, run: Run) -> dict[str, Any]:
    return (await house.client.get(f"/v1/runs/{run.id}")).json


def types(messages: list[dict[str, Any]]) -> list[str]:
    return [message["message_type"] for message in messages]

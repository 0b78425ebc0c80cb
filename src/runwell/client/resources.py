"""Agents, threads and keys."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec

from runwell.client.models import (
    Agent,
    AgentList,
    Key,
    KeyList,
    Message,
    MessagePage,
    Thread,
    ThreadPage,
)
from runwell.client.transport import Request, Safety, Transport, path_of

_AGENT = msgspec.json.Decoder(Agent)
_AGENTS = msgspec.json.Decoder(AgentList)
_THREAD = msgspec.json.Decoder(Thread)
_THREADS = msgspec.json.Decoder(ThreadPage)
_MESSAGE = msgspec.json.Decoder(Message)
_MESSAGES = msgspec.json.Decoder(MessagePage)
_KEY = msgspec.json.Decoder(Key)
_KEYS = msgspec.json.Decoder(KeyList)


def _json(**fields: Any) -> bytes:
    """The given fields; those that are None are left out."""
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


class AsyncAgents:
    """`client.agents`. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> tuple[Agent, ...]:
        """Everybody's agents and your own."""
        response = await self._transport.send(Request(method="GET", path="/agents"))
        return self._transport.read(_AGENTS, response.content).agents

    async def get(self, name: str) -> Agent:
        response = await self._transport.send(Request(method="GET", path=path_of("agents", name)))
        return self._transport.read(_AGENT, response.content)

    async def put(
        self,
        name: str,
        *,
        model: str | None = None,
        instructions: str = "",
        base_url: str | None = None,
        api_key_env: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        description: str | None = None,
        tools: Sequence[str] | None = None,
        steps: Sequence[Mapping[str, Any]] | None = None,
    ) -> Agent:
        """Make or replace an agent of a model and instructions, or of steps.

        A step has an `id`, and may have a `prompt`, an `agent` or a `model`, `tools`, `depends_on`.
        `api_key_env` names the environment variable, on the server, that holds the model's key.
        """
        body = _json(
            model=model, instructions=instructions, base_url=base_url, api_key_env=api_key_env,
            temperature=temperature, max_tokens=max_tokens, description=description, tools=tools,
            steps=steps,
        )  # fmt: skip
        response = await self._transport.send(Request(method="PUT", path=path_of("agents", name), body=body))
        return self._transport.read(_AGENT, response.content)

    async def delete(self, name: str) -> None:
        await self._transport.send(Request(method="DELETE", path=path_of("agents", name)))


class AsyncThreads:
    """`client.threads`. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self, id: str | None = None, *, title: str | None = None, metadata: dict[str, Any] | None = None
    ) -> Thread:
        """Make a thread, with an id of your own if you give one."""
        body = _json(id=id, title=title, metadata=metadata)
        return await self._thread(Request(method="POST", path="/threads", body=body, safety=Safety.ONCE))

    async def get(self, id: str) -> Thread:
        return await self._thread(Request(method="GET", path=path_of("threads", id)))

    async def update(
        self, id: str, *, title: str | None = None, metadata: dict[str, Any] | None = None
    ) -> Thread:
        """Replace what is given, keep the rest."""
        body = _json(title=title, metadata=metadata)
        return await self._thread(Request(method="PATCH", path=path_of("threads", id), body=body))

    async def delete(self, id: str) -> None:
        """Remove the thread and its messages; its runs stay."""
        await self._transport.send(Request(method="DELETE", path=path_of("threads", id)))

    async def list(self, *, limit: int | None = None) -> AsyncGenerator[Thread, None]:
        """Your threads, newest first; pages are fetched as you go. `limit` None is all of them."""
        left, cursor = limit, None
        while left is None or left > 0:
            query = {"limit": 100 if left is None else min(left, 100), "cursor": cursor}
            response = await self._transport.send(Request(method="GET", path="/threads", query=query))
            page = self._transport.read(_THREADS, response.content)
            for thread in page.threads if left is None else page.threads[:left]:
                yield thread
            left = None if left is None else left - len(page.threads)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def messages(self, id: str, *, after: int = 0) -> AsyncGenerator[Message, None]:
        """The thread's messages behind position `after`, in order; pages are fetched as you go."""
        while True:
            query = {"after": after, "limit": 100}
            response = await self._transport.send(
                Request(method="GET", path=path_of("threads", id, "/messages"), query=query)
            )
            page = self._transport.read(_MESSAGES, response.content)
            for message in page.messages:
                yield message
            if not page.messages:
                return
            after = page.messages[-1].position

    async def add_message(self, id: str, role: str, content: Any) -> Message:
        """Append a message. Not repeated once it may have been sent."""
        request = Request(
            method="POST",
            path=path_of("threads", id, "/messages"),
            body=msgspec.json.encode({"role": role, "content": content}),
            safety=Safety.ONCE,
        )
        response = await self._transport.send(request)
        return self._transport.read(_MESSAGE, response.content)

    async def _thread(self, request: Request) -> Thread:
        response = await self._transport.send(request)
        return self._transport.read(_THREAD, response.content)


class AsyncKeys:
    """`client.keys`; needs the scope `admin`. Every method raises `ApiError`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self, name: str, *, owner: str | None = None, scopes: Sequence[str] | None = None
    ) -> Key:
        """A new key. Its `secret` is in this answer and nowhere else.

        Not repeated once it may have been sent; a key whose answer was lost can be revoked.
        """
        body = _json(name=name, owner=owner, scopes=scopes)
        response = await self._transport.send(
            Request(method="POST", path="/keys", body=body, safety=Safety.ONCE)
        )
        return self._transport.read(_KEY, response.content)

    async def list(self) -> tuple[Key, ...]:
        """All keys, revoked ones too, without their secrets."""
        response = await self._transport.send(Request(method="GET", path="/keys"))
        return self._transport.read(_KEYS, response.content).keys

    async def revoke(self, id: str) -> Key:
        """End a key. It is refused from about a second later on."""
        response = await self._transport.send(Request(method="DELETE", path=path_of("keys", id)))
        return self._transport.read(_KEY, response.content)

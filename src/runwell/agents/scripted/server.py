"""The ASGI application of the scripted model. It notices at once when a client goes away."""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from runwell.agents.scripted.answer import Answer, Reasoning, Text, ToolCall, plan, so_far, words
from runwell.agents.scripted.directives import BadDirective, Drop, Fail, Hang, Pace

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CREATED = 1_750_000_000
"""The same in every answer: answers are deterministic."""
ARGUMENT_PIECE = 8
"""Characters per streamed piece of a tool call's arguments."""
KEPT_REQUESTS = 1_000
GIVE_WAY = 8
"""After so many pieces without a pace, other connections get their turn."""


@dataclass(frozen=True)
class Stats:
    """`requests` arrived, `disconnects` of clients in mid-answer, `open` now, `errors` by script."""

    requests: int = 0
    disconnects: int = 0
    open: int = 0
    errors: int = 0


class Disconnected(Exception):
    """The client went away before the answer was whole."""


class Dropped(Exception):
    """The script says to close the connection."""


class Ledger:
    """Counts what happens; other threads may read it and wait for a state of it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stats = Stats()
        self.bodies: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        """The newest chat completion requests, as they came."""
        self.authorizations: deque[str] = deque(maxlen=KEPT_REQUESTS)

    @property
    def stats(self) -> Stats:
        return self._stats

    def count(self, **by: int) -> None:
        with self._changed:
            now = asdict(self._stats)
            self._stats = Stats(**{name: number + by.get(name, 0) for name, number in now.items()})
            self._changed.notify_all()

    def wait_for(self, reached: Callable[[Stats], bool], timeout: float) -> Stats:
        """Block until `reached(stats)`; raises `TimeoutError` after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: reached(self._stats), timeout):
                raise TimeoutError(f"after {timeout:g} s: {self._stats}")
            return self._stats


class ScriptedServer:
    """One server's state: its seed, its ledger, and how often each turn was asked for."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.ledger = Ledger()
        self._asked: Counter[str] = Counter()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        match (scope["type"], scope.get("method"), scope.get("path")):
            case ("http", "POST", "/v1/chat/completions"):
                headers = dict(scope["headers"])
                self.ledger.authorizations.append(headers.get(b"authorization", b"").decode("latin-1"))
                await self._complete(receive, send)
            case ("http", "GET", "/v1/models"):
                model = {"id": "scripted", "object": "model", "created": CREATED, "owned_by": "runwell"}
                await _json(send, 200, {"object": "list", "data": [model]})
            case ("http", "GET", "/stats"):
                await _json(send, 200, asdict(self.ledger.stats))
            case ("http", _, path):
                await _error(send, 404, f"there is no {path}; see POST /v1/chat/completions")
            case _:
                raise ValueError(f"only HTTP is served, not {scope['type']}")

    async def _complete(self, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        try:
            request = msgspec.json.decode(body, type=dict[str, Any])
            answer = plan(request, self.seed)
        except (msgspec.DecodeError, BadDirective) as error:
            self.ledger.count(requests=1, errors=1)
            await _error(send, 400, str(error))
            return
        self.ledger.bodies.append(request)
        self.ledger.count(requests=1, open=1)
        self._asked[answer.key] += 1
        try:
            await self._play(request, answer, receive, send)
        except Disconnected:
            self.ledger.count(disconnects=1)
        except Dropped:
            self.ledger.count(errors=1)
            return  # without an end of the body: the server closes the connection
        finally:
            self.ledger.count(open=-1)

    async def _play(self, request: dict[str, Any], answer: Answer, receive: Receive, send: Send) -> None:
        kind = Streamed if request.get("stream") else Whole
        gone = asyncio.ensure_future(_gone(receive))
        try:
            reply = kind(request, answer, send)
            await self._moves(reply, answer, gone)
        finally:
            gone.cancel()

    async def _moves(self, reply: "Reply", answer: Answer, gone: "asyncio.Future[None]") -> None:
        rate, due = 0.0, asyncio.get_running_loop().time()
        for number, move in enumerate(answer.moves):
            match move:
                case Pace(rate):
                    due = asyncio.get_running_loop().time()
                case Hang():
                    await _until(gone, None)
                case Drop():
                    await reply.drop()
                case Fail(status, _, times):
                    if times is None or self._asked[answer.key] <= times:
                        self.ledger.count(errors=1)
                        await reply.fail(status)
                        return
                case Text() | Reasoning() | ToolCall():
                    if rate:
                        due += 1 / rate
                        await _until(gone, due)
                    elif number % GIVE_WAY == 0:
                        # Sending does not suspend while the client reads fast enough.
                        await asyncio.sleep(0)
                    if gone.done():
                        raise Disconnected
                    await reply.say(move)
        await reply.end()


class Reply:
    """How an answer is written: whole or streamed."""

    def __init__(self, request: dict[str, Any], answer: Answer, send: Send) -> None:
        self._model = str(request.get("model") or "scripted")
        self._answer = answer
        self._send = send
        self._id = f"chatcmpl-{answer.key[:24]}"
        self._calls = 0
        options = request.get("stream_options")
        options = options if isinstance(options, dict) else {}
        self._counted = bool(options.get("include_usage"))
        self._counting = bool(options.get("continuous_usage_stats"))

    async def say(self, move: Text | Reasoning | ToolCall) -> None:
        raise NotImplementedError

    async def end(self) -> None:
        raise NotImplementedError

    async def fail(self, status: int) -> None:
        await _error(self._send, status, f"the script says {status}")

    async def drop(self) -> None:
        """Begin an answer that is never whole, and raise `Dropped`."""
        raise NotImplementedError

    def _document(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": CREATED, "model": self._model, **fields}


class Whole(Reply):
    """One JSON document at the end."""

    def __init__(self, request: dict[str, Any], answer: Answer, send: Send) -> None:
        super().__init__(request, answer, send)
        self._message: dict[str, Any] = {"role": "assistant", "content": None}

    async def say(self, move: Text | Reasoning | ToolCall) -> None:
        match move:
            case Text(piece):
                self._message["content"] = (self._message["content"] or "") + piece
            case Reasoning(piece):
                self._message["reasoning_content"] = self._message.get("reasoning_content", "") + piece
            case ToolCall(id_, name, arguments):
                call = {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
                self._message.setdefault("tool_calls", []).append(call)

    async def end(self) -> None:
        choice = {"index": 0, "message": self._message, "finish_reason": self._answer.finish_reason}
        document = self._document("chat.completion", choices=[choice], usage=self._answer.usage)
        await _json(self._send, 200, document)

    async def drop(self) -> None:
        await _start(self._send, 200, b"application/json", (b"content-length", b"2"))
        await self._send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise Dropped


class Streamed(Reply):
    """Server-sent events; the status is sent with the first of them."""

    _begun = False
    _completion = 0
    _reasoning = 0

    async def say(self, move: Text | Reasoning | ToolCall) -> None:
        self._completion += words(move)
        self._reasoning += isinstance(move, Reasoning)
        match move:
            case Text(piece):
                await self._delta({"content": piece})
            case Reasoning(piece):
                await self._delta({"reasoning_content": piece})
            case ToolCall(id_, name, arguments):
                head = {"id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
                await self._delta({"tool_calls": [{"index": self._calls, **head}]})
                for at in range(0, len(arguments), ARGUMENT_PIECE):
                    part = {"function": {"arguments": arguments[at : at + ARGUMENT_PIECE]}}
                    await self._delta({"tool_calls": [{"index": self._calls, **part}]})
                self._calls += 1

    async def end(self) -> None:
        await self._delta({}, self._answer.finish_reason)
        if self._counted:
            await self._event(self._document("chat.completion.chunk", choices=[], usage=self._answer.usage))
        await self._write(b"data: [DONE]\n\n", more=False)

    async def fail(self, status: int) -> None:
        if not self._begun:
            await super().fail(status)
            return
        await self._event({"error": _fault(status, f"the script says {status}")})
        await self._write(b"", more=False)

    async def drop(self) -> None:
        await self._begin()
        raise Dropped

    async def _delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        if not self._begun:
            delta = {"role": "assistant", **delta}
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = self._document("chat.completion.chunk", choices=[choice])
        if self._counting:
            chunk["usage"] = so_far(self._answer.usage, self._completion, self._reasoning)
        await self._event(chunk)

    async def _event(self, document: dict[str, Any]) -> None:
        await self._begin()
        await self._write(b"data: " + msgspec.json.encode(document) + b"\n\n")

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            await _start(self._send, 200, b"text/event-stream")

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _until(gone: "asyncio.Future[None]", due: float | None) -> None:
    """Wait for the loop's time `due`, or for ever; raises `Disconnected` when the client goes first."""
    timeout = None if due is None else max(due - asyncio.get_running_loop().time(), 0)
    done, _ = await asyncio.wait({gone}, timeout=timeout)
    if done:
        raise Disconnected


async def _start(send: Send, status: int, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", content_type), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _json(send: Send, status: int, document: object, *headers: tuple[bytes, bytes]) -> None:
    body = msgspec.json.encode(document)
    length = (b"content-length", str(len(body)).encode())
    await _start(send, status, b"application/json", length, *headers)
    await send({"type": "http.response.body", "body": body})


async def _error(send: Send, status: int, message: str) -> None:
    # Clients that try again need not wait: the script decides how often it fails, not the time.
    await _json(send, status, {"error": _fault(status, message)}, (b"retry-after-ms", b"10"))


def _fault(status: int, message: str) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"message": message, "type": kind, "param": None, "code": f"status_{status}"}

"""Plays transcripts: exchanges with one dialect written down as JSON, request by request.

    {"name": "a run, from submit to its end",
     "agents": ["echo", {"name": "search", "kind": "tool"}],      optional, else echo and counter
     "keys": ["runs:read", "runs:write"],                         optional: {{key}} has these scopes
     "options": {"flowyble_rate": 0},                             optional: see `dialects.dialect.Options`
     "setup": [{"do": "submit", "input": "hello"}, {"do": "claim"}],
     "exchanges": [
       {"request": {"method": "GET", "path": "/runs/{{run}}", "headers": {}, "json": {} or "body": ""},
        "answer": {"status": 200, "headers": {"etag": "<any>"}, "json": {"id": "<id>"}},
        "save": {"run": "id"}},
       {"do": "succeed", "output": "done"}]}

Without `keys` the server is in local mode. Paths are played under the mount unless they begin with
it; `{{mount}}` is the mount, `{{newest}}` the bare id of the newest run. In `answer`: `json` is the
whole body, `text` too, `keys_in_order` the body's keys, `headers` some of them. `until` reads a
stream up to this text and leaves. `"meanwhile": [steps]` is done while the request is open, as soon as
the run that it makes is there; `"during"` the same for a request that makes none, at once. `save`
takes a dotted path or a JSON pointer into the body, `header:NAME`, or `text:REGEX` with one group.
Cookies are kept as a browser keeps them. What can be done by hand is in `tests.support.hand`.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runwell.agents.python import agent
from runwell.dialects.dialect import Options
from runwell.domain.principal import LOCAL_OWNER, Scope
from tests.support.asgi import AsgiClient, Exchange
from tests.support.hand import Hand
from tests.support.house import a_house, counter, echo
from tests.support.placeholders import faults

VARIABLE = re.compile(r"\{\{([^{}]+)\}\}")


class Player:
    """One transcript, played at one mount. Raises `AssertionError` that names the exchange and the fault."""

    def __init__(self, client: AsgiClient, hand: Hand, mount: str, saved: dict[str, Any]) -> None:
        self._client = client
        self._hand = hand
        self._mount = mount
        self._saved = {**saved, "mount": mount}
        self._cookies: dict[str, str] = {}

    async def play(self, transcript: dict[str, Any]) -> None:
        for number, step in enumerate([*transcript.get("setup", ()), *transcript["exchanges"]], start=1):
            try:
                await self._step(step)
            except AssertionError as error:
                request = step.get("request", {})
                what = step.get("do") or f"{request.get('method')} {request.get('path')}"
                raise AssertionError(f"step {number}, {what} at {self._mount or '/'}: {error}") from error

    async def _step(self, step: dict[str, Any]) -> None:
        if "do" in step:
            await self._hand.do(self._filled(step))
            return
        # One second passes, so that what is made later has a later id.
        self._hand.house.clock.move(1)
        unknown = set(step) - {"request", "answer", "save", "meanwhile", "during", "note"}
        assert not unknown, f"a transcript has no {unknown}"
        request, answer = self._filled(step["request"]), step["answer"]
        newest = self._hand.newest
        async with self._open(request) as exchange:
            if "meanwhile" in step:
                await self._hand.newer(newest, exchange)
            for each in [*step.get("meanwhile", ()), *step.get("during", ())]:
                await self._hand.do(self._filled(each))
            await exchange.started()
            body = await self._body(exchange, answer)
        self._keep_cookies(exchange)
        self._check(exchange, body, self._filled(answer))
        for name, where in step.get("save", {}).items():
            self._saved[name] = _saved(where, exchange, body)

    @asynccontextmanager
    async def _open(self, request: dict[str, Any]) -> AsyncIterator[Exchange]:
        unknown = set(request) - {"method", "path", "headers", "json", "body"}
        assert not unknown, f"a request has no {unknown}"
        headers = dict(request.get("headers", {}))
        if self._cookies and not any(name.lower() == "cookie" for name in headers):
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        body = request.get("body", "").encode()
        if "json" in request:
            body = json.dumps(request["json"]).encode()
            headers.setdefault("content-type", "application/json")
        path = request["path"]
        if not (self._mount and path.startswith(f"{self._mount}/")):
            path = self._mount + path
        async with self._client.open(request["method"], path, headers=headers, body=body) as exchange:
            yield exchange

    async def _body(self, exchange: Exchange, answer: dict[str, Any]) -> bytes:
        if "until" in answer:
            return await exchange.until(self._filled(answer["until"]).encode())
        return await exchange.read()

    def _check(self, exchange: Exchange, body: bytes, answer: dict[str, Any]) -> None:
        unknown = set(answer) - {"status", "headers", "json", "text", "keys_in_order", "until"}
        assert not unknown, f"an answer has no {unknown}"
        shown = body.decode("utf-8", "replace")
        assert exchange.status == answer["status"], f"status {exchange.status}: {shown}"
        found = []
        for name, expected in answer.get("headers", {}).items():
            found += faults(expected, exchange.headers.get(name.lower()), f"header {name}")
        if "json" in answer:
            found += faults(answer["json"], json.loads(body))
        if "text" in answer:
            found += faults(answer["text"], shown, "the text")
        if "keys_in_order" in answer:
            keys = list(json.loads(body))
            if keys != answer["keys_in_order"]:
                found.append(f"the keys are {keys}")
        assert not found, "; ".join(found) + f"\nin {shown}"

    def _keep_cookies(self, exchange: Exchange) -> None:
        for message in exchange.sends:
            for name, value in message.get("headers", ()):
                if name.lower() == b"set-cookie":
                    cookie, _, attributes = value.decode("latin-1").partition(";")
                    key, _, content = cookie.strip().partition("=")
                    self._cookies[key] = content
                    if "max-age=0" in attributes.lower() or not content:
                        del self._cookies[key]

    def _filled(self, value: Any) -> Any:
        """With what was saved in the place of `{{names}}`; one that stands alone keeps its type."""
        if isinstance(value, dict):
            return {self._filled(key): self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, str):
            return value
        if alone := VARIABLE.fullmatch(value):
            return self._value(alone[1])
        return VARIABLE.sub(lambda name: str(self._value(name[1])), value)

    def _value(self, name: str) -> Any:
        if name == "newest":
            return self._hand.newest
        assert name in self._saved, f"nothing was saved as {name!r}"
        return self._saved[name]


def _saved(where: str, exchange: Exchange, body: bytes) -> Any:
    if where.startswith("header:"):
        return exchange.headers[where.removeprefix("header:").lower()]
    if where.startswith("text:"):
        found = re.search(where.removeprefix("text:"), body.decode())
        assert found is not None, f"{where} is not in {body.decode()}"
        return found[1]
    value = json.loads(body)
    for key in where.strip("/").split("/" if where.startswith("/") else "."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def _agents(wanted: list[Any] | None) -> tuple[Any, ...]:
    ready = {"echo": echo, "counter": counter}
    if wanted is None:
        return tuple(ready.values())
    return tuple(ready[each] if isinstance(each, str) and each in ready else _agent(each) for each in wanted)


def _agent(wanted: Any) -> Any:
    """One that is only there to be named: no worker runs it."""
    fields = {"name": wanted} if isinstance(wanted, str) else wanted

    async def unrun(input: Any) -> Any:
        return input

    return agent(**fields)(unrun)


async def play(path: Path, mount: str, folder: Path) -> None:
    """Play the transcript in a file through a mount (`""` or `/name`), over a new server in a folder."""
    transcript = json.loads(path.read_text(encoding="utf-8"))
    keys, agents = transcript.get("keys"), _agents(transcript.get("agents"))
    options = Options(**transcript.get("options", {}))
    async with a_house(folder, local_mode=keys is None, agents=agents, options=options) as house:
        saved = {}
        if keys is not None:
            saved["key"] = await house.secret(LOCAL_OWNER, [Scope(word) for word in keys])
            saved["foreign_key"] = await house.secret("somebody-else")
        with Hand(house) as hand:
            await Player(house.client, hand, mount, saved).play(transcript)

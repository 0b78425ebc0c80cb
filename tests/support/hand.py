"""Moves runs by hand, as a worker would, from steps written as JSON.

Each step is about the newest run, or about `"run": ID`:

    submit   a run of `agent` with `input` and what else `Submission` takes; `owner` is the local one
    claim    a worker takes it                  cancel_done  it is cancelled, as was asked
    say      `text` or a list `texts`           think        `text`, as reasoning
    tool     `name`, `arguments`, and `result` (`failed`) when it returned; `call_id`
    usage    `model`, and the counts            progress     `percent`, `step`
    record   any `events`: [{"type": "step.started", "key": "a", "name": "a"}, …]
    ask      `question`                         answer       `answer`
    succeed  `output`, `reason`                 fail         `reason`, `message`
    try_again  `message`, `delay`               lose         its worker is gone
    pass     the clock moves by `seconds`
"""

import json
from types import TracebackType
from typing import Any, Self

from runwell.domain.commands import Answer, Command, Fail, Lapse, Record, Stop, Succeed, TryAgain
from runwell.domain.events import ReasoningDelta, TextDelta, decode_event
from runwell.domain.ids import parse_id
from runwell.domain.json_gate import encode
from runwell.domain.run import Run, RunError
from runwell.ports.signals import SignalKind
from tests.support.asgi import Exchange, soon
from tests.support.house import House


class Hand:
    """Use as a context manager: it listens for new runs, whoever made them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._runs: list[str] = []
        self._leave = house.signals.listen(self._heard)

    @property
    def newest(self) -> str | None:
        """The id of the run that was made last."""
        return self._runs[-1] if self._runs else None

    async def newer(self, than: str | None, exchange: Exchange) -> None:
        """Until the request has made a run, or was answered without one."""
        await soon(lambda: self.newest != than or exchange.sends)

    async def do(self, step: dict[str, Any]) -> None:
        fields = {name: value for name, value in step.items() if name not in ("do", "run")}
        match step["do"]:
            case "submit":
                await self.house.submit(**fields)
            case "pass":
                self.house.clock.move(fields["seconds"])
            case "claim":
                await self.house.claim(await self._run(step))
            case "ask":
                await self.house.ask(await self._run(step), fields.get("question", "sure?"))
            case _:
                await self.house.do(await self._run(step), self._command(step["do"], fields))

    def _command(self, verb: str, fields: dict[str, Any]) -> Command:
        match verb:
            case "succeed":
                return Succeed(output=encode(fields.get("output", "done")), reason=fields.get("reason"))
            case "fail":
                reason = fields.get("reason", "error")
                return Fail(reason=reason, error=RunError(reason, fields.get("message", "it broke")))
            case "try_again":
                error = RunError("error", fields.get("message", "it broke"))
                return TryAgain(error=error, delay=fields.get("delay", 1.0))
            case "lose":
                return Lapse(seen_at=self.house.clock.now())
            case "cancel_done":
                return Stop()
            case "answer":
                return Answer(answer=encode(fields["answer"]))
            case _:
                return Record(events=tuple(_said(verb, fields)))

    async def _run(self, step: dict[str, Any]) -> Run:
        run_id = parse_id(step["run"]) if "run" in step else self.newest
        assert run_id is not None, f"there is no run yet to {step['do']}"
        return await self.house.store.runs.get(run_id)

    def _heard(self, kind: SignalKind, run_id: str) -> None:
        if run_id not in self._runs:
            self._runs.append(run_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()


def _said(verb: str, fields: dict[str, Any]) -> list[Any]:
    match verb:
        case "say":
            return [TextDelta(text=text) for text in fields.get("texts", [fields.get("text", "")])]
        case "think":
            return [ReasoningDelta(text=fields["text"])]
        case "progress":
            return [_event("output.progress_noted", progress=fields)]
        case "usage":
            model = {"model": fields.pop("model")} if "model" in fields else {}
            return [_event("output.usage_counted", usage=fields, **model)]
        case "tool":
            call = {"call_id": fields.get("call_id", "call_1"), "name": fields["name"]}
            said = [_event("output.tool_called", **call, arguments=fields.get("arguments", {}))]
            if "result" in fields:
                failed = fields.get("failed", False)
                said.append(_event("output.tool_returned", **call, result=fields["result"], failed=failed))
            return said
        case "record":
            return [_event(**event) for event in fields["events"]]
        case _:
            raise AssertionError(f"nothing can be done called {verb!r}")


def _event(type: str, **fields: Any) -> Any:
    return decode_event(type, json.dumps(fields).encode())

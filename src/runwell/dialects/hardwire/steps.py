"""The steps of a workflow as clients send them.

The original gets them from a model; here they may be sent along. Read are the keys of both of its forms:
`id`, `name`, `prompt` (or `instruction`, or `inputs.prompt`), `toolId`, `tools`, `dependsOn`, `order`, and of
ours `agent` and `model`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from runwell.dialects.hardwire.errors import invalid
from runwell.dialects.hardwire.requests import uuid_of
from runwell.domain.agent import AgentSpec, ModelAgent, WorkflowAgent, WorkflowStep
from runwell.engine.core import Core

WHAT = "workflow steps"
KEYS = frozenset(
    {
        "id", "name", "prompt", "instruction", "inputs", "outputs", "toolId", "tools", "dependsOn", "order",
        "agent", "model",
    }
)  # fmt: skip


async def read_steps(core: Core, owner: str, given: Sequence[Any]) -> WorkflowAgent:
    """At least one of them. Raises `Failed`; what the core refuses, it refuses later."""
    specs = await core.store.agents.all(owner)
    reader = _Reader(core, specs)
    steps = [reader.step(each, place) for place, each in enumerate(given)]
    if reader.faults:
        raise invalid(WHAT, reader.faults)
    orders = [each["order"] for each in given if "order" in each]
    if len(orders) == len(given):
        steps = [step for _, step in sorted(zip(orders, steps, strict=True), key=lambda pair: pair[0])]
    return WorkflowAgent(steps=tuple(steps))


class _Reader:
    def __init__(self, core: Core, specs: Sequence[AgentSpec]) -> None:
        self._core = core
        self._names: Mapping[str, str] = {spec.id: spec.name for spec in specs}
        self.faults: list[str] = []

    def step(self, given: Any, place: int) -> WorkflowStep:
        path = f"steps[{place}]"
        if not isinstance(given, dict):
            self._fault(path, "must be of type object")
            return WorkflowStep(id="", name="")
        for key in given:
            if key not in KEYS:
                self._fault(f"{path}.{key[:80]}", "is not allowed")
        if not isinstance(given.get("order", 0), int) or isinstance(given.get("order"), bool):
            self._fault(f"{path}.order", "must be a number")
        id = self._text(given, "id", path) or f"step-{place + 1}"
        return WorkflowStep(
            id=id,
            name=self._text(given, "name", path) or id,
            prompt=self._prompt(given, path),
            agent=self._agent(given, path),
            model=self._model(given, path),
            tools=self._tools(given, path),
            depends_on=self._depends_on(given, path),
        )

    def _text(self, given: dict[str, Any], name: str, path: str) -> str:
        value = given.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self._fault(f"{path}.{name}", "must be a string")
            return ""
        return value.strip()

    def _prompt(self, given: dict[str, Any], path: str) -> str:
        prompt = self._text(given, "prompt", path) or self._text(given, "instruction", path)
        inputs = given.get("inputs") or {}
        if not isinstance(inputs, dict) or set(inputs) - {"prompt"}:
            self._fault(
                f"{path}.inputs", "must contain nothing but [prompt]: steps are given what came before"
            )
            return prompt
        if given.get("outputs"):
            self._fault(f"{path}.outputs", "must be empty: a step hands on what it returns")
        return prompt or self._text(inputs, "prompt", f"{path}.inputs")

    def _agent(self, given: dict[str, Any], path: str) -> str | None:
        """Who does the step: an agent, or a tool, by its name or its id."""
        named = [name for name in ("agent", "toolId") if given.get(name) is not None]
        if len(named) > 1:
            self._fault(path, "contains a conflict between exclusive peers [agent, toolId]")
        text = self._text(given, named[0], path) if named else ""
        return self._name(text) if text else None

    def _model(self, given: dict[str, Any], path: str) -> ModelAgent | None:
        text = self._text(given, "model", path)
        if not text:
            return None
        known = self._core.models.names(None)
        found = self._core.models.resolve(text, None) if text in known else None
        if not isinstance(found, ModelAgent):
            self._fault(f"{path}.model", f"must be one of [{', '.join(known)}]")
            return None
        return found

    def _tools(self, given: dict[str, Any], path: str) -> tuple[str, ...]:
        value = given.get("tools") or []
        if not isinstance(value, list):
            self._fault(f"{path}.tools", "must be an array")
            return ()
        found = []
        for place, each in enumerate(value):
            text = each.get("name") or each.get("id") if isinstance(each, dict) else each
            if isinstance(text, str) and text:
                found.append(self._name(text))
            else:
                self._fault(f"{path}.tools[{place}]", "must be the name or the id of a tool")
        return tuple(found)

    def _depends_on(self, given: dict[str, Any], path: str) -> tuple[str, ...] | None:
        value = given.get("dependsOn")
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self._fault(f"{path}.dependsOn", "must be an array of strings")
            return None
        return tuple(value)

    def _name(self, text: str) -> str:
        return self._names.get(uuid_of(text) or "", text)

    def _fault(self, path: str, text: str) -> None:
        self.faults.append(f'"body.{path}" {text}')

"""The agents that other processes serve, for a process that runs none itself."""

from typing import Any, NoReturn

import msgspec

from runwell.domain.agent import AgentSpec
from runwell.domain.errors import InvalidInput
from runwell.domain.instant import Instant
from runwell.domain.json_gate import Json, JsonValue
from runwell.ports.agent import Agent, AgentFailed, Context, SyncContext
from runwell.ports.store import Store


class AgentElsewhere:
    """An `Agent` that is known by what a worker has written of it. Its inputs are checked by its schema,
    where that leaves no doubt: what is let through the worker checks once more."""

    def __init__(self, spec: AgentSpec) -> None:
        from jsonschema import Draft202012Validator

        self.spec = spec
        self.blocking = False
        self._schema = msgspec.json.decode(spec.input_schema)
        self._validator = Draft202012Validator(self._schema)

    def check_input(self, value: JsonValue) -> None:
        error = next(self._validator.iter_errors(value), None)
        if error is not None and not self._in_another_form(value):
            raise InvalidInput(
                error.json_path,
                error.message[:300],
                f"The input schema of agent {self.spec.name!r} says what it takes.",
            )

    def _in_another_form(self, value: JsonValue) -> bool:
        """Whether a function may take it although its schema does not say so: nothing, where it can do
        without; its only input in an object, under a name that is not known here."""
        if value is None or value == {}:
            schema = self._schema
            return "default" in schema or (schema.get("type") == "object" and not schema.get("required"))
        return isinstance(value, dict) and len(value) == 1 and self._validator.is_valid(*value.values())

    async def call(self, context: Context) -> Any:
        self._refuse()

    def call_blocking(self, context: SyncContext) -> Any:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise AgentFailed("error", f"this process does not serve the agent {self.spec.name!r}")


class Elsewhere:
    """An `AgentCatalog` of what live workers serve, as `refresh` has found it last. The default agent is
    that of the worker that is at work for longest."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent] = {}
        self._specs: list[AgentSpec] = []

    def find(self, name: str, definition: Json | None) -> Agent | None:
        return self._agents.get(name) if definition is None else None

    @property
    def specs(self) -> list[AgentSpec]:
        return self._specs

    async def refresh(self, store: Store, now: Instant) -> None:
        """Raises `Unavailable`."""
        alive = [each for each in await store.workers.all() if each.places and each.alive(now)]
        names = dict.fromkeys(name for each in alive for name in each.agents)
        known = {spec.name: spec for spec in await store.agents.all("")}
        specs = [known[name] for name in names if name in known]
        if specs != self._specs:
            self._specs = specs
            self._agents = {spec.name: AgentElsewhere(spec) for spec in specs}

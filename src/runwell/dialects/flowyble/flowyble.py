"""What every route of this dialect works with: who is calling, how often, and about which run."""

from typing import NamedTuple

from runwell.auth.rate_limit import RateLimit
from runwell.dialects.dialect import Services
from runwell.dialects.exchange import Call, bearer_or_key
from runwell.dialects.flowyble.errors import NoSuch
from runwell.dialects.flowyble.requests import id_of
from runwell.dialects.flowyble.subject import Subject, subject_of
from runwell.domain.agent import AgentSpec
from runwell.domain.errors import AgentNotFound, InvalidId, LogPruned, RunNotFound
from runwell.domain.events import RunCreated
from runwell.domain.json_gate import Json
from runwell.domain.principal import Principal, Scope
from runwell.domain.run import Run
from runwell.engine.agents import agent_by_id
from runwell.engine.core import Core

WINDOW = 60.0
"""Seconds that both limits are counted over."""
WEBHOOK_RATE = 30


class Kind(NamedTuple):
    """One of the two things this API runs; `word` as in its paths."""

    word: str
    tool: bool


AGENT = Kind("agent", False)
TOOL = Kind("tool", True)


class Flowyble:
    """The dialect's rooms, and its own counts of requests: by key, and by webhook."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._rate = RateLimit(services.options.flowyble_rate, WINDOW)
        self._webhook_rate = RateLimit(WEBHOOK_RATE, WINDOW)
        # In local mode whoever is limited as a key could come without it.
        self._limited = services.options.flowyble_rate > 0 and not services.authenticator.local_mode

    @property
    def core(self) -> Core:
        return self.services.core

    async def admit(self, call: Call, scope: Scope) -> Principal:
        """The caller. Raises `Unauthenticated`, `Forbidden`, `RateLimited`."""
        principal = await self.services.authenticator.admit(_credential(call.headers), scope)
        if self._limited and principal.key_id is not None:
            self._rate.take(principal.key_id, self.core.clock.now())
        return principal

    def count_webhook(self, trigger_id: str) -> None:
        """Raises `RateLimited`."""
        self._webhook_rate.take(trigger_id, self.core.clock.now())

    async def agent(self, owner: str, id: str, kind: Kind) -> AgentSpec:
        """Raises `NoSuch`, also for an id that is none and for an agent of the other kind."""
        try:
            spec = await agent_by_id(self.core, owner, id_of(id))
        except (InvalidId, AgentNotFound) as error:
            raise _no_agent(kind, id) from error
        if (spec.kind == TOOL.word) != kind.tool:
            raise _no_agent(kind, id)
        return spec

    async def run(self, owner: str, id: str, kind: Kind) -> Run:
        """Raises `NoSuch`. Whether it is of this kind is for `subject` to say."""
        try:
            return await self.core.store.runs.get(id_of(id), owner)
        except (InvalidId, RunNotFound) as error:
            raise _no_run(kind, id) from error

    async def subject(self, run: Run, id: str, kind: Kind) -> Subject:
        """What it is a run of. Raises `NoSuch` for a run of the other kind."""
        subject = await subject_of(self.core, run)
        if subject.tool != kind.tool:
            raise _no_run(kind, id)
        return subject

    async def input_of(self, run: Run) -> Json | None:
        """What it was asked; None when its log was pruned."""
        try:
            lines = await self.core.store.events.read(run.id, 0, 1)
        except LogPruned:
            return None
        created = lines[0].event if lines else None
        return created.input if isinstance(created, RunCreated) else None


def _credential(headers: dict[bytes, bytes]) -> str | None:
    """`X-API-Key` is this API's header; a bearer counts where there is none."""
    value = headers.get(b"x-api-key")
    return bearer_or_key(headers) if value is None else value.strip().decode("latin-1")


def _no_agent(kind: Kind, id: str) -> NoSuch:
    return NoSuch(kind.word, id, "GET /agents lists what there is, with ids.")


def _no_run(kind: Kind, id: str) -> NoSuch:
    return NoSuch(f"{kind.word} run", id, "Check the id, and that your key belongs to the run's owner.")

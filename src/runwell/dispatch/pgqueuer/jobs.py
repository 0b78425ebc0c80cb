"""A job is an attempt that waits to be made: a run's id, and the number of that attempt."""

from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple, Protocol

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver

from runwell.dispatch.pgqueuer.names import DEFINED, TABLE, entrypoint_by, entrypoint_of
from runwell.dispatch.pgqueuer.queue import queries_over
from runwell.domain.agent import AgentSpec
from runwell.domain.instant import Instant

# PgQueuer would count a delay from the beginning of the transaction: the job would come before its run may
# start, be refused, and rest. So does one that could not be claimed, although what it waits for has come.
_DUE = f"""UPDATE {TABLE} AS job
SET execute_after = coalesce('epoch'::timestamptz + offer.due * interval '1 microsecond', now())
FROM unnest($1::text[], $2::bigint[]) AS offer (key, due)
WHERE job.dedupe_key = offer.key AND job.status = 'queued'"""


class Offered(Protocol):
    """A run that may start, as the store offers it."""

    @property
    def run_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def agent(self) -> str: ...
    @property
    def defined(self) -> bool: ...
    @property
    def served_by(self) -> str | None: ...
    @property
    def priority(self) -> int: ...
    @property
    def not_before(self) -> Instant | None: ...


class Attempt(NamedTuple):
    run_id: str
    number: int


def key_of(run_id: str, attempt: int) -> str:
    """The job's deduplication key: one job per attempt, queued or picked."""
    return f"{run_id}:{attempt}"


def read_job(payload: bytes | None) -> Attempt | None:
    """The attempt a job is for; None for a job that is none of ours."""
    run_id, _, number = (payload or b"").decode(errors="replace").partition(":")
    if len(run_id) != 32 or not number.isdecimal():
        return None
    return Attempt(run_id, int(number))


class Enlisting:
    """`enlist` puts in a job for each offer.

    `specs()` are the agents served. A limit of one of them holds for all runs of its name, also those that
    carry a definition, which otherwise any worker may try.
    """

    def __init__(self, specs: Callable[[], Sequence[AgentSpec]]) -> None:
        self._specs = specs

    async def enlist(self, connection: Any, offers: Sequence[Offered]) -> None:
        """On the connection and in the transaction of the commit that the offers come from.

        An attempt that has its job already keeps it, and need not wait any longer than with a new one:
        offers may come twice.
        """
        limited = {spec.name for spec in self._specs() if spec.concurrency is not None}
        keys = [key_of(offer.run_id, offer.attempt) for offer in offers]
        added = await queries_over(AsyncpgDriver(connection)).enqueue(
            [_entrypoint(offer, limited) for offer in offers],
            [key.encode() for key in keys],
            [offer.priority for offer in offers],
            None,
            list(keys),
            on_conflict="skip",
        )
        due = {
            key: offer.not_before
            for key, offer, job in zip(keys, offers, added, strict=True)
            if job is None or offer.not_before is not None
        }
        if due:
            await connection.execute(_DUE, list(due), list(due.values()))


def _entrypoint(offer: Offered, limited: Container[str]) -> str:
    if not offer.defined or offer.agent in limited:
        return entrypoint_of(offer.agent)
    return DEFINED if offer.served_by is None else entrypoint_by(offer.served_by)

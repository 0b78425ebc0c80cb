"""What is read and sent where many are looked at: counts, workers, users, why a run is where it is, and what
is done to many runs at once."""

from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.json import Decoder

from runwell.dialects.native.bodies import RunId, Seconds, Time
from runwell.dialects.native.requests import AnyId, Date, cursor_of, read_cursor, run_filter
from runwell.domain import ids, user, worker
from runwell.domain.errors import InvalidInput
from runwell.domain.instant import Instant, to_iso
from runwell.domain.run import RunStatus
from runwell.engine import bulk, stats
from runwell.engine.bulk import Action
from runwell.ports.stats import Standing, Tally
from runwell.ports.store import RunFilter

LONGEST_TEXT = 200
"""Characters of a search."""

Count = Annotated[int, Meta(ge=0)]


class Bucket(msgspec.Struct, frozen=True):
    """From `at` on: how many runs were made, and how many ended which way."""

    at: Time
    created: Count
    succeeded: Count
    failed: Count
    cancelled: Count


class AgentQueue(msgspec.Struct, frozen=True):
    """What an agent's runs do now. `oldest_queued_at` is since when the longest in the queue waits."""

    agent: str
    queued: Count
    running: Count
    waiting: Count
    oldest_queued_at: Time | None


class RunStats(msgspec.Struct, frozen=True):
    """`buckets` from `since` to `until`, each `bucket` seconds, empty ones too; `queue` is as it is now, for
    each agent that has something under way."""

    since: Time
    until: Time
    bucket: Annotated[int, Meta(ge=1, description="Seconds")]
    buckets: list[Bucket]
    queue: list[AgentQueue]


class Why(msgspec.Struct, frozen=True):
    """One sentence for people; what it says is also in the run's fields and its log."""

    id: RunId
    status: RunStatus
    why: Annotated[str, Meta(examples=["Queued behind 12 runs; the oldest of `researcher` waits 40 s."])]


class Worker(msgspec.Struct, frozen=True):
    """A process that serves or works. It is `alive` while it was heard within `lapse` seconds; `places` is
    how many runs it works on at once, 0 for one that only serves."""

    name: str
    alive: bool
    host: str
    pid: int
    version: str
    started_at: Time
    seen_at: Time
    lapse: Seconds
    agents: list[str]
    places: Count
    running: Count
    serves: bool
    stopping: bool


class WorkerList(msgspec.Struct, frozen=True):
    """Longest at work first; one that vanished stays for a while."""

    workers: list[Worker]


class User(msgspec.Struct, frozen=True):
    """Somebody who can sign in, unless `disabled_at` is set; `owner` is whose their runs are."""

    id: Annotated[str, Meta(pattern="^user_[0-9a-f]{32}$")]
    email: str
    name: str
    owner: str
    admin: bool
    created_at: Time
    disabled_at: Time | None


class UserList(msgspec.Struct, frozen=True):
    users: list[User]


class UserSession(msgspec.Struct, frozen=True):
    """One browser in which a user is signed in. `last_seen_at` is right to the day."""

    id: Annotated[str, Meta(pattern="^session_[0-9a-f]{32}$")]
    created_at: Time
    expires_at: Time
    last_seen_at: Time
    user_agent: str
    address: str


class UserSessions(msgspec.Struct, frozen=True):
    sessions: list[UserSession]


class SessionsEnded(msgspec.Struct, frozen=True):
    ended: Count


class Refusal(msgspec.Struct, frozen=True):
    """`code` is that of the problem which this run by itself would be answered with."""

    id: RunId
    code: str
    reason: str


class BulkResult(msgspec.Struct, frozen=True):
    """`matched` runs were looked at, `done` to so many, and the others are `refused`. After a dry run nothing
    is done, and all that are not refused would be. `more`: the filter fits older ones too, from
    `next_cursor` on."""

    matched: Count
    done: Count
    refused: list[Refusal]
    more: bool
    next_cursor: str | None


class BulkFilter(msgspec.Struct, forbid_unknown_fields=True):
    """As the parameters of GET /runs. Without a `status`: live runs for a cancel, failed and cancelled ones
    for a retry. `cursor` goes on after an answer that said `more`: without it a retry would find the same."""

    status: list[RunStatus] = []
    agent: str | None = None
    thread_id: AnyId | None = None
    text: Annotated[str, Meta(max_length=LONGEST_TEXT)] | None = None
    since: Date | None = None
    until: Date | None = None
    cursor: str | None = None


class BulkRuns(msgspec.Struct, forbid_unknown_fields=True):
    """What to do, and to which runs: those of `ids`, or the newest that are like `filter`. A `dry_run` only
    says what would be done."""

    action: Action
    ids: Annotated[list[AnyId], Meta(max_length=bulk.MOST)] | None = None
    filter: BulkFilter | None = None
    dry_run: bool = False

    def which(self) -> list[str] | RunFilter:
        """Raises `InvalidInput`, `InvalidId`."""
        if self.ids is not None and self.filter is None:
            return [ids.parse_id(each) for each in self.ids]
        if self.filter is not None and self.ids is None:
            given = msgspec.structs.asdict(self.filter)
            del given["cursor"]
            return run_filter("$.filter.", **given)
        raise InvalidInput("$", "needs `ids` or `filter`, one of them")

    def before(self) -> str | None:
        """The id of the run that the filter goes on after. Raises `InvalidInput`."""
        return None if self.filter is None else read_cursor(self.filter.cursor, "$.filter.cursor")


BODIES = (
    RunStats, Why, WorkerList, User, UserList, UserSessions, SessionsEnded, BulkResult,
)  # fmt: skip
REQUESTS = (BulkRuns,)
BULK_RUNS = Decoder(BulkRuns)


def run_stats(found: stats.Stats, bucket: int) -> RunStats:
    return RunStats(
        since=to_iso(found.since),
        until=to_iso(found.until),
        bucket=bucket,
        buckets=[_bucket(tally) for tally in found.tallies],
        queue=[_queue(standing) for standing in found.standings],
    )


def _bucket(tally: Tally) -> Bucket:
    return Bucket(to_iso(tally.at), *tally[1:])


def _queue(standing: Standing) -> AgentQueue:
    agent, queued, running, waiting, oldest_at = standing
    return AgentQueue(agent, queued, running, waiting, _time(oldest_at))


def shown_worker(beat: worker.Heartbeat, now: Instant) -> Worker:
    return Worker(
        name=beat.name,
        alive=beat.alive(now),
        host=beat.host,
        pid=beat.pid,
        version=beat.version,
        started_at=to_iso(beat.started_at),
        seen_at=to_iso(beat.seen_at),
        lapse=beat.lapse,
        agents=list(beat.agents),
        places=beat.places,
        running=beat.running,
        serves=beat.serves,
        stopping=beat.stopping,
    )


def shown_user(found: user.User) -> User:
    return User(
        id=ids.spell("user", found.id),
        email=found.email,
        name=found.name,
        owner=found.owner,
        admin=found.admin,
        created_at=to_iso(found.created_at),
        disabled_at=_time(found.disabled_at),
    )


def shown_session(session: user.Session) -> UserSession:
    return UserSession(
        id=ids.spell("session", session.id),
        created_at=to_iso(session.created_at),
        expires_at=to_iso(session.expires_at),
        last_seen_at=to_iso(session.last_seen_at),
        user_agent=session.user_agent,
        address=session.address,
    )


def bulk_result(outcome: bulk.Outcome) -> BulkResult:
    refused = [Refusal(ids.spell("run", each.run_id), each.code, each.reason) for each in outcome.refused]
    following = None if outcome.last is None else cursor_of(outcome.last)
    return BulkResult(outcome.matched, outcome.done, refused, following is not None, following)


def _time(instant: Instant | None) -> str | None:
    return None if instant is None else to_iso(instant)

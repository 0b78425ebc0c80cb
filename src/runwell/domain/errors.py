"""Everything that can go wrong, as facts of the domain.

    RunwellError
    ├── Invalid ............ the request itself is wrong
    │   ├── InvalidId · InvalidJson · InvalidInput
    │   └── IdempotencyMismatch · AddressRefused
    ├── NotFound ........... RunNotFound · AgentNotFound · ThreadNotFound · KeyNotFound · UserNotFound
    ├── Conflict ........... the request is right, the moment is not
    │   ├── IllegalTransition · RunNotFinal · RunNotWaiting · QuestionChanged · ThreadBusy
    │   ├── EmailTaken
    │   └── StaleRun · NotItsTurn · AttemptSuperseded (never leave the core)
    ├── Refused ............ Unauthenticated · Forbidden
    ├── Gone ............... LogPruned
    ├── TooLarge ........... a body or an output over its limit
    ├── TooMany ............ RateLimited · TooManyStreams
    └── Unavailable ........ StoreUnavailable · QueueFull

Each carries a `code` for machines, a sentence for people and a `hint`: what to do next. None knows
of HTTP. A dialect renders the kinds with an exhaustive match.
"""

from enum import StrEnum
from typing import ClassVar


class ErrorKind(StrEnum):
    """What a caller can do about an error; every `RunwellError` has exactly one."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    TOO_LARGE = "too_large"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"


class RunwellError(Exception):
    """The root. `code` is stable and documented; `message` and `hint` are for people."""

    code: ClassVar[str] = "error"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Invalid(RunwellError):
    code = "invalid"
    kind = ErrorKind.INVALID


class InvalidId(Invalid):
    code = "invalid_id"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:80]!r} is not an id", "Ids look like run_0190c3…, 32 hex digits after the prefix."
        )


class InvalidJson(Invalid):
    """`path` points at the fault in JSONPath: `$.input.items[3]`."""

    code = "invalid_json"

    def __init__(self, path: str, fault: str) -> None:
        super().__init__(
            f"{path}: {fault}", "Send JSON that every reader understands: see the limits in the docs."
        )
        self.path = path


class InvalidInput(Invalid):
    """The JSON is fine, its meaning is not. `path` points at the fault."""

    code = "invalid_input"

    def __init__(self, path: str, fault: str, hint: str = "") -> None:
        super().__init__(f"{path}: {fault}", hint)
        self.path = path


class IdempotencyMismatch(Invalid):
    """The key was used before, with another body."""

    code = "idempotency_mismatch"

    def __init__(self, key: str, run_id: str) -> None:
        super().__init__(
            f"Idempotency-Key {key[:80]!r} was already used with another body, for run run_{run_id}",
            "Use a new key for a new request; repeat a request with the very same body.",
        )
        self.run_id = run_id


class AddressFault(StrEnum):
    """Why an address is not posted to."""

    SCHEME = "scheme"
    """It begins with neither http:// nor https://."""
    MALFORMED = "malformed"
    """It is no URL, names no host, or carries what has no place in a callback's URL."""
    LOOPBACK = "loopback"
    """It says that it is this machine: `localhost`, 127.0.0.1, 0.0.0.0, [::1], in any spelling."""
    UNRESOLVABLE = "unresolvable"
    """Its name has no address, or none was told in time. The only fault that may pass by itself."""
    RESTRICTED = "restricted"
    """It is, or its name resolves to, an address that is not on the public Internet."""

    @property
    def said(self) -> str:
        """What is wrong with a URL, to stand behind what it is called."""
        return _SAID[self]


_SAID = {
    AddressFault.SCHEME: "does not begin with http:// or https://",
    AddressFault.MALFORMED: "is no URL that is called",
    AddressFault.LOOPBACK: "points to this machine",
    AddressFault.UNRESOLVABLE: "names a host without an address",
    AddressFault.RESTRICTED: "points to an address that is not on the public Internet",
}


class AddressRefused(Invalid):
    """Nothing is posted to this URL. The message never holds its path or query, which may be secret."""

    code = "address_refused"

    def __init__(self, fault: AddressFault, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.fault = fault


class NotFound(RunwellError):
    code = "not_found"
    kind = ErrorKind.NOT_FOUND


class RunNotFound(NotFound):
    code = "run_not_found"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"There is no run run_{run_id}", "Check the id, and that your key belongs to the run's owner."
        )


MOST_NAMED = 20
"""How many names a hint has."""


class AgentNotFound(NotFound):
    """`known` are the names that would have worked."""

    code = "agent_not_found"

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        # An owner may have made thousands, and the hint is in every refusal.
        named = ", ".join(known[:MOST_NAMED]) + (", …" if len(known) > MOST_NAMED else "")
        hint = f"This server knows: {named}." if known else "GET /agents lists the agents."
        super().__init__(f"There is no agent {name[:80]!r}", hint)


class ThreadNotFound(NotFound):
    code = "thread_not_found"

    def __init__(self, thread_id: str) -> None:
        super().__init__(f"There is no thread thread_{thread_id}", "GET /threads lists yours.")


class KeyNotFound(NotFound):
    code = "key_not_found"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no key {key_id[:80]}", "`runwell keys list` shows them.")


class CallbackNotFound(NotFound):
    code = "callback_not_found"

    def __init__(self, callback_id: str) -> None:
        super().__init__(f"There is no callback cb_{callback_id}", "GET /callbacks lists yours.")


class DeliveryNotFound(NotFound):
    code = "delivery_not_found"

    def __init__(self, delivery_id: str) -> None:
        super().__init__(f"There is no delivery msg_{delivery_id}", "GET /deliveries lists yours.")


class TriggerNotFound(NotFound):
    code = "trigger_not_found"

    def __init__(self, trigger: str) -> None:
        super().__init__(f"There is no trigger {trigger[:80]}", "GET /triggers lists yours.")


class ScheduleNotFound(NotFound):
    code = "schedule_not_found"

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"There is no schedule schedule_{schedule_id}", "GET /schedules lists yours.")


class UserNotFound(NotFound):
    code = "user_not_found"

    def __init__(self, user: str) -> None:
        super().__init__(f"There is no user {user[:80]}", "`runwell users list` shows them.")


class Conflict(RunwellError):
    code = "conflict"
    kind = ErrorKind.CONFLICT


class IllegalTransition(Conflict):
    """The lifecycle has no arrow for this command from the run's status."""

    code = "illegal_transition"

    def __init__(self, run_id: str, status: str, command: str, why: str = "") -> None:
        reason = why or f"a run that is {status} cannot take the command {command}"
        super().__init__(f"run_{run_id}: {reason}", "Read the run's status first; final is final.")
        self.run_id = run_id
        self.status = status
        self.command = command


class RunNotFinal(Conflict):
    code = "run_not_final"

    def __init__(self, run_id: str, status: str, verb: str) -> None:
        super().__init__(
            f"run_{run_id} is {status}: only a final run can be {verb}", "Cancel it first, or wait."
        )


class RunNotWaiting(Conflict):
    code = "run_not_waiting"

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(
            f"run_{run_id} is {status}: it asks nothing", "Answer a run while its status is `waiting`, once."
        )


class QuestionChanged(Conflict):
    """The answer is to another question than the one the run asks now."""

    code = "question_changed"

    def __init__(self, run_id: str, given: str, asked: str) -> None:
        super().__init__(
            f"run_{run_id} asks {asked[:80]!r} now, and this answers {given[:80]!r}",
            "That question may have its answer already. Read the run again and answer what it asks now.",
        )
        self.run_id = run_id


class ThreadBusy(Conflict):
    """`run_id` is the live run in the way."""

    code = "thread_busy"

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__(
            f"thread_{thread_id} is busy with run_{run_id}",
            "Wait for that run, cancel it, or submit with if_busy=queue.",
        )
        self.run_id = run_id


class EmailTaken(Conflict):
    code = "email_taken"

    def __init__(self, email: str) -> None:
        super().__init__(
            f"There is a user with the address {email[:80]} already",
            "Sign in with it, or use another address. `runwell users password` sets a forgotten password.",
        )


class StaleRun(Conflict):
    """The run changed between the read and the commit: read it again and decide again."""

    code = "stale_run"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run_{run_id} changed meanwhile", "Try again.")


class NotItsTurn(StaleRun):
    """A claim of a run that another run goes before, in its thread or under its concurrency key.

    It stays queued, and is offered again by whatever ends the other one.
    """

    code = "not_its_turn"

    def __init__(self, run_id: str) -> None:
        Conflict.__init__(
            self,
            f"run_{run_id} cannot start before another run has ended",
            "Leave it queued: it starts when its thread or its concurrency key is free.",
        )


class AttemptSuperseded(Conflict):
    """The fence: this attempt is no longer the run's own, so nothing it says is written."""

    code = "attempt_superseded"

    def __init__(self, run_id: str, attempt: int) -> None:
        super().__init__(f"attempt {attempt} of run_{run_id} was superseded or has ended")


class Unauthenticated(RunwellError):
    code = "unauthenticated"
    kind = ErrorKind.UNAUTHENTICATED


class Forbidden(RunwellError):
    code = "forbidden"
    kind = ErrorKind.FORBIDDEN


class LogPruned(RunwellError):
    """The run is kept, its log is not."""

    code = "log_pruned"
    kind = ErrorKind.GONE

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"The log of run_{run_id} was pruned", "The run itself, its output and usage are still there."
        )


class TooLarge(RunwellError):
    code = "too_large"
    kind = ErrorKind.TOO_LARGE


class TooMany(RunwellError):
    """The caller has more than its share, and nothing was done. `retry_after` is in seconds."""

    code = "too_many"
    kind = ErrorKind.LIMITED

    def __init__(self, message: str, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class RateLimited(TooMany):
    """Too many requests in too short a time; after `retry_after` the next is let in."""

    code = "rate_limited"


class TooManyStreams(TooMany):
    """Too many event streams open at once; `retry_after` is a guess, one must end first."""

    code = "too_many_streams"


class Unavailable(RunwellError):
    """Nothing was acknowledged; the same request may work later. `retry_after` is in seconds."""

    code = "unavailable"
    kind = ErrorKind.UNAVAILABLE

    def __init__(self, message: str, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class StoreUnavailable(Unavailable):
    """The database refused or lost a write: disk full, failed fsync, gone."""

    code = "store_unavailable"


class QueueFull(Unavailable):
    code = "queue_full"

"""What can be set. `Settings` is the source of the reader and of the page of the documentation."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from runwell.auth.local_mode import is_loopback_address
from runwell.domain.errors import Invalid
from runwell.domain.prices import Price

MIB = 2**20
HOUR = 3600.0

Durability = Literal["full", "normal"]
Signup = Literal["auto", "open", "closed"]
EmptyStream = Literal["204", "finish"]
HardwireWire = Literal["docs", "app"]
LogLevel = Literal["debug", "info", "warning", "error"]

Seconds = Annotated[float, Meta(ge=0, extra={"unit": "seconds"})]
Bytes = Annotated[int, Meta(ge=1024, extra={"unit": "bytes"})]


class BadSetting(Invalid):
    """A setting that cannot be understood; the sentence says which, where it was read, and why."""

    code = "bad_setting"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. Durations are seconds, sizes are bytes."""

    host: Annotated[
        str,
        Meta(
            description="The address to listen on. Anything but loopback needs a key: `runwell keys create`."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="The port to listen on; 0 takes a free one and logs which.")
    ] = 8005
    db: Annotated[
        str,
        Meta(
            description="The database: a path, made when it is not there, or `sqlite:///path`; for many "
            "machines `postgresql://user@host/name`."
        ),
    ] = "runwell.db"
    db_connections: Annotated[
        int,
        Meta(ge=2, description="How many connections to PostgreSQL a process holds, beside one for signals."),
    ] = 10
    migrate: Annotated[
        bool,
        Meta(
            description="Whether a starting process brings a PostgreSQL database up to date. Without it, "
            "`runwell migrate` does, and until then nothing starts."
        ),
    ] = True
    worker: Annotated[
        bool,
        Meta(
            description="Whether `runwell serve` works on runs itself. Without it, on PostgreSQL, processes "
            "of `runwell work` do."
        ),
    ] = True
    lapse: Annotated[
        float,
        Meta(
            ge=2,
            le=3600,
            extra={"unit": "seconds"},
            description="On PostgreSQL: after how long without a heartbeat a process counts as gone, and its "
            "runs go on elsewhere. All processes must be given the same.",
        ),
    ] = 9.0
    load: Annotated[
        tuple[str, ...],
        Meta(description="Agents in code: `module`, `module:name`, `file.py` or `file.py:name`."),
    ] = ()
    durability: Annotated[
        Durability,
        Meta(
            description="`full` syncs each commit to disk before it is acknowledged. "
            "`normal` is faster and may lose the last commits in a power cut."
        ),
    ] = "full"
    concurrency: Annotated[int, Meta(ge=1, description="How many runs are worked on at once.")] = 100
    grace: Annotated[
        Seconds,
        Meta(description="How long an agent that is cancelled, or whose server stops, has to let go."),
    ] = 5.0
    max_body: Annotated[Bytes, Meta(description="The largest request body that is accepted.")] = 8 * MIB
    max_output: Annotated[Bytes, Meta(description="The largest output a run may have; more fails it.")] = (
        16 * MIB
    )
    rate_limit: Annotated[
        int,
        Meta(
            ge=0,
            description="How many requests a key may make a minute, and at once; of who is signed in "
            "only what changes something counts. 0 is no limit. Local mode has none.",
        ),
    ] = 0
    max_queue: Annotated[
        int,
        Meta(ge=0, description="How many runs may be queued; a submit beyond is told 503. 0 is no limit."),
    ] = 100_000
    max_streams: Annotated[
        int,
        Meta(
            ge=0,
            description="How many event streams a key may have open at once, or in local mode all together; "
            "0 is no limit.",
        ),
    ] = 1_000
    keep_idempotency: Annotated[
        Seconds, Meta(description="For how long an Idempotency-Key is remembered.")
    ] = 48 * HOUR
    keep_deliveries: Annotated[
        Seconds, Meta(description="For how long deliveries that have ended are kept, with their posts.")
    ] = 30 * 24 * HOUR
    keep_events: Annotated[
        Seconds,
        Meta(
            description="For how long the log of a run is kept after the run has ended; 0 is for as long as "
            "the run itself."
        ),
    ] = 0.0
    keep_runs: Annotated[
        Seconds,
        Meta(
            description="For how long a run that has ended is kept, with all that belongs to it; 0 is for "
            "ever. See [retention](../guides/retention.md)."
        ),
    ] = 0.0
    callbacks_allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses that callbacks may be posted to, and agents made through the API may "
            "have their model at, although they are not public: `host[:port]`."
        ),
    ] = ()
    flowyble_rate: Annotated[
        int,
        Meta(
            ge=0, description="How many requests a key may make in 60 s in the Flowyble API; 0 is no limit."
        ),
    ] = 100
    praisonai_agent_root: Annotated[
        str,
        Meta(description="The folder for `agent_file` in the PraisonAI API; empty: the current one."),
    ] = ""
    recoup_empty_stream: Annotated[
        EmptyStream,
        Meta(
            description="What the Recoup API answers who would watch a chat in which nothing runs: `204`, "
            "or a stream of one `finish`."
        ),
    ] = "204"
    recoup_cancel_on_leave: Annotated[
        bool,
        Meta(description="Whether a run is cancelled when somebody who watches it in the Recoup API leaves."),
    ] = False
    hardwire_wire: Annotated[
        HardwireWire,
        Meta(
            description="Which form of the Hardwire API is spoken: `docs`, the documented one, or `app`, "
            "that of the product's own web client."
        ),
    ] = "docs"
    origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins besides loopback whose web pages may call the API: `https://app.example`."),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are "
            "believed: `10.0.0.0/8`."
        ),
    ] = ("127.0.0.1", "::1")
    signup: Annotated[
        Signup,
        Meta(
            description="Whether people may make their own accounts, in APIs that sign people in: `open`, "
            "`closed` (only `runwell users create` makes them), `auto` (open to who asks from this "
            "machine, while the server listens there alone)."
        ),
    ] = "auto"
    model_keys: Annotated[
        tuple[str, ...],
        Meta(description="Variables that agents made through the API may name in `api_key_env`."),
    ] = ()
    log_level: Annotated[LogLevel, Meta(description="The least important line that is logged.")] = "info"
    agents: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="Agents of a model and instructions, one table each: `[agents.NAME]`."),
    ] = {}
    models: Annotated[
        dict[str, dict[str, Any]],
        Meta(
            description="What clients of other APIs mean by a model's name, one table each: `[models.NAME]`. "
            "The first answers to all other names; without any, the default agent does."
        ),
    ] = {}
    prices: Annotated[
        dict[str, Price],
        Meta(
            description="What a model's tokens cost, one table each: "
            '`[prices."MODEL"]`, see [usage and cost](../guides/usage.md).'
        ),
    ] = {}

    @property
    def signup_open(self) -> bool:
        """Whoever opens a server to a network has not thereby invited strangers to run its agents."""
        return self.signup == "open"

    @property
    def signup_here(self) -> bool:
        """Open to this machine's own people: a server on it alone may still be behind a proxy of it."""
        return self.signup == "auto" and is_loopback_address(self.host)

    @property
    def postgres(self) -> str | None:
        """The URL behind `db` when it names a PostgreSQL database. It may hold a password."""
        return self.db if self.db.startswith(("postgresql://", "postgres://")) else None

    @property
    def database(self) -> str:
        """`db` for people to read: without the password."""
        if self.postgres is None:
            return str(self.path)
        parts = urlsplit(self.postgres)
        user = f"{parts.username}@" if parts.username else ""
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}"

    @property
    def path(self) -> Path:
        """The SQLite file behind `db`."""
        return Path(self.db.removeprefix("sqlite:///")).expanduser()


FILE_ONLY = frozenset({"agents", "models", "prices"})
"""Tables: no variable can hold them."""


def kinds() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def variable_of(name: str) -> str:
    return f"RUNWELL_{name.upper()}"


def base_of(kind: Any) -> Any:
    while hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    return kind


def metas_of(kind: Any) -> list[Meta]:
    return [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta)]


def unit_of(kind: Any) -> str | None:
    for meta in metas_of(kind):
        if meta.extra and "unit" in meta.extra:
            return str(meta.extra["unit"])
    return None

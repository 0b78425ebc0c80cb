"""What a dialect is to the server, and what the server gives it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Scope

from runwell.auth.authenticator import Authenticator
from runwell.auth.sessions import Accounts
from runwell.dialects.exchange import Call, Reply
from runwell.domain.events import LoggedEvent
from runwell.domain.run import Run
from runwell.engine.core import Core
from runwell.stream.presence import Closing

CheckAddress = Callable[[str], Awaitable[object]]
"""Raises `AddressRefused` for a URL that callbacks may not be posted to, as its name resolves now."""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be set for single dialects."""

    flowyble_rate: int = 100
    """Requests of one key in 60 s; 0 is no limit. Local mode has none."""
    praisonai_agent_root: str = ""
    """The folder that `agent_file` may name files in; empty for the current one."""
    concurrency: int = 100
    """How many runs are worked on at once, for APIs that tell."""
    origins: tuple[str, ...] = ()
    """Web origins whose pages may read answers, for dialects that see to it themselves."""
    recoup_empty_stream: Literal["204", "finish"] = "204"
    """How the Recoup API says that there is nothing to watch: without a body, or as a stream that ends."""
    recoup_cancel_on_leave: bool = False
    """Whether a run of the Recoup API is cancelled when somebody who watches it leaves."""
    hardwire_wire: Literal["docs", "app"] = "docs"
    """Which form of the Hardwire API is spoken: the documented one, or that of the product's web client."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a dialect works with."""

    core: Core
    authenticator: Authenticator
    closing: Closing
    check_address: CheckAddress
    options: Options = field(default_factory=Options)
    accounts: Accounts | None = None
    """For dialects that sign people in."""


HotHandler = Callable[[Call], Awaitable[Reply | Response | None]]
"""Answers a call, or returns None to leave it to the dialect's app. A `Response` is an event stream."""


@dataclass(frozen=True, slots=True)
class HotRoute:
    """A route that the front serves without the framework.

    `path` is the template of a route that the dialect's app has too, with at most one parameter:
    the app documents it, and serves it with the same handler where there is no front.
    """

    method: str
    path: str
    handler: HotHandler


RenderBody = Callable[[Run, LoggedEvent], Awaitable[bytes]]
"""The body that a callback posts for an event of a run; the run is as it is now. Called once for each
delivery. Raises `LogPruned` and the like when there is nothing left to tell from."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One HTTP API. It is mounted twice: at the root, and under its name.

    `app` has all its routes, at the paths of the original, and renders its own validation errors,
    404, 405 and `RunwellError`s. `refuse` renders what is decided before the app is reached: a
    guard's refusal, a body too large, an error in a hot route. `own_cors`: its app answers web pages
    of other origins itself, so the front does not. `callback_bodies` are the formats of callbacks that it
    knows how to write, by the word that stands in the delivery.
    """

    name: str
    app: FastAPI
    hot: tuple[HotRoute, ...]
    refuse: Callable[[Exception, Scope], Reply]
    own_cors: bool = False
    callback_bodies: Mapping[str, RenderBody] = field(default_factory=dict)


BuildDialect = Callable[[Services], Dialect]

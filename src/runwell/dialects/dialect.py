"""What a dialect is to the server, and what the server gives it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Scope

from runwell.auth.authenticator import Authenticator
from runwell.dialects.exchange import Call, Reply
from runwell.engine.core import Core
from runwell.stream.presence import Closing


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a dialect works with."""

    core: Core
    authenticator: Authenticator
    closing: Closing


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


@dataclass(frozen=True, slots=True)
class Dialect:
    """One HTTP API. It is mounted twice: at the root, and under its name.

    `app` has all its routes, at the paths of the original, and renders its own validation errors,
    404, 405 and `RunwellError`s. `refuse` renders what is decided before the app is reached: a
    guard's refusal, a body too large, an error in a hot route. `own_cors`: its app answers web pages
    of other origins itself, so the front does not.
    """

    name: str
    app: FastAPI
    hot: tuple[HotRoute, ...]
    refuse: Callable[[Exception, Scope], Reply]
    own_cors: bool = False


BuildDialect = Callable[[Services], Dialect]

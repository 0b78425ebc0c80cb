"""Routes are built once for all apps of a test process.

Reading the signature of an endpoint takes the framework longer than most tests take in all, and what
comes of it is the same for every app: a route keeps nothing of the app it was built for, but for the
overrides of dependencies, which nobody here uses.
"""

from typing import Any

from fastapi.routing import APIRouter
from starlette.routing import BaseRoute

_built: dict[tuple[Any, ...], BaseRoute] = {}
_plain = APIRouter.add_api_route


def share_routes() -> None:
    """From now on, in this process."""
    APIRouter.add_api_route = _add  # type: ignore[method-assign, assignment]


def _add(router: APIRouter, path: str, endpoint: Any, **how: Any) -> None:
    if endpoint.__closure__ is not None or "<locals>" in endpoint.__qualname__:
        # It belongs to one app.
        return _plain(router, path, endpoint, **how)
    key = (path, endpoint, tuple(how["methods"]), how.get("route_class_override"), router.prefix)
    route = _built.get(key)
    if route is None:
        _plain(router, path, endpoint, **how)
        _built[key] = router.routes[-1]
    else:
        router.routes.append(route)
        router._mark_routes_changed()

"""The app, assembled: every dialect at the root and under its name, and the server's own routes."""

from collections.abc import Iterable, Sequence

from fastapi.routing import iter_route_contexts

from runwell.auth.local_mode import allowed_origins
from runwell.dialects.catalogue import DIALECTS
from runwell.dialects.dialect import BuildDialect, Dialect, HotHandler, RenderBody, Services
from runwell.server.cors import Cors
from runwell.server.dashboard.dashboard import Dashboard
from runwell.server.docs import Docs, OpenApi
from runwell.server.front import Front
from runwell.server.guard import LocalGuard
from runwell.server.health import Health
from runwell.server.metrics import Metrics
from runwell.server.paths import Mount, Paths

MAX_BODY = 4 * 2**20
"""Bytes of one request's body."""


def build_app(
    services: Services,
    *,
    metrics: Metrics | None = None,
    origins: Iterable[str] = (),
    max_body: int = MAX_BODY,
    dialects: Sequence[BuildDialect] = DIALECTS,
) -> Front:
    """The ASGI app over these rooms.

    `origins` are the web origins whose pages may read answers; local mode lets them in beside its
    own. Nothing is started here.
    Raises `ValueError` when two dialects claim one method and path or one format of callbacks, and
    for an origin that is none.
    """
    metrics = metrics or Metrics(services.closing)
    built = [build(services) for build in dialects]
    native = Mount(built[0], "")
    paths = Paths(native)
    _add_own(paths, native, services, metrics)
    for method, path, handler in Dashboard(services, native.dialect.app).routes():
        paths.add(path, method, native).hot[method] = handler
    for dialect in built:
        root = native if dialect is built[0] else Mount(dialect, "")
        named = Mount(dialect, f"/{dialect.name}")
        add_routes(paths, root)
        add_routes(paths, named)
        _add_get(paths, f"{named.prefix}/openapi.json", named, OpenApi(dialect, named.prefix))
    listed, local_mode = allowed_origins(origins), services.authenticator.local_mode
    guard = LocalGuard(listed) if local_mode else None
    cors = Cors(listed, local_mode=local_mode)
    return Front(paths, metrics, guard, cors, max_body, callback_bodies_of(built))


def callback_bodies_of(dialects: Iterable[Dialect]) -> dict[str, RenderBody]:
    """Every format of callbacks, by its word. Raises `ValueError` for a word that two claim."""
    bodies: dict[str, RenderBody] = {}
    for dialect in dialects:
        for word, render in dialect.callback_bodies.items():
            if word in bodies:
                raise ValueError(f"{dialect.name} claims the callback format {word!r}, which is another's")
            bodies[word] = render
    return bodies


def add_routes(paths: Paths, mount: Mount) -> None:
    """Claim every route of the mount's dialect, below its prefix."""
    for context in iter_route_contexts(mount.dialect.app.routes):
        for method in context.methods or ():
            paths.add(mount.prefix + (context.path or ""), method, mount)
    for route in mount.dialect.hot:
        place = paths.add(mount.prefix + route.path, route.method, mount)
        place.hot[route.method] = route.handler


def _add_own(paths: Paths, native: Mount, services: Services, metrics: Metrics) -> None:
    health, docs = Health(services, metrics), Docs()
    for path, handler in (
        ("/docs", docs.page),
        ("/docs/assets/{name}", docs.asset),
        ("/openapi.json", OpenApi(native.dialect, "", with_server=True)),
        ("/healthz", health.alive),
        ("/readyz", health.ready),
        ("/metrics", health.metrics),
    ):
        _add_get(paths, path, native, handler)


def _add_get(paths: Paths, path: str, mount: Mount, handler: HotHandler) -> None:
    paths.add(path, "GET", mount).hot["GET"] = handler

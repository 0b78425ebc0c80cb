"""The front: guards, limits, mounts, health, metrics and the documentation page."""

import gzip
import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import Message

from runwell.dialects.dialect import Dialect
from runwell.dialects.exchange import Reply
from runwell.dialects.native.dialect import build_native
from runwell.domain.errors import StoreUnavailable
from runwell.domain.principal import Scope
from runwell.server.app import build_app
from tests.support.asgi import AsgiClient
from tests.support.house import House, a_house

LIMIT = 1_000


@pytest.fixture
async def keyed(tmp_path) -> AsyncIterator[House]:
    async with a_house(tmp_path / "keyed", local_mode=False) as house:
        yield house


@pytest.fixture
async def narrow(tmp_path) -> AsyncIterator[House]:
    async with a_house(tmp_path / "narrow", max_body=LIMIT, origins=["https://app.example"]) as house:
        yield house


PATHS = ["/runs", "/native/runs", "/runs/x", "/healthz", "/docs", "/nothing", "/metrics", "/"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.nip.io:8005", "0.0.0.0:8005", ""])
async def test_local_mode_refuses_foreign_hosts_before_routing(house: House, path, host):
    answer = await house.client.get(path, headers={"host": host})
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
async def test_local_mode_refuses_foreign_pages_before_routing(house: House, path, origin):
    answer = await house.client.get(path, headers={"origin": origin})
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


async def test_a_foreign_page_changes_nothing(house: House):
    await house.client.post("/runs", {"input": "x"}, headers={"origin": "https://evil.example"})
    assert (await house.client.get("/runs")).json["runs"] == []


async def test_a_second_host_or_origin_is_looked_at_too(house: House):
    for name, good, bad in (
        ("host", "localhost", "evil.example"),
        ("origin", "http://localhost", "http://e.x"),
    ):
        for values in ((good, bad), (bad, good)):
            answer = await house.client.get("/healthz", headers=[(name, value) for value in values])
            assert answer.status == 403


@pytest.mark.parametrize("path", PATHS)
async def test_local_mode_refuses_what_foreign_pages_fetch_without_an_origin(house: House, path):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    answer = await house.client.get(path, headers=headers)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    twice = [*headers.items(), ("accept", "image/png"), ("accept", "*/*")]
    assert (await house.client.get(path, headers=twice)).status == 403


async def test_no_dialect_is_open_to_a_foreign_page_in_local_mode(house: House):
    """Neither for a form (text/plain) nor for EventSource, nor where a dialect answers `*` itself."""
    page = {"origin": "https://evil.example", "content-type": "text/plain"}
    tried = 0
    for template, method in sorted(house.templates()):
        answer = await house.client.request(
            method, template, headers=page, body=b'{"prompt":"x","input":"x"}'
        )
        assert answer.status == 403, (method, template, answer.text)
        tried += 1
    assert tried > 200
    assert (await house.client.get("/runs")).json["runs"] == []


async def test_local_mode_refuses_what_a_proxy_brings_from_elsewhere(house: House):
    for address, status in (("203.0.113.7", 403), ("127.0.0.1", 200), ("::1", 200)):
        told: list[Message] = []

        async def send(message: Message, told: list[Message] = told) -> None:
            told.append(message)

        async with house.client.open("GET", "/runs") as exchange:
            scope = {**exchange.scope, "client": (address, 1)}
        await house.app(scope, exchange._receive, send)
        assert told[0]["status"] == status


async def test_a_request_without_a_host_is_refused(house: House):
    async with house.client.open("GET", "/healthz") as exchange:
        scope = {**exchange.scope, "headers": []}
    assert (await AsgiClient(lambda _, receive, send: house.app(scope, receive, send)).get("/")).status == 403


async def test_listed_pages_and_this_machines_enter(narrow: House):
    for origin in ("https://app.example", "http://localhost:3000", "http://127.0.0.1:8005"):
        assert (await narrow.client.get("/runs", headers={"origin": origin})).status == 200


async def test_with_keys_any_host_may_be_asked(keyed: House):
    client = await keyed.client_of("ann")
    headers = {"host": "runs.example.com", "origin": "https://elsewhere.example"}
    assert (await client.get("/runs", headers=headers)).status == 200


@pytest.mark.parametrize("path", ["/runs", "/native/runs", "/threads", "/keys", "/nothing"])
async def test_a_body_that_says_it_is_too_large_is_refused_unread(narrow: House, path):
    async with narrow.client.open("POST", path, headers={"content-length": str(LIMIT + 1)}) as exchange:
        await exchange.started()
        body = await exchange.read()
    assert exchange.status == 413
    assert b'"code":"too_large"' in body


async def test_who_asks_before_sending_a_large_body_is_told_at_once(narrow: House):
    headers = {"content-length": str(10**12), "expect": "100-continue"}
    async with narrow.client.open("POST", "/runs", headers=headers, unsent=True) as exchange:
        await exchange.started()
    assert (exchange.status, exchange.headers["connection"]) == (413, "close")
    assert exchange.taken == 0


@pytest.mark.parametrize("path", ["/runs", "/threads", "/native/threads"])
async def test_a_body_that_does_not_say_its_size_is_counted(narrow: House, path):
    parts = [b'{"metadata": {"k": "', b"x" * LIMIT, b'"}, "input": 1}']
    answer = await narrow.client.post(path, body=parts)
    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert (await narrow.client.get("/runs")).json["runs"] == []


async def test_a_body_that_is_too_large_with_its_last_piece_is_answered_at_once(narrow: House):
    for parts in ([b"x" * (LIMIT + 1)], [b"x" * LIMIT, b"x"]):
        answer = await narrow.client.post("/runs", body=parts)
        assert (answer.status, answer.json["code"]) == (413, "too_large")


async def test_a_body_at_the_limit_is_read(narrow: House):
    body = b'{"input": "%b"}' % (b"x" * (LIMIT - 13))
    assert len(body) == LIMIT
    assert (await narrow.client.request("POST", "/runs", body=body)).status == 202
    assert (await narrow.client.request("POST", "/runs", body=[body[:10], body[10:]])).status == 202
    assert (await narrow.client.request("POST", "/runs", body=body + b" ")).status == 413


async def test_a_large_body_in_front_of_a_stream_ends_it(narrow: House):
    run = await narrow.a_running_run()
    parts = [b"x" * LIMIT] * 3
    headers = {"accept": "text/event-stream"}
    async with narrow.client.open("GET", f"/runs/{run.id}/events", headers=headers, body=parts) as exchange:
        await exchange.started()
        await exchange.ended()
    assert not narrow.closing.streams


async def test_alive_and_ready(house: House, monkeypatch):
    assert (await house.client.get("/healthz")).json == {"status": "ok"}
    assert (await house.client.get("/readyz")).json == {"status": "ready"}


async def test_a_server_without_its_disk_is_alive_and_not_ready(house: House, monkeypatch):
    async def gone():
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(house.store, "check", gone)
    answer = await house.client.get("/readyz")
    assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
    assert answer.headers["retry-after"]
    assert (await house.client.get("/healthz")).status == 200


async def test_a_closing_server_is_not_ready(house: House):
    house.closing.begin()
    assert (await house.client.get("/readyz")).status == 503
    assert (await house.client.get("/healthz")).status == 200


async def test_health_wants_no_key(keyed: House):
    assert (await keyed.client.get("/healthz")).status == 200
    assert (await keyed.client.get("/readyz")).status == 200


async def test_metrics_want_an_admin(keyed: House):
    assert (await keyed.client.get("/metrics")).status == 401
    reader = await keyed.client_of("ann", [Scope.RUNS_READ, Scope.RUNS_WRITE])
    assert (await reader.get("/metrics")).status == 403
    admin = await keyed.client_of("root", [Scope.ADMIN])
    assert (await admin.get("/metrics")).status == 200


async def test_what_has_happened_is_counted(house: House):
    await house.a_finished_run()
    await house.a_running_run(agent="counter", input=1)
    await house.submit()
    house.clock.move(12)
    await house.client.get("/runs/nonsense")
    for _ in range(2):
        await house.client.get("/agents")
    await house.client.get("/nothing")
    answer = await house.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = set(answer.text.splitlines())
    assert {
        'runwell_http_requests_total{method="GET",route="/runs/{run_id}",status="422"} 1.0',
        'runwell_http_requests_total{method="GET",route="/agents",status="200"} 2.0',
        'runwell_http_requests_total{method="GET",route="(none)",status="404"} 1.0',
        'runwell_run_transitions_total{command="create",status="queued"} 3.0',
        'runwell_run_transitions_total{command="claim",status="running"} 2.0',
        'runwell_run_transitions_total{command="succeed",status="succeeded"} 1.0',
        'runwell_runs_queued{agent="echo"} 1.0',
        'runwell_runs_running{agent="counter"} 1.0',
        'runwell_oldest_queued_seconds{agent="echo"} 12.0',
        "runwell_event_streams 0.0",
        "runwell_long_polls 0.0",
    } <= lines
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)


async def test_two_servers_in_one_process_count_apart(house: House, narrow: House):
    await house.client.get("/agents")
    assert "/agents" not in (await narrow.client.get("/metrics")).text


async def test_the_root_leads_to_the_runs(house: House):
    answer = await house.client.get("/")
    assert (answer.status, answer.headers["location"]) == (307, "/ui/")


async def test_the_documentation_needs_no_network(house: House):
    page = await house.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        if not link.startswith("data:"):
            asset = await house.client.get(link)
            assert asset.status == 200, link
            assert len(asset.body) > 100
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert "<script>" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    start = (await house.client.get("/docs/assets/start.js")).text
    assert 'url: "/openapi.json"' in start
    assert "validatorUrl: null" in start


async def test_the_pages_files_are_sent_packed_to_whoever_takes_them_so(house: House):
    path = "/docs/assets/swagger-ui-bundle.js"
    plain = await house.client.get(path)
    packed = await house.client.get(path, headers={"accept-encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert b"SwaggerUIBundle" in plain.body


@pytest.mark.parametrize("name", ["LICENSE", "..%2f..%2fapp.py", "%2e%2e", "swagger-ui.css.gz"])
async def test_only_the_pages_own_files_are_served(house: House, name):
    assert (await house.client.get(f"/docs/assets/{name}")).status == 404


async def test_both_mounts_serve_the_same(house: House):
    named = {template for template, _ in house.templates() if template.startswith("/native/")}
    for template in named - {"/native/openapi.json"}:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            at_root = (template.removeprefix("/native"), method) in house.templates()
            assert at_root == ((template, method) in house.templates())


async def test_every_hot_route_is_the_apps_too(house: House):
    dialect = build_native(house.services)
    routes = {
        (context.path, method)
        for context in iter_route_contexts(dialect.app.routes)
        for method in context.methods or ()
    }
    assert dialect.hot
    assert {(route.path, route.method) for route in dialect.hot} <= routes


async def test_no_two_root_mounts_share_a_method_and_a_path(house: House):
    """Building the app is the proof: it refuses. Here is that it does, also for other parameters' names."""

    def rival(services) -> Dialect:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.add_api_route("/runs/{whatever}", lambda whatever: None, methods=["GET"])
        return Dialect("rival", app, (), lambda error, scope: Reply(500, []))

    with pytest.raises(ValueError, match=r"GET /runs/\{whatever\} is claimed by native and rival"):
        build_app(house.services, dialects=[build_native, rival])


async def test_a_second_dialect_keeps_its_own_errors(house: House):
    def other(services) -> Dialect:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

        @app.get("/v1/things/{number}")
        async def thing(number: int) -> dict[str, int]:
            return {"number": number}

        return Dialect("other", app, (), lambda error, scope: Reply(418, [], b"other's own"))

    client = AsgiClient(build_app(house.services, dialects=[build_native, other], max_body=10))
    for mount in ("", "/other"):
        assert (await client.get(f"{mount}/v1/things/7")).json == {"number": 7}
        assert "detail" in (await client.get(f"{mount}/v1/things/x")).json
        assert (await client.get(f"{mount}/v1/other")).json == {"detail": "Not Found"}
        assert (await client.post(f"{mount}/v1/things/7", body=b"x" * 11)).body == b"other's own"
        assert (await client.get(f"{mount}/v1/x", headers={"host": "evil.example"})).status == 418
    assert (await client.get("/other/openapi.json")).json["paths"]["/v1/things/{number}"]
    assert (await client.get("/nothing")).json["code"] == "no_such_path"


async def test_the_lifespan_is_answered_and_websockets_are_not(house: House):
    async def talk(scope, *messages):
        incoming, sent = list(messages), []

        async def receive():
            return incoming.pop(0)

        async def send(message):
            sent.append(message["type"])

        await house.app(scope, receive, send)
        return sent

    begun = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    assert await talk({"type": "lifespan"}, *begun) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert await talk({"type": "websocket"}, {"type": "websocket.connect"}) == ["websocket.close"]

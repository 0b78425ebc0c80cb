"""The dashboard's pages as answers: who may see them, what they forbid themselves, what they are made of."""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode

import pytest

from runwell.auth import cookies
from runwell.auth.authenticator import Authenticator
from runwell.auth.rate_limit import RateLimit
from runwell.domain.commands import Fail
from runwell.domain.errors import StoreUnavailable
from runwell.domain.principal import Scope
from runwell.domain.run import RunError
from runwell.server.app import build_app
from runwell.server.dashboard.assets import Assets
from runwell.server.dashboard.rows import what
from tests.support.asgi import Answer, AsgiClient
from tests.support.house import House, a_house

FOLDER = Path(str(files("runwell.server.dashboard")))
NODE = Path(__file__).parents[1] / "node"
EMAIL, PASSWORD = "ann@example.com", "correct horse battery"
OWN = {"origin": "http://127.0.0.1:8005", "sec-fetch-site": "same-origin"}
FOREIGN = {"origin": "http://elsewhere.example", "sec-fetch-site": "cross-site"}


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[House]:
    """A server that wants to know who asks."""
    async with a_house(tmp_path / "closed", local_mode=False) as house:
        yield house


async def sign_in(
    client: AsgiClient, *, email: str = EMAIL, following: str = "/ui/", **headers: str
) -> Answer:
    fields = urlencode({"email": email, "password": PASSWORD, "next": following}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.request("POST", "/ui/sign-in", body=fields, headers={**OWN, **named})


async def signed_in(house: House, *, admin: bool = False) -> AsgiClient:
    await house.accounts.create(EMAIL, "Ann", PASSWORD, admin=admin)
    answer = await sign_in(house.client)
    assert answer.status == 303
    return house.client.with_headers(cookie=answer.headers["set-cookie"].partition(";")[0])


def policy(answer: Answer) -> dict[str, str]:
    parts = answer.headers["content-security-policy"].split("; ")
    return {name: value for name, _, value in (part.partition(" ") for part in parts)}


async def test_the_first_rows_are_there_before_any_script(house: House):
    run = await house.submit("<b>hi</b>")
    await house.claim(run)
    await house.do(run, Fail(reason="error", error=RunError("Bad", "<img src=x onerror=alert(1)></script>")))
    page = (await house.client.get("/ui/")).text
    rows, _, seed = page.partition('<script type="application/json" id="seed">')
    assert f'<tr data-id="run_{run.id}">' in rows
    assert "&lt;img src=x onerror=alert(1)&gt;" in rows and "<img" not in rows
    first, _, _ = seed.partition("</script>")
    assert (
        json.loads(first)["first"]["runs"][0]["error"]["message"] == "<img src=x onerror=alert(1)></script>"
    )


async def test_filters_of_the_url_hold_for_the_first_rows(house: House):
    run, other = await house.submit("one", agent="echo"), await house.submit(2, agent="counter")
    page = (await house.client.get("/ui/?agent=counter")).text
    assert f"run_{other.id}" in page and f"run_{run.id}" not in page
    wrong = await house.client.get("/ui/?status=lost")
    assert wrong.status == 200 and '"code":"invalid_input"' in wrong.text


async def test_a_page_runs_only_what_bears_its_nonce(house: House):
    one, other = await house.client.get("/ui/"), await house.client.get("/ui/")
    rules = policy(one)
    nonce = rules["script-src"].removeprefix("'nonce-").removesuffix("'")
    assert rules["script-src"] == f"'nonce-{nonce}'" and len(nonce) >= 20
    assert policy(other)["script-src"] != rules["script-src"]
    assert (rules["default-src"], rules["connect-src"], rules["img-src"]) == (
        "'none'",
        "'self'",
        "'self' data:",
    )
    assert rules["report-uri"] == "/ui/csp-reports" and "frame-ancestors" in rules
    scripts = re.findall(r"<script[^>]*>", one.text)
    assert all(f'nonce="{nonce}"' in tag or "application/json" in tag for tag in scripts)
    assert not re.search(r"""\son[a-z]+\s*=|\sstyle\s*=|javascript:""", one.text)


@pytest.mark.parametrize(
    "path", ["/ui/nothing", "/ui/runs/x", "/ui/runs/run_" + "0" * 32, "/ui/assets/old/app.js"]
)
async def test_what_is_not_there_is_a_page_that_says_so(house: House, path: str):
    answer = await house.client.get(path)
    assert answer.status == 404
    assert "assets" in path or 'href="/ui/"' in answer.text


async def test_a_refusal_of_the_api_is_told_in_its_own_words(closed: House):
    nobody = await closed.client_of("nobody", scopes={Scope.AGENTS_WRITE})
    answer = await nobody.get("/ui/runs/run_" + "0" * 32)
    assert answer.status == 403
    assert "This needs the scope runs:read; the key has agents:write" in answer.text
    assert "Make a key with the scope runs:read" in answer.text


async def test_what_can_be_read_has_a_head(house: House):
    page = (await house.client.get("/ui/")).text
    script = re.search(r'src="(/ui/assets/[^"]+)"', page)
    assert script is not None
    for path in ("/ui/", "/ui/agents", script[1]):
        for method in ("GET", "HEAD"):
            assert (await house.client.request(method, path)).status == 200


async def test_a_refusal_says_when_to_ask_again(closed: House):
    client = await closed.client_of("ann")
    auth = Authenticator(closed.store, closed.clock, rate_limit=RateLimit(1, seconds=60))
    limited = AsgiClient(build_app(replace(closed.services, authenticator=auth)), client.headers)
    path = f"/ui/runs/run_{(await closed.submit(owner='ann')).id}"
    assert (await limited.get(path)).status == 200
    answer = await limited.get(path)
    assert (answer.status, answer.headers["retry-after"]) == (429, "60")
    assert (
        "<h1>Too Many Requests</h1><p>More than 1 requests in 60 seconds.</p><p>Ask again in" in answer.text
    )


async def test_a_page_whose_database_is_away_says_so_and_when_to_ask_again(
    closed: House, monkeypatch: pytest.MonkeyPatch
):
    client = await signed_in(closed)

    async def away(*given: object) -> None:
        raise StoreUnavailable("the disk is full", retry_after=7)

    monkeypatch.setattr(closed.store.runs, "get", away)
    answer = await client.get("/ui/runs/run_" + "0" * 32)
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert "the disk is full" in answer.text


async def test_what_a_browser_says_of_its_cache_is_not_said_to_the_api(house: House):
    path = f"/runs/run_{(await house.submit()).id}"
    seen = (await house.client.get(path)).headers["etag"]
    assert (await house.client.get(f"/ui{path}", headers={"if-none-match": seen})).status == 200


async def test_an_address_makes_the_first_page_no_longer(house: House):
    for _ in range(3):
        await house.succeed(await house.a_running_run(), "word " * 50_000)
    page = await house.client.get("/ui/?output=true&limit=100")
    assert (page.status, page.text.count("<tr data-id")) == (200, 3)
    assert len(page.body) < 30_000


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/ui/", "GET, HEAD"),
        ("/ui", "GET, HEAD"),
        ("/ui/agents", "GET, HEAD"),
        ("/ui/runs/run_1", "GET, HEAD"),
        ("/ui/assets/old/vendor/marked.js", "GET, HEAD"),
        ("/ui/sign-in", "GET, HEAD, POST"),
        ("/ui/sign-out", "POST"),
        ("/ui/csp-reports", "POST"),
    ],
)
async def test_what_cannot_be_done_to_a_page_is_told_with_what_can(house: House, path: str, allowed: str):
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - set(allowed.split(", ")):
        answer = await house.client.request(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allowed), method
    assert (await house.client.delete("/ui/nothing")).status == 404


async def test_pages_may_use_no_device(house: House):
    page = await house.client.get("/ui/")
    assert "camera=()" in page.headers["permissions-policy"]


async def test_the_first_rows_name_whose_runs_of_others_are_and_lead_to_own_ones_alone(house: House):
    theirs, own = await house.submit(owner="<ann>"), await house.submit()
    page = (await house.client.get("/ui/?all_owners=true")).text.partition('id="seed"')[0]
    assert f'href="/ui/runs/run_{own.id}"' in page
    assert f'data-id="run_{theirs.id}"' in page and f'href="/ui/runs/run_{theirs.id}"' not in page
    assert " of &lt;ann&gt;</span>" in page


async def test_of_a_form_that_is_too_long_no_more_is_read_than_is_needed(house: House):
    pieces = [b"x" * 8_000] * 100
    for path in ("/ui/sign-in", "/ui/csp-reports"):
        async with house.client.open("POST", path, headers=OWN, body=pieces) as exchange:
            await exchange.started()
            assert (exchange.status, exchange.taken) == (413, 3 if path == "/ui/sign-in" else 2)


async def test_the_first_rows_say_how_outputs_begin_and_do_not_bring_them(house: House):
    await house.succeed(await house.a_running_run(), "<i>word</i>\n" * 50_000)
    page = (await house.client.get("/ui/")).text
    assert len(page) < 30_000
    assert "&lt;i&gt;word&lt;/i&gt; &lt;i&gt;word&lt;/i&gt;" in page


async def test_reports_are_counted_and_bounded(house: House):
    for _ in range(30):
        assert (
            await house.client.request("POST", "/ui/csp-reports", body=b'{"csp-report": {}}')
        ).status == 204
    assert (await house.client.request("POST", "/ui/csp-reports", body=b"x" * 9_000)).status == 413
    counted = 'runwell_http_requests_total{method="POST",route="/ui/csp-reports",status="204"} 30.0'
    assert counted in (await house.client.get("/metrics")).text


class TestSigningIn:
    async def test_whoever_is_not_signed_in_is_led_to_the_form_and_back(self, closed: House):
        answer = await closed.client.get("/ui/?status=failed")
        assert (answer.status, answer.headers["location"]) == (303, "/ui/sign-in?next=/ui/%3Fstatus%3Dfailed")
        page = await closed.client.get(answer.headers["location"])
        assert 'name="next" value="/ui/?status=failed"' in page.text
        await closed.accounts.create(EMAIL, "Ann", PASSWORD)
        back = await sign_in(closed.client, following="/ui/?status=failed")
        assert (back.status, back.headers["location"]) == (303, "/ui/?status=failed")
        assert "HttpOnly; SameSite=Lax" in back.headers["set-cookie"]

    @pytest.mark.parametrize(
        "following", ["//evil.example", "/\\evil.example", "https://evil.example", "/runs", "/ui/\r\nx: y"]
    )
    async def test_nobody_is_led_elsewhere(self, closed: House, following: str):
        await closed.accounts.create(EMAIL, "Ann", PASSWORD)
        assert (await sign_in(closed.client, following=following)).headers["location"] == "/ui/"

    async def test_a_wrong_password_is_told_and_the_address_is_kept(self, closed: House):
        answer = await sign_in(closed.client, email='"><script>@example.com')
        assert answer.status == 401 and 'role="alert"' in answer.text
        assert "&quot;&gt;&lt;script&gt;@example.com" in answer.text and "set-cookie" not in answer.headers

    async def test_a_foreign_page_can_sign_nobody_in_or_out(self, closed: House):
        client = await signed_in(closed)
        assert (await sign_in(closed.client, **FOREIGN)).status == 403
        assert (await client.request("POST", "/ui/sign-out", headers=FOREIGN)).status == 403
        assert (await client.get("/ui/")).status == 200

    async def test_the_native_api_knows_who_is_signed_in_for_its_own_pages_alone(self, closed: House):
        client = await signed_in(closed)
        assert (await client.get("/runs")).status == 200
        body = {"agent": "echo", "input": "x"}
        made = await client.post("/runs", body, headers=OWN)
        assert made.status == 202
        run = (await client.get("/runs")).json["runs"][0]
        assert run["id"] == made.json["id"]
        assert (await client.post("/runs", body, headers=FOREIGN)).status == 403
        sibling = {"origin": "http://other.127.0.0.1:8005", "sec-fetch-site": "same-site"}
        assert (await client.post(f"/runs/{run['id']}/cancel", headers=sibling)).status == 403
        assert (await client.get("/keys")).status == 403, "a user is no administrator"
        assert (await closed.client.get("/runs")).status == 401

    async def test_after_signing_out_the_cookie_is_good_for_nothing(self, closed: House):
        client = await signed_in(closed)
        answer = await client.request("POST", "/ui/sign-out", headers=OWN)
        assert (answer.status, answer.headers["location"]) == (303, "/ui/sign-in")
        assert (await client.get("/runs")).status == 401
        assert (await client.get("/ui/")).status == 303

    async def test_signing_in_again_ends_the_session_before(self, closed: House):
        client = await signed_in(closed)
        answer = await sign_in(closed.client, cookie=client.headers["cookie"])
        assert answer.status == 303
        assert (await client.get("/runs")).status == 401
        again = closed.client.with_headers(cookie=answer.headers["set-cookie"].partition(";")[0])
        assert (await again.get("/runs")).status == 200

    async def test_what_a_session_changes_is_limited_as_for_a_key_and_what_it_reads_is_not(
        self, closed: House
    ):
        client = await signed_in(closed)
        auth = Authenticator(closed.store, closed.clock, rate_limit=RateLimit(2, seconds=60))
        limited = AsgiClient(build_app(replace(closed.services, authenticator=auth)), client.headers)
        body = {"agent": "echo", "input": "x"}
        assert [(await limited.get("/runs")).status for _ in range(5)] == [200] * 5
        posts = [(await limited.post("/runs", body, headers=OWN)).status for _ in range(3)]
        assert posts == [202, 202, 429]

    async def test_an_old_cookie_does_not_end_local_mode(self, house: House):
        stale = house.client.with_headers(cookie=f"{cookies.NAME}=gone")
        assert (await stale.get("/ui/")).status == 200
        assert (await stale.get("/runs")).status == 200

    @pytest.mark.parametrize(("admin", "status"), [(False, 403), (True, 200)])
    async def test_only_administrators_see_what_is_everybodys(self, closed: House, admin: bool, status: int):
        client = await signed_in(closed, admin=admin)
        for path in ("/ui/keys", "/ui/users", "/ui/workers"):
            assert (await client.get(path)).status == status
        assert ("/ui/keys" in (await client.get("/ui/")).text) is admin


class TestAssets:
    @pytest.mark.parametrize(
        ("accepted", "packed"),
        [
            ("gzip, deflate, br", True), ("br;q=1, gzip;q=0.5", True), ("gzip;q=0", False),
            ("br, gzip; q=0.0", False), ("xgzip", False),
        ],
    )  # fmt: skip
    async def test_they_are_packed_for_who_unpacks_them(self, house: House, accepted: str, packed: bool):
        answer = await house.client.get(Assets().url("app.js"), headers={"accept-encoding": accepted})
        assert ("content-encoding" in answer.headers) is packed

    async def test_they_are_kept_for_good_under_the_name_of_their_build(self, house: House):
        page = (await house.client.get("/ui/")).text
        address = re.search(r'src="(/ui/assets/[0-9a-f]+/app\.js)"', page)
        assert address is not None
        answer = await house.client.get(address[1], headers={"accept-encoding": "gzip"})
        assert "immutable" in answer.headers["cache-control"] and answer.headers["content-encoding"] == "gzip"
        plain = await house.client.get(address[1])
        assert plain.body == gzip.decompress(answer.body)

    async def test_licences_and_notes_are_not_served(self, house: House):
        assert all(name.endswith((".js", ".css", ".svg")) for name in Assets().files)

    def test_all_scripts_of_all_pages_are_less_than_80_kb_packed(self):
        packed = {name: len(asset.packed) for name, asset in Assets().files.items() if name.endswith(".js")}
        assert sum(packed.values()) <= 80_000, packed

    def test_foreign_files_are_what_the_manifest_says(self):
        folder = FOLDER / "assets" / "vendor"
        manifest = json.loads((folder / "MANIFEST.json").read_text())
        assert {each["file"] for each in manifest} == {path.name for path in folder.glob("*.gz")}
        for each in manifest:
            inside = gzip.decompress((folder / each["file"]).read_bytes())
            assert hashlib.sha256(inside).hexdigest() == each["sha256"], each["file"]

    def test_the_script_is_what_the_modules_make(self):
        """`npm run dashboard` in tests/node writes it; whoever installs needs no npm."""
        if shutil.which("npm") is None or not (NODE / "node_modules" / "esbuild").exists():
            if os.environ.get("CI"):
                pytest.fail("no npm, or tests/node is not installed: 'make install-dev'")
            pytest.skip("needs npm and tests/node")
        made = subprocess.run(
            ["npm", "run", "--silent", "dashboard"], cwd=NODE, capture_output=True, check=True
        )
        assert made.stdout == (FOLDER / "assets" / "app.js").read_bytes(), "npm run dashboard is due"

    def test_modules_are_short_and_say_what_they_are(self):
        for path in (FOLDER / "modules").glob("*.js"):
            lines = path.read_text(encoding="utf-8").splitlines()
            assert lines[0].startswith("// ") and len(lines) <= 400, path.name
            assert "innerHTML" not in "".join(lines) or path.name == "markdown.js", path.name


RUN = {
    "status": "running", "error": None, "question": None, "progress": None, "steps": {"current": None},
    "queue_position": None, "not_before": None, "cancel_requested_at": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"question": {"question": {"pick": ["ä", True]}}, "status": "waiting"}, 'asks: {"pick":["ä",true]}'),
        ({"question": {"question": "sure?\n really?"}, "status": "waiting"}, "asks: sure? really?"),
        ({"status": "queued", "queue_position": 0}, "next in line"),
        ({"status": "queued", "queue_position": 1}, "1 run before it"),
        ({"status": "queued", "queue_position": 1_000}, "1,000 runs before it"),
        ({"status": "queued", "queue_position": 3, "not_before": "2999-01-01T00:00:00.000000Z"}, ""),
        ({"cancel_requested_at": "2026-11-28T00:00:00.000000Z"}, "is being cancelled"),
        ({"progress": {"step": "read\tit"}}, "read it"),
        ({"steps": {"current": "look up"}}, "look up"),
        ({"status": "succeeded", "preview": "it\n is  done"}, "it is done"),
        ({"status": "failed", "error": {"message": "x" * 300}}, "x" * 200),
    ],
)
def test_a_first_row_says_what_the_script_says_of_it(run: dict[str, object], said: str):
    """As `what` in words.js does."""
    assert what({**RUN, **run}) == said

"""What people do with the dashboard: by hand, by keyboard, by ear, on a phone, with a clock that is wrong."""

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from runwell.client import Client
from tests.browser.looking import a_page, inaccessible, until
from tests.support import shown_agents
from tests.support.live_server import LiveServer

SHOWN = Path(shown_agents.__file__)

pytestmark = [pytest.mark.e2e]

FOCUSED = "document.activeElement.textContent"
LISTENING = """() => {
    window.heard = [];
    const told = "[role=status], [role=alert], [aria-live]";
    new MutationObserver(all => all.forEach(({ target }) => {
        const place = (target.closest ? target : target.parentElement)?.closest(told);
        if (place?.textContent.trim()) window.heard.push(place.textContent);
    })).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
TWO_HOURS_OFF = """(() => {
    const Right = Date, off = 7_200_000;
    globalThis.Date = class extends Right {
        constructor(...given) { given.length ? super(...given) : super(Right.now() + off); }
        static now() { return Right.now() + off; }
    };
})()"""
SHIFTS = """
    window.shifts = [];
    new PerformanceObserver(list => window.shifts.push(...list.getEntries().map(each => each.value)))
        .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    allowed = {"RUNWELL_CALLBACKS_ALLOW": "127.0.0.1"}
    with LiveServer(tmp_path_factory.mktemp("use"), str(SHOWN), env=allowed) as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def test_keys_that_end_or_make_a_run_ask_first(browser: Browser, server: LiveServer, client: Client) -> None:
    run = client.runs.create("hang", "hello")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/runs/{run.id}")
        expect(page.locator(".run-head")).to_contain_text("running")
        page.keyboard.press("c")
        expect(page.get_by_role("dialog", name="Cancel this run?")).to_be_visible()
        assert page.evaluate(FOCUSED) == "Let it go on"
        page.keyboard.press("Enter")
        expect(page.locator("dialog")).to_have_count(0)
        assert client.runs.get(run.id).cancel_requested_at is None
        page.keyboard.press("c")
        expect(page.get_by_role("dialog", name="Cancel this run?")).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator(".run-head")).to_contain_text("cancelled")
        page.keyboard.press("r")
        expect(page.get_by_role("dialog", name="Retry this run?")).to_be_visible()
        assert page.evaluate(FOCUSED) == "Leave it"
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        page.keyboard.press("r")
        expect(page.get_by_role("dialog", name="Retry this run?")).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator(".facts").first).to_contain_text("Retry of")
        assert [each.agent for each in client.runs.list()] == ["hang", "hang"]
        client.runs.cancel(page.url.rpartition("/")[2])


def test_a_filter_changes_the_list_and_nothing_around_it(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    last = [client.runs.create("mirror", f"line {number}") for number in range(52)][-1]
    until(client, last.id, "succeeded")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/")
        expect(page.locator("tbody tr")).to_have_count(50)
        agent = page.get_by_label("Agent", exact=True)
        agent.fill("mirror")
        agent.evaluate("field => field.setSelectionRange(2, 4)")
        page.evaluate("window.field = document.activeElement")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{server.url}/ui/?agent=mirror")
        expect(page.locator("tbody .agent").first).to_contain_text("mirror")
        assert page.evaluate("document.activeElement === field && [field.selectionStart, field.selectionEnd]")
        assert page.evaluate("[field.selectionStart, field.selectionEnd, field.value]") == [2, 4, "mirror"]
        chip = page.get_by_role("button", name="failed")
        chip.focus()
        page.keyboard.press("Space")
        expect(page.get_by_role("heading", name="No run is like that")).to_be_visible()
        expect(chip).to_have_attribute("aria-pressed", "true")
        expect(chip).to_be_focused()
        page.keyboard.press("Space")
        expect(page).to_have_url(f"{server.url}/ui/?agent=mirror")
        expect(page.locator("tbody tr")).to_have_count(50)
        # What cannot be loaded is told, and can be tried again.
        page.route("**/runs?*limit=100*", lambda route: route.abort())
        page.get_by_role("button", name="Show older runs").click()
        expect(page.locator(".notice.bad")).to_contain_text("The server does not answer")
        expect(page.locator("tbody tr")).to_have_count(50)
        page.unroute_all()
        page.get_by_role("button", name="Show older runs").click()
        expect(page.locator("tbody tr")).to_have_count(52)
        page.get_by_role("link", name="Clear filters").click()
        expect(page).to_have_url(f"{server.url}/ui/")
        expect(page.get_by_label("Agent", exact=True)).to_have_value("")


def test_who_listens_hears_what_became_of_a_run_and_no_clocks(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    run = client.runs.create("hang", "hello")
    until(client, run.id, "running")
    with a_page(browser) as (page, _):
        page.clock.install()
        page.goto(f"{server.url}/ui/runs/{run.id}")
        lasted = page.locator(".facts > div", has_text="So far").first.locator("dd")
        expect(lasted).to_be_visible()
        page.evaluate(LISTENING)
        page.evaluate("window.kept = document.querySelector('.facts dd')")
        before = lasted.inner_text()
        for _ in range(6):
            with page.expect_response("**/why"):
                page.clock.run_for(2_500)
        expect(lasted).not_to_have_text(before)
        assert page.evaluate("[kept.isConnected, heard]") == [True, []]
        client.runs.cancel(run.id)
        page.clock.run_for(1_000)
        expect(page.locator(".run-head")).to_contain_text("cancelled")
        assert page.evaluate("heard") == ["hang: cancelled"]


def test_the_time_is_that_of_the_server(browser: Browser, server: LiveServer) -> None:
    asked: list[str] = []
    with a_page(browser) as (page, _):
        page.add_init_script(TWO_HOURS_OFF)
        page.on("request", lambda request: asked.append(request.url))
        with page.expect_response("**/runs/stats?*"):
            page.goto(f"{server.url}/ui/")
        page.get_by_text("Any time").click()
        page.get_by_role("button", name="Last hour").click()
        expect(page.get_by_text("Time: set")).to_be_visible()
        (stats, *_) = (parse_qs(urlsplit(url).query) for url in asked if "/runs/stats" in url)
        since = parse_qs(urlsplit(page.url).query)["since"]
    hour = timedelta(hours=1)
    for text, back in ((stats["until"], 0 * hour), (stats["since"], hour), (since, hour)):
        off = datetime.now(UTC) - back - datetime.fromisoformat(text[0])
        assert abs(off) < timedelta(minutes=1), text


def test_many_are_cancelled_as_they_were_counted(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    asking = [client.runs.create("order_lunch", people) for people in (2, 3, 4)]
    for run in asking:
        until(client, run.id, "waiting")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/?agent=order_lunch&status=waiting")
        page.get_by_role("checkbox", name="Select run").first.check()
        page.get_by_role("button", name="Cancel all that fit the filters …").click()
        dialog = page.get_by_role("dialog", name="Cancel 3 runs?")
        expect(dialog).to_be_visible()
        assert page.evaluate(FOCUSED) == "Leave them"
        # It fits the filter as well, but nobody counted it.
        late = client.runs.create("order_lunch", 5)
        until(client, late.id, "waiting")
        dialog.get_by_role("button", name="Cancel 3 runs").click()
        expect(page.locator(".notice")).to_contain_text("3 runs cancelled.")
        assert client.runs.get(late.id).status == "waiting"
        assert {client.runs.get(run.id).status for run in asking} == {"cancelled"}
        expect(page.locator("tbody tr")).to_have_count(1)


def test_very_many_are_gone_through_page_by_page_until_somebody_stops(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    sent: list[dict[str, Any]] = []
    held: list[Route] = []

    def answer(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        sent.append(body)
        more = body["filter"].get("cursor") != "b"
        done = 0 if body["dry_run"] else 1_000
        following = {None: "a", "a": "b"}.get(body["filter"].get("cursor"))
        told = {"matched": 1_000, "done": done, "refused": [], "more": more, "next_cursor": following}
        if done and following == "b":
            held.append(route)
        else:
            route.fulfill(json=told)

    until(client, client.runs.create("mirror", "x").id, "succeeded")
    with a_page(browser) as (page, _):
        page.route("**/runs/bulk", answer)
        page.goto(f"{server.url}/ui/?agent=mirror")
        page.get_by_role("checkbox", name="Select run").first.check()
        page.get_by_role("button", name="Retry all that fit the filters …").click()
        page.get_by_role("dialog", name="Retry 3,000 runs?").get_by_role("button", name="Retry").click()
        working = page.get_by_role("dialog", name="Retry 3,000 runs")
        expect(working).to_contain_text("1,000 of 3,000 runs")
        working.get_by_role("button", name="Stop").click()
        held[0].fulfill(
            json={"matched": 1_000, "done": 1_000, "refused": [], "more": True, "next_cursor": "b"}
        )
        expect(page.locator(".notice")).to_contain_text("2,000 runs queued again. The others are as they")
    assert [(body["dry_run"], body["filter"].get("cursor")) for body in sent] == [
        (True, None), (True, "a"), (True, "b"), (False, None), (False, "a"),
    ]  # fmt: skip
    assert len({body["filter"]["until"] for body in sent}) == 1


def test_an_answer_is_given_in_a_form_made_from_its_schema(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    run = client.runs.create("mirrors", ["colour", "size"])
    until(client, run.id, "waiting")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/runs/{run.id}")
        form = page.get_by_role("form", name="Answer the question")
        expect(form.get_by_role("textbox", name="size")).to_have_value("size")
        form.get_by_role("textbox", name="colour").fill("green")
        form.get_by_role("button", name="Send the answer").click()
        expect(page.locator(".run-head")).to_contain_text("succeeded")
        expect(page.locator(".part.output")).to_contain_text('"colour": "green"')
    assert client.runs.get(run.id).output == {"colour": "green", "size": "size"}


class Moody(http.server.BaseHTTPRequestHandler):
    """Refuses what it is told, the first time."""

    told: list[bytes] = []  # noqa: RUF012

    def do_POST(self) -> None:
        self.told.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(500 if len(self.told) == 1 else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def test_what_was_refused_is_posted_again_by_hand(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{receiver.server_port}/{'hooks-of-a-very-long-name/' * 6}"
        run = client.runs.create("mirror", "x", callbacks=[address])
        until(client, run.id, "succeeded")
        with a_page(browser, viewport={"width": 320, "height": 640}) as (page, _):
            page.goto(f"{server.url}/ui/runs/{run.id}")
            page.get_by_role("tab", name="Deliveries").click()
            posts = page.get_by_role("table", name="post").get_by_role("row")
            expect(posts.filter(has_text="HTTP 500")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            again = page.get_by_role("button", name="Post again")
            again.click()
            expect(posts.filter(has_text="HTTP 204")).to_be_visible()
            expect(page.locator(".tag.delivered")).to_be_visible()
            expect(again).to_be_focused()
        receiver.shutdown()
    assert len(Moody.told) == 2 and Moody.told[0] == Moody.told[1]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_moves_away_under_the_eyes(
    browser: Browser, server: LiveServer, client: Client, width: int
) -> None:
    run = client.runs.create("refuse", "no")
    until(client, run.id, "failed")
    with a_page(browser, viewport={"width": width, "height": 860}) as (page, _):
        page.add_init_script(SHIFTS)
        scripts: list[Route] = []
        page.route("**/app.js", lambda route: scripts.append(route))
        with page.expect_request("**/app.js"):
            page.goto(f"{server.url}/ui/", wait_until="commit")
        before = page.locator("tbody .agent a").first.bounding_box()
        scripts[0].continue_()
        page.unroute_all()
        expect(page.locator(".chart canvas")).to_be_visible()
        after = page.locator("tbody .agent a").first.bounding_box()
        assert before and after and abs(before["y"] - after["y"]) <= 2 and abs(before["x"] - after["x"]) <= 2
        assert sum(page.evaluate("shifts")) < 0.01
        page.goto(f"{server.url}/ui/runs/{run.id}")
        expect(page.get_by_role("region", name="Why it failed")).to_be_visible()
        expect(page.locator(".part.failure")).to_be_visible()
        assert sum(page.evaluate("shifts")) < 0.01
        assert inaccessible(page, "scrollable-region-focusable") == []

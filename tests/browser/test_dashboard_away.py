"""The dashboard when somebody or something is away: the network, the reader, the server's patience."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from runwell.client import Client
from tests.browser.looking import a_page, until
from tests.support import shown_agents
from tests.support.live_server import LiveServer
from tests.support.loop_thread import LoopThread
from tests.support.relays import Place, Relay

SHOWN = Path(shown_agents.__file__)

pytestmark = [pytest.mark.e2e]

TOLD = """() => {
    window.told = [];
    const place = document.getElementById("connection");
    new MutationObserver(() => place.hidden || window.told.push(place.textContent))
        .observe(place, { attributes: true, childList: true });
}"""
LOOKING = """seen => {
    const value = seen ? "visible" : "hidden";
    Object.defineProperty(document, "visibilityState", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("away"), str(SHOWN)) as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def said(page: Page) -> list[str]:
    """The words of a `chatter`, as they stand on the page."""
    return page.locator(".part.text .growing").inner_text().rstrip(", ").split(", ")


def say_more_and_end(client: Client, id: str, than: int) -> None:
    """Let a `chatter` say many more words than so many, and end it."""
    next(event for event in client.runs.events(id) if f"word {than + 50}," in str(event.data))
    client.runs.cancel(id)
    until(client, id, "cancelled")


def logged(client: Client, id: str) -> list[str]:
    """Its words as they stand in its log."""
    deltas = [event.data["text"] for event in client.runs.events(id) if event.type == "output.text_delta"]
    return "".join(deltas).rstrip(", ").split(", ")


def test_a_laptop_sleeps_and_wakes_without_a_gap_or_a_repeat(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    place = Place("127.0.0.1", int(server.url.rpartition(":")[2]))
    with LoopThread() as loop:
        relay = Relay(loop, lambda: [place])
        with closing(relay), a_page(browser) as (page, _):
            run = client.runs.create("chatter", 20_000)
            page.goto(f"http://127.0.0.1:{relay.port}/ui/runs/{run.id}")
            expect(page.locator(".transcript")).to_contain_text("word 20, ")
            relay.freeze()
            page.context.set_offline(True)
            relay.cut()
            expect(page.locator("#connection")).to_contain_text("Trying again")
            say_more_and_end(client, run.id, len(said(page)))
            assert len(said(page)) < len(logged(client, run.id))
            relay.mend()
            page.context.set_offline(False)
            expect(page.locator(".run-head")).to_contain_text("cancelled")
            expect(page.locator("#connection")).to_be_hidden()
            page.get_by_role("tab", name="Log").click()
            count = len([event.seq for event in client.runs.events(run.id)])
            expect(page.locator(".log > .head")).to_contain_text(f"{count:,} events")
            page.get_by_role("tab", name="Transcript").click()
            assert said(page) == logged(client, run.id)
        while relay.passing:
            loop.run(asyncio.sleep(0))  # sleep: what was cut ends on its own loop


def test_a_page_that_nobody_looks_at_gives_its_connection_back_and_tells_nothing(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    with a_page(browser) as (page, _):
        page.clock.install()
        run = client.runs.create("chatter", 20_000)
        page.goto(f"{server.url}/ui/runs/{run.id}")
        expect(page.locator(".transcript")).to_contain_text("word 20, ")
        page.evaluate(TOLD)
        page.evaluate(LOOKING, False)
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/events")):
            page.clock.run_for(11_000)
        say_more_and_end(client, run.id, len(said(page)))
        assert len(said(page)) < len(logged(client, run.id))
        page.evaluate(LOOKING, True)
        expect(page.locator(".run-head")).to_contain_text("cancelled")
        last = logged(client, run.id)[-1]
        expect(page.locator(".transcript")).to_contain_text(f"{last},")
        assert said(page) == logged(client, run.id)
        assert page.evaluate("told") == []


def test_a_server_that_asks_for_patience_gets_it_and_the_reader_is_told(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        problem = {"code": "rate_limited", "detail": "Too many requests.", "hint": "Wait."}
        route.fulfill(status=429, headers={"retry-after": "30"}, json=problem)

    run = client.runs.create("mirror", "at last")
    until(client, run.id, "succeeded")
    with a_page(browser) as (page, _):
        page.clock.install()
        page.route("**/events", refuse)
        page.goto(f"{server.url}/ui/runs/{run.id}")
        banner = page.locator("#connection")
        expect(banner).to_have_text(re.compile(r"Too many requests\. This page goes on at \d\d:\d\d:\d\d\."))
        page.clock.run_for(20_000)
        assert len(asked) == 1
        page.unroute_all()
        page.clock.run_for(12_000)
        expect(page.locator(".transcript")).to_contain_text("at last")
        expect(banner).to_be_hidden()


NEVER_POLLED = """(() => {
    const later = window.setTimeout;
    window.setTimeout = (work, ms, ...more) => [1_000, 5_000].includes(ms) ? 0 : later(work, ms, ...more);
})()"""
"""Without the timers by which a list is asked for when nothing was told."""


def test_a_list_is_told_of_changes(browser: Browser, server: LiveServer, client: Client) -> None:
    with a_page(browser) as (page, _):
        page.add_init_script(NEVER_POLLED)
        with page.expect_response("**/runs/changes?"):
            page.goto(f"{server.url}/ui/?agent=hang")
        run = client.runs.create("hang", "hello")
        row = page.locator(f'tr[data-id="{run.id}"]')
        expect(row).to_contain_text("running")
        client.runs.cancel(run.id)
        expect(row).to_contain_text("cancelled")
        with page.expect_request("**/runs/changes?all_owners=true"):
            page.get_by_label("Everybody's").check()
        late = client.runs.create("hang", "hello again")
        expect(page.locator(f'tr[data-id="{late.id}"]')).to_contain_text("running")
        client.runs.cancel(late.id)


CUT_OFF = """() => {
    const json = Response.prototype.json;
    let times = 3;
    Response.prototype.json = function () {
        return times-- > 0 ? Promise.reject(new TypeError("Failed to fetch")) : json.call(this);
    };
}"""


def test_an_answer_that_is_cut_off_in_the_middle_is_asked_for_again(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    run = client.runs.create("hang", "hello")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/runs/{run.id}")
        expect(page.locator(".run-head")).to_contain_text("running")
        page.evaluate(CUT_OFF)
        client.runs.cancel(run.id)
        expect(page.locator(".run-head")).to_contain_text("cancelled")

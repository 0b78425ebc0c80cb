"""The dashboard in a real browser, on a real server: every view, alive, by keyboard, and for everybody."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from runwell.client import Client
from tests.browser.looking import a_page, inaccessible, until
from tests.support import shown_agents
from tests.support.live_server import LiveServer

SHOWN = Path(shown_agents.__file__)

pytestmark = [pytest.mark.e2e]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("dashboard"), str(SHOWN)) as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def row(page: Page, id: str) -> str:
    return f'tr[data-id="{id}"]'


def test_the_list_shows_runs_as_they_come_and_change(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/")
        expect(page).to_have_url(f"{server.url}/ui/")
        expect(page.locator(".chart canvas")).to_be_visible()
        expect(page.locator(".chart")).to_have_attribute(
            "aria-label", re.compile(r"\d+ succeeded, \d+ failed")
        )
        page.evaluate("window.stayed = true")
        run = client.runs.create("hang", "hello")
        expect(page.locator(row(page, run.id))).to_contain_text("running")
        client.runs.cancel(run.id)
        expect(page.locator(row(page, run.id))).to_contain_text("cancelled")
        # A filter is in the URL, and so in the history, in a link and in a reload.
        page.get_by_role("button", name="failed").click()
        expect(page).to_have_url(f"{server.url}/ui/?status=failed")
        expect(page.locator(row(page, run.id))).to_have_count(0)
        broken = client.runs.create("importer", 10, max_attempts=1)
        expect(page.locator(row(page, broken.id))).to_contain_text("is no amount")
        assert page.evaluate("window.stayed") is True, "the page was loaded anew"
        page.reload()
        expect(page.get_by_role("button", name="failed")).to_have_attribute("aria-pressed", "true")
        expect(page.locator(row(page, broken.id))).to_be_visible()


def test_a_list_that_is_left_open_stays_as_long_as_it_was(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    for number in range(55):
        client.runs.create("mirror", f"early {number}")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/?agent=mirror")
        rows = page.locator("tr[data-id]")
        expect(rows).to_have_count(50)
        last = [client.runs.create("mirror", f"late {number}") for number in range(5)][-1]
        expect(page.locator(row(page, last.id))).to_be_visible()
        expect(rows).to_have_count(50)
        page.get_by_role("button", name="Show older runs").click()
        expect(page.locator("tr[data-id]", has_text="early 0").last).to_be_visible()


@pytest.mark.parametrize("text", [">" * 12_000, ("a_" * 50 + " ") * 200], ids=["nested", "one line"])
def test_no_text_takes_the_page_away(browser: Browser, server: LiveServer, client: Client, text: str) -> None:
    run = client.runs.create("mirror", text)
    until(client, run.id, "succeeded")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/runs/{run.id}")
        expect(page.get_by_role("tab", name="Transcript")).to_be_visible()
        # As it is, because nobody could read it as Markdown in time, or at all.
        expect(page.locator("main .prose pre").first).to_be_visible()


def test_everything_is_reached_with_keys(browser: Browser, server: LiveServer, client: Client) -> None:
    thread = client.threads.create().id
    first, second = (client.runs.create("mirror", word, thread_id=thread) for word in ("one", "two"))
    until(client, second.id, "succeeded")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/?thread_id={thread}")
        expect(page.locator(row(page, second.id))).to_contain_text("two")
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.closest('tr').dataset.id") == first.id
        page.keyboard.press("k")
        page.keyboard.press("x")
        expect(page.locator(".bulk")).to_contain_text("1 run selected")
        page.get_by_role("region", name="Selected runs").get_by_role("button", name="Cancel …").click()
        expect(page.locator(".notice.bad")).to_contain_text("None of these 1 runs can: it has succeeded.")
        page.get_by_role("button", name="Retry …", exact=True).click()
        page.get_by_role("dialog", name="Retry 1 run?").get_by_role("button", name="Retry 1 run").press(
            "Enter"
        )
        expect(page.locator(".notice").last).to_contain_text("1 run queued again.")
        expect(page.locator("tbody tr")).to_have_count(3)
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{server.url}/ui/runs/{second.id}")
        expect(page.locator("h1")).to_contain_text("mirror")
        page.keyboard.press("2")
        expect(page.get_by_role("table", name="Events")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Shortcuts")).to_contain_text("cancel the run")
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("a")
        expect(page).to_have_url(f"{server.url}/ui/agents")
        page.go_back()
        page.go_back()
        expect(page.locator(row(page, second.id))).to_be_visible()
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.name") == "text"


def test_a_run_is_started_from_its_form_and_followed_to_its_end(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/agents")
        page.get_by_role("link", name="researcher").click()
        page.get_by_label("Topic").fill("tides & moons")
        page.get_by_label("Depth (optional)").select_option("long")
        expect(page.locator(".snippets code")).to_contain_text(
            '"topic":"tides & moons","depth":"long","sources":3'
        )
        page.get_by_role("button", name="Python").click()
        expect(page.locator(".snippets code")).to_contain_text('client.runs.create("researcher"')
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.locator(".run-head")).to_contain_text("succeeded")
        expect(page.locator(".prose").get_by_role("heading", name="What makes the tides")).to_be_visible()
        expect(page.locator(".prose table")).to_contain_text("spring")
        expect(page.locator(".prose a")).to_have_attribute("rel", "noopener noreferrer nofollow")
        expect(page.locator(".part.tool").first).to_contain_text("High water follows the Moon")
        for kind in ("queue", "attempt", "model", "tool", "code"):
            expect(page.locator(f".bar.{kind}").first).to_be_visible()
        expect(page.locator(".facts").first).to_contain_text("7,050 in, 600 out")
        page.get_by_role("button", name="model call plan").click()
        expect(page.get_by_role("region", name="What was picked")).to_contain_text("Key")


def test_a_failed_run_opens_where_it_failed_and_can_be_tried_again(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    run = client.runs.create("importer", 40)
    until(client, run.id, "failed")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/runs/{run.id}")
        expect(page.get_by_role("region", name="Why it failed")).to_contain_text("row 20: 'n/a' is no amount")
        expect(page.locator(".bar.picked")).to_contain_text("import rows")
        expect(page.locator(".bar.attempt")).to_have_count(2)
        expect(page.locator(".why")).to_contain_text("Failed")
        page.get_by_role("button", name="Retry").click()
        page.wait_for_url(lambda url: "/ui/runs/run_" in url and run.id not in url)
        expect(page.locator(".facts").first).to_contain_text("Retry of")
        page.get_by_role("button", name="Cancel").or_(page.get_by_role("button", name="Retry")).wait_for()


def test_a_question_is_answered_on_the_page(browser: Browser, server: LiveServer, client: Client) -> None:
    run = client.runs.create("order_lunch", 4)
    until(client, run.id, "waiting")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/runs/{run.id}")
        form = page.get_by_role("form", name="Answer the question")
        expect(form).to_contain_text("Order 4 pizzas for 44 €?")
        form.get_by_role("button", name="Yes").click()
        expect(page.locator(".run-head")).to_contain_text("succeeded")
        expect(page.locator(".part.output")).to_contain_text("Ordered.")
        expect(form).to_have_count(0)
        expect(page.locator(".bar.wait")).to_be_visible()


def test_threads_are_read_and_gone_on_with(browser: Browser, server: LiveServer, client: Client) -> None:
    thread = client.threads.create(title="Lunch")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/threads")
        page.get_by_role("link", name="Lunch").click()
        page.get_by_label("Agent").select_option("mirror")
        page.get_by_label("Message", exact=True).fill("Is it *noon*?")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".part em").first).to_have_text("noon")
        expect(page.locator(".part")).to_have_count(2)
        assert client.threads.get(thread.id).messages >= 1


def test_what_administrators_look_after(browser: Browser, server: LiveServer, client: Client) -> None:
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/callbacks")
        page.get_by_text("Add a callback").click()
        page.get_by_label("Address").fill("http://10.0.0.7/hook")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator(".notice.bad")).to_contain_text("10.0.0.7")
        expect(page.get_by_text("No callbacks yet")).to_be_visible()
        page.get_by_role("link", name="Schedules").click()
        page.get_by_text("Add a schedule").click()
        page.get_by_label("Name").fill("Morning news")
        page.get_by_label("Agent").select_option("mirror")
        page.get_by_role("button", name="Add", exact=True).click()
        line = page.get_by_role("row").filter(has_text="Morning news")
        expect(line).to_contain_text("0 9 * * 1-5")
        line.get_by_role("button", name="Pause").click()
        expect(line).to_contain_text("paused")
        line.get_by_role("button", name="Run now").click()
        expect(page.locator(".run-head")).to_contain_text("succeeded")
        page.get_by_role("link", name="Workers").click()
        expect(page.get_by_role("row").filter(has_text="alive")).to_contain_text("mirror")
        page.get_by_role("link", name="Users").click()
        expect(page.get_by_text("runwell users create you@example.com --admin")).to_be_visible()


VIEWS = ("", "agents", "agents/researcher", "threads", "callbacks", "keys", "schedules", "users", "workers")
FILLED = "main :is(.rows tbody tr, .empty h2, .part, .start button)"
"""What a view has when it has been filled."""


def test_nobody_is_kept_out(browser: Browser, server: LiveServer, client: Client) -> None:
    """axe finds nothing in any view, light, dark or on a phone, and nothing is wider than the window."""
    given = (("researcher", {"topic": "x"}), ("importer", 4), ("order_lunch", 2))
    done, failed, asks = (client.runs.create(*each) for each in given)
    until(client, failed.id, "failed")
    until(client, asks.id, "waiting")
    with a_page(browser) as (page, _):
        for path in (*VIEWS, *(f"runs/{run.id}" for run in (done, failed, asks))):
            page.goto(f"{server.url}/ui/{path}")
            page.locator(FILLED).first.wait_for()
            assert obstacles(page) == []
        page.keyboard.press("2")
        expect(page.get_by_role("table", name="Events")).to_be_visible()
        assert obstacles(page) == []


def obstacles(page: Page) -> list[str]:
    """What is wrong with a view in all its looks."""
    found = inaccessible(page)
    page.emulate_media(color_scheme="dark")
    found += inaccessible(page, "color-contrast")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    found += inaccessible(page, "target-size", "scrollable-region-focusable")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    found += [f"{page.url} is {wide} px wider than a phone"] if wide > 0 else []
    page.set_viewport_size({"width": 1280, "height": 860})
    return found


def test_what_was_taken_back_is_not_shown_as_said(
    browser: Browser, server: LiveServer, client: Client
) -> None:
    run = client.runs.create("moody", "tea")
    until(client, run.id, "succeeded")
    with a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/runs/{run.id}")
        expect(page.locator(".part.text")).to_contain_text("On reflection: coffee.")
        assert "tea" not in page.locator(".part.text").inner_text()
        page.get_by_text("Taken back by attempt 2").click()
        expect(page.locator(".taken pre")).to_have_text("Certainly tea.")

"""The dashboard against what agents, networks and strangers do to it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looking import a_page, until
from tests.browser.payloads import PAYLOADS
from tests.support import shown_agents
from tests.support.backends import database_of, on_postgres
from tests.support.live_server import LiveServer, without_settings

SHOWN = Path(shown_agents.__file__)

pytestmark = [pytest.mark.e2e]

SUSPECTS = r"""() => {
    const tags = "main :is(script, iframe, object, embed, base, meta, link, style, template)";
    const scheme = /^\s*(javascript|vbscript|file|blob|data:(?!image\/(png|gif|jpeg|webp);base64))/i;
    const bad = (each, { name, value }) => name.startsWith("on")
        || ["srcset", "srcdoc", "formaction", "poster", "style"].includes(name) && !each.matches(OURS)
        || ["href", "src", "action", "xlink:href"].includes(name) && scheme.test(value)
        || name === "src" && each.matches("img") && !value.startsWith("data:");
    const OURS = ".chart *, .fill, .name, .line, .lines, .bars, .scale span, progress";
    return [...document.querySelectorAll("*")].flatMap(each => [
        ...(each.matches(tags) ? [each.outerHTML] : []),
        ...[...each.attributes].filter(one => bad(each, one)).map(one => each.tagName + one.name + one.value),
    ]);
}"""
"""What should not be in any page of ours; styles are set by scripts in a few places."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("hostile"), str(SHOWN)) as running:
        yield running


def look_at(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("main h1").first).to_be_visible()


def test_no_text_of_an_agent_becomes_a_script(browser: Browser, tmp_path: Path) -> None:
    assert len(set(PAYLOADS)) > 100
    with (
        LiveServer(tmp_path, str(SHOWN)) as server,
        server.client() as client,
        a_page(browser) as (page, complaints),
    ):
        asking = [
            client.runs.create("mirrors", PAYLOADS[start : start + 45], metadata={"x": PAYLOADS[start]})
            for start in range(0, len(PAYLOADS), 45)
        ]
        failed = [client.runs.create("refuse", text) for text in PAYLOADS]
        thread = client.threads.create(title=PAYLOADS[0])
        for text in PAYLOADS:
            client.threads.add_message(thread.id, "user", text)
        client.keys.create(PAYLOADS[0], owner=PAYLOADS[4])
        until(client, failed[-1].id, "failed")
        # Made a key, the server is still in local mode until it starts again.
        for path in ("", "?status=failed", "threads", f"threads/{thread.id}", "keys", "callbacks"):
            look_at(page, f"{server.url}/ui/{path}")
            assert page.evaluate(SUSPECTS) == [], path
        page.goto(f"{server.url}/ui/")
        page.get_by_role("button", name="Show older runs").click()
        expect(page.locator("tbody tr")).to_have_count(min(len(PAYLOADS) + len(asking), 100))
        for run in asking:
            until(client, run.id, "waiting")
            look_at(page, f"{server.url}/ui/runs/{run.id}")
            expect(page.get_by_role("form", name="Answer the question")).to_be_visible()
            expect(page.locator(".part.question")).to_be_visible()
            for tab in ("Log", "Deliveries", "Use the API", "Transcript"):
                page.get_by_role("tab", name=tab).click()
            page.locator(".bar.code button").first.click()
            assert page.evaluate(SUSPECTS) == []
        for run in failed[::12]:
            look_at(page, f"{server.url}/ui/runs/{run.id}")
            expect(page.get_by_role("region", name="Why it failed")).to_be_visible()
            assert page.evaluate(SUSPECTS) == []
        assert complaints.found == [], "\n".join(complaints.found)
        # That reports would have been seen: this page may not do what it is made to do here.
        with page.expect_request("**/ui/csp-reports"):
            page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.2:9/x' }))")
        complaints.found = [each for each in complaints.found if "127.0.0.2" not in each]


def test_nothing_is_missed_or_seen_twice_when_the_server_is_killed(
    browser: Browser, server: LiveServer
) -> None:
    with a_page(browser) as (page, _):
        with server.client() as client:
            run = client.runs.create("chatter", 150)
        page.goto(f"{server.url}/ui/runs/{run.id}")
        expect(page.locator(".transcript")).to_contain_text("word 20, ")
        page.evaluate("window.stayed = true")
        server.kill()
        expect(page.locator("#connection")).to_contain_text("Trying again")
        server.start()
        expect(page.locator(".run-head")).to_contain_text("succeeded")
        expect(page.locator("#connection")).to_be_hidden()
        expect(page.locator(".part.text .growing")).to_contain_text("word 149")
        said = page.locator(".part.text .growing").inner_text()
        assert said.split(", ")[:-1] == [f"word {number}" for number in range(150)] or said.removesuffix(
            ","
        ).split(", ") == [f"word {number}" for number in range(150)]
        assert page.evaluate("window.stayed") is True
        expect(page.locator(".bar.attempt")).to_have_count(2)
        page.get_by_role("tab", name="Log").click()
        with server.client() as client:
            events = [event.seq for event in client.runs.events(run.id)]
        expect(page.locator(".log > .head")).to_contain_text(f"{len(events)} events")


def test_ten_thousand_events_are_scrolled_through(browser: Browser, server: LiveServer) -> None:
    with server.client() as client, a_page(browser) as (page, _):
        run = client.runs.create("flood", 10_000)
        last = until(client, run.id, "succeeded")
        assert last.status == "succeeded"
        page.goto(f"{server.url}/ui/runs/{run.id}")
        page.get_by_role("tab", name="Log").click()
        table = page.get_by_role("table", name="Events")
        expect(page.locator(".log > .head")).to_contain_text("10,003 events")
        assert int(table.get_attribute("aria-rowcount") or 0) == 10_004
        table.focus()
        page.keyboard.press("End")
        expect(table.locator(".line.picked")).to_contain_text("run.succeeded")
        expect(page.locator("pre.event")).to_contain_text('"seq": 10003')
        seen = page.evaluate(
            """async () => {
                const list = document.querySelector(".virtual"), most = { rows: 0, blank: 0 };
                for (let at = 0; at < list.scrollHeight; at += list.clientHeight * 7) {
                    list.scrollTop = at;
                    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
                    const box = list.getBoundingClientRect();
                    most.rows = Math.max(most.rows, list.querySelectorAll(".lines .line").length);
                    const under = document.elementFromPoint(box.left + 30, box.top + box.height / 2);
                    if (!under?.closest(".lines .line")) most.blank++;
                }
                return most;
            }"""
        )
        assert seen["rows"] < 80 and seen["blank"] == 0
        page.get_by_label("Find in type and data").fill("event 9999")
        expect(table.locator(".lines .line")).to_have_count(1)


def test_people_sign_in_see_their_own_and_sign_out(browser: Browser, tmp_path: Path) -> None:
    on = {"RUNWELL_DB": database_of(tmp_path / "runwell.db")} if on_postgres() else {}
    environment = without_settings(on.items())
    for command in (["keys", "create", "other"], ["users", "create", "ann@example.com"]):
        given = "correct horse battery\n" if "users" in command else ""
        subprocess.run(
            [sys.executable, "-m", "runwell", *command],
            cwd=tmp_path,
            env=environment,
            input=given,
            text=True,
            check=True,
            capture_output=True,
        )
    with LiveServer(tmp_path, str(SHOWN)) as server, a_page(browser) as (page, _):
        page.goto(f"{server.url}/ui/agents/mirror")
        page.get_by_label("E-mail").fill("ann@example.com")
        page.get_by_label("Password").fill("wrong horse battery")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{server.url}/ui/agents/mirror")
        page.get_by_label("Input").fill('"mine"')
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.locator(".run-head")).to_contain_text("succeeded")
        # Nothing of what administrators have: no places, no keys to them, no filter by owner, and no page.
        for name in ("Keys", "Users", "Workers"):
            expect(page.get_by_role("link", name=name)).to_have_count(0)
        page.keyboard.press("g")
        page.keyboard.press("r")
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.get_by_label("Agent", exact=True)).to_be_visible()
        expect(page.get_by_label("Owner").or_(page.get_by_label("Everybody's"))).to_have_count(0)
        page.keyboard.press("g")
        page.keyboard.press("k")
        expect(page).to_have_url(f"{server.url}/ui/")
        page.goto(f"{server.url}/ui/keys")
        expect(page.get_by_role("heading", name="Forbidden")).to_be_visible()
        page.go_back()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

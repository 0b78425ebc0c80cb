"""A session's cookie in a real browser: its own page keeps it, foreign pages cannot use it.

`localhost` and `127.0.0.1` are two sites to a browser, and one machine to us.
"""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.live_server import LiveServer, settings_of, without_settings

PERSON = {"email": "ann@example.com", "password": "correct horse battery", "name": "Ann"}
FETCH = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        return {status: answer.status, type: answer.type, text: await answer.text()};
    } catch (error) {
        return {refused: String(error)};
    }
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """With a key, so that nothing but the cookie's own protection stands between it and foreign pages."""
    folder = tmp_path_factory.mktemp("browser")
    command = [sys.executable, "-m", "runwell", "keys", "create", "browser"]
    settings = without_settings(settings_of(folder).items())
    subprocess.run(command, cwd=folder, env=settings, capture_output=True, check=True)
    with LiveServer(folder) as running:
        yield running


class _Empty(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The origin of a page that is not ours."""
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Empty)
    thread = threading.Thread(target=pages.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{pages.server_port}"
    pages.shutdown()
    thread.join()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context()
    yield opened
    opened.close()


def ask(page: Page, url: str, **options: Any) -> dict[str, Any]:
    """What a script on the page gets for a fetch."""
    answer: dict[str, Any] = page.evaluate(FETCH, [url, options])
    return answer


def send(page: Page, url: str, body: dict[str, Any], **options: Any) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    return ask(page, url, method="POST", headers=headers, body=json.dumps(body), **options)


@pytest.fixture
def signed_in(context: BrowserContext, server: LiveServer) -> Page:
    page = context.new_page()
    page.goto(f"{server.url}/api/liveness")
    send(page, "/api/auth/sign-up/email", PERSON)  # the first test makes the account
    assert send(page, "/api/auth/sign-in/email", PERSON)["status"] == 200
    return page


def who(page: Page) -> str | None:
    session = json.loads(ask(page, "/api/auth/session")["text"])
    found = session.get("data", session) if session else None
    return found["user"]["email"] if found else None


@pytest.mark.e2e
def test_a_sign_in_outlives_a_reload_and_no_script_can_read_it(signed_in: Page) -> None:
    assert who(signed_in) == PERSON["email"]
    signed_in.reload()
    assert who(signed_in) == PERSON["email"]
    assert signed_in.evaluate("document.cookie") == ""
    (cookie,) = signed_in.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert ask(signed_in, "/api/auth/sign-out", method="POST")["status"] == 200
    assert who(signed_in) is None
    assert signed_in.context.cookies() == []


@pytest.mark.e2e
def test_a_foreign_page_cannot_act_in_the_name_of_who_is_signed_in(
    signed_in: Page, server: LiveServer, elsewhere: str
) -> None:
    foreign = signed_in.context.new_page()
    foreign.goto(elsewhere)
    chat = f"{server.url}/api/chats/550e8400-e29b-41d4-a716-446655440000/messages"
    message = json.dumps({"content": "spend", "modelId": "m", "userId": "u"})
    # As a script, in the open and blind, and as a form that takes the whole window there.
    for mode in ("cors", "no-cors"):
        for url in (f"{server.url}/api/auth/sign-out", chat):
            ask(foreign, url, method="POST", mode=mode, credentials="include", body=message)
    read = ask(foreign, f"{server.url}/api/auth/session", credentials="include")
    assert PERSON["email"] not in json.dumps(read)
    foreign.evaluate(
        """url => { const form = document.createElement("form"); form.method = "POST"; form.action = url;
        document.body.append(form); form.submit(); }""",
        f"{server.url}/api/auth/sign-out",
    )
    foreign.wait_for_url(f"{server.url}/**")
    assert who(signed_in) == PERSON["email"], "the session was ended from elsewhere"
    assert ask(signed_in, chat)["status"] in (403, 404), "a message was sent from elsewhere"


@pytest.mark.e2e
def test_a_link_from_elsewhere_finds_its_way(signed_in: Page, server: LiveServer, elsewhere: str) -> None:
    """Lax: whoever follows a link to us is still signed in."""
    foreign = signed_in.context.new_page()
    foreign.goto(elsewhere)
    foreign.evaluate("url => { location.href = url }", f"{server.url}/api/auth/session")
    foreign.wait_for_url(f"{server.url}/**")
    assert PERSON["email"] in foreign.content()

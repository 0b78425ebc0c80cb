"""Pictures of every view for the documentation: `python -m tests.browser.pictures`.

The hour before is made up with a clock that is moved; what is seen of single runs has really happened.
"""

import argparse
import asyncio
import http.server
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from runwell.client import Client
from runwell.domain.commands import Cancel, Claim, Fail, Succeed
from runwell.domain.instant import SECOND
from runwell.domain.json_gate import encode
from runwell.domain.run import RunError
from runwell.wiring.grounds import SystemClock
from tests.browser.conftest import ARGUMENTS
from tests.browser.looking import until
from tests.browser.small_pictures import shrink
from tests.support import shown_agents
from tests.support.house import House, a_house
from tests.support.live_server import LiveServer, without_settings

FOLDER = Path(__file__).parents[2] / "docs" / "images"
LARGEST = 100_000
"""Bytes of one picture."""
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
TOPICS = ("tides", "kites", "salt", "moss", "glass", "snow", "tea", "bees")
SETTLED = "main :is(.rows tbody tr, .empty h2, .part, .start button, .card h1)"


async def fill_the_hour(folder: Path) -> None:
    """Runs of the last hour, as if they had been."""
    chance = random.Random(7)
    agents = (shown_agents.researcher, shown_agents.importer)
    async with a_house(folder, agents=agents) as house:
        begin = SystemClock().now() - 3_600 * SECOND
        moments = sorted(begin + chance.randrange(3_540 * SECOND) for _ in range(240))
        for moment in moments:
            house.clock.move((moment - house.clock.now()) / SECOND)
            await one_run(house, chance)


async def one_run(house: House, chance: random.Random) -> None:
    topic = chance.choice(TOPICS)
    if chance.random() < 0.25:
        run = await house.submit(chance.randrange(10, 90), agent="importer")
    else:
        run = await house.submit({"topic": topic}, agent="researcher")
    if chance.random() < 0.04:
        await house.do(run, Cancel())
        return
    await house.do(run, Claim(worker="elsewhere"))
    house.clock.move(chance.uniform(0.2, 4))
    if run.agent == "importer" and chance.random() < 0.5:
        await house.do(run, Fail(reason="error", error=RunError("ValueError", "row 12: 'n/a' is no amount")))
    else:
        await house.do(run, Succeed(output=encode(f"What there is to know of {topic}.")))


class Thankful(http.server.BaseHTTPRequestHandler):
    """What is told of runs that end."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def somebody_told() -> Iterator[str]:
    """The address of one."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Thankful) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{receiver.server_port}/hooks"
        receiver.shutdown()


def views(client: Client, told: str) -> Iterator[tuple[str, str]]:
    """The name of each picture and the path below /ui/ of what is on it."""
    client.callbacks.create(told)
    client.schedules.create("researcher", "0 7 * * 1-5", {"topic": "tides"}, name="Morning report")
    client.schedules.create("importer", "*/15 * * * *", 20, name="Import what came", paused=True)
    thread = client.threads.create(title="Tides and moons")
    for text in ("What makes the tides?", "And why are there *two* a day?"):
        until(client, client.runs.create("mirror", text, thread_id=thread.id).id, "succeeded")
    done = client.runs.create("researcher", {"topic": "tides", "depth": "long", "sources": 5})
    failed, asks = client.runs.create("importer", 40), client.runs.create("order_lunch", 4)
    live = client.runs.create("chatter", 20_000)
    until(client, failed.id, "failed")
    until(client, asks.id, "waiting")
    yield from (("runs", ""), ("agents", "agents"), ("agent", "agents/researcher"), ("threads", "threads"))
    yield from ((name, name) for name in ("schedules", "callbacks", "workers", "users"))
    yield "thread", f"threads/{thread.id}"
    runs = {"run": done, "failed": failed, "waiting": asks, "live": live}
    yield from ((name, f"runs/{run.id}") for name, run in runs.items())
    client.keys.create("nightly import", scopes=["runs:read", "runs:write"])
    client.keys.create("on call", owner="ops")
    yield "keys", "keys"


def take(page: Page, url: str, path: Path) -> None:
    page.goto(url)
    page.locator(SETTLED).first.wait_for()
    # What is fetched after the first rows: the chart, the latest runs of an agent.
    page.wait_for_timeout(1_200)
    page.screenshot(path=path, animations="disabled")
    shrink(path)
    size = path.stat().st_size
    print(f"{path.name}: {size:,} bytes" + (", too many" if size > LARGEST else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "view", nargs="*", help="only these; all without. A view is named as its pictures are."
    )
    chosen = parser.parse_args().view
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(fill_the_hour(folder))
        (folder / "house.db").rename(folder / "runwell.db")
        command = [sys.executable, "-m", "runwell", "users", "create", "ann@example.com", "--admin"]
        password = "correct horse battery\n"
        subprocess.run(command, cwd=folder, env=without_settings(), input=password, text=True, check=True)
        allowed = {"RUNWELL_CALLBACKS_ALLOW": "127.0.0.1"}
        shown = LiveServer(folder, str(Path(shown_agents.__file__)), env=allowed)
        with shown as server, somebody_told() as told, sync_playwright() as playwright:
            chromium = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            pages = {look: browser.new_context(**given).new_page() for look, given in LOOKS.items()}  # type: ignore[arg-type]
            with server.client() as client:
                for view, path in [*views(client, told), ("sign-in", "sign-in")]:
                    if chosen and view not in chosen:
                        continue
                    for look, page in pages.items():
                        take(page, f"{server.url}/ui/{path}", FOLDER / f"{view}-{look}.png")
            browser.close()


if __name__ == "__main__":
    main()

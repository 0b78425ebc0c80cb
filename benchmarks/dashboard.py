"""The dashboard in Chromium: how soon its first page is there, and how soon it shows what happens."""

import asyncio
import json
import shutil
import sys
import time
from statistics import median, quantiles
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from benchmarks.agents import TICKS
from benchmarks.client import connect, request
from benchmarks.fill import fill
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.runs import BODY
from benchmarks.server_process import AGENTS, ServerProcess, free_port

MANY, VERY_MANY = 100_000, 1_000_000
TRIES = 20
PAINTS = 5
# Every tick says when it was said; what is new on the page is read as soon as it is there.
_OBSERVE = """() => {
  window.delays = [];
  const seen = new Set();
  new MutationObserver(() => {
    const now = Date.now();
    for (const [, at] of document.querySelector('main').textContent.matchAll(/tick:(\\d{13})/g)) {
      if (!seen.has(at)) { seen.add(at); window.delays.push(now - Number(at)); }
    }
  }).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
# When each run was first in the table of the list.
_LIST = """() => {
  window.shown = {};
  new MutationObserver(() => {
    const now = Date.now();
    for (const [id] of document.querySelector('main').innerHTML.matchAll(/run_[0-9a-f]{32}/g)) {
      window.shown[id] ??= now;
    }
  }).observe(document.body, {childList: true, subtree: true});
}"""
COMERS = 10


async def measure(plan: Plan) -> list[Figure]:
    runs = VERY_MANY if plan.full else MANY
    plan.tell(f"dashboard: filling a database with {runs:,} runs")
    database = plan.folder / "dashboard.db"
    await fill(database, runs, 1)
    with _local_server(plan, str(database)) as server:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            rounds = await _rounds(plan, server, browser)
            await browser.close()
    return _figures(runs, *rounds)


Times = list[list[float]]
"""Milliseconds, of each round."""


async def _rounds(plan: Plan, server: ServerProcess, browser: Browser) -> tuple[Times, Times, Times, Times]:
    pages, paints, lives, lists = Times(), Times(), Times(), Times()
    for number in range(plan.rounds):
        await plan.quiet()
        pages.append([await _rendered(server) for _ in range(TRIES)])
        paints.append([await _painted(browser, server) for _ in range(PAINTS)])
        lives.append(await _lived(browser, server))
        lists.append(await _listed(browser, server))
        plan.tell(
            f"dashboard: round {number + 1}/{plan.rounds}: page {median(pages[-1]):.1f} ms, "
            f"paint {median(paints[-1]):.0f} ms, live {median(lives[-1]):.0f} ms, "
            f"list {median(lists[-1]):.0f} ms"
        )
    return pages, paints, lives, lists


def _figures(runs: int, pages: Times, paints: Times, lives: Times, lists: Times) -> list[Figure]:
    slowest = max(quantiles(times, n=100)[98] for times in lives)
    slowest_page = max(quantiles(times, n=100)[98] for times in pages)
    return [
        Figure(
            name="dashboard.page", what=f"Dashboard: its first page, {runs:,} runs stored, from the server",
            unit="ms", measured=[median(each) for each in pages], floor=Goal(at_most=100),
            note=f"p99 {slowest_page:.0f} ms; the newest runs are in it",
        ),
        Figure(
            name="dashboard.paint", what="Dashboard: the first contentful paint of that page in Chromium",
            unit="ms", measured=[median(each) for each in paints],
            note="each in a new context, so nothing is cached",
        ),
        Figure(
            name="dashboard.live", what="Dashboard: from an agent's word until it is on the screen, median",
            unit="ms", measured=[median(each) for each in lives], floor=Goal(at_most=300),
            note=f"p99 {slowest:.0f} ms; stored and streamed on the way",
        ),
        Figure(
            name="dashboard.list", what="Dashboard: from a submit until its run is in the list, median",
            unit="ms", measured=[median(each) for each in lists], floor=Goal(at_most=300),
            note=f"slowest {max(map(max, lists)):.0f} ms; nothing else happens, and the list is open",
        ),
    ]  # fmt: skip


def _local_server(plan: Plan, database: str) -> ServerProcess:
    """Without a key, so the browser needs none."""
    port = free_port()
    command = [
        sys.executable, "-m", "runwell", "serve", str(AGENTS), "--port", str(port), "--db", database,
        "--log-level", "warning",
    ]  # fmt: skip
    return ServerProcess(command, port, plan.folder, "/healthz")


async def _rendered(server: ServerProcess) -> float:
    """Milliseconds to the whole page."""
    connection = await connect(server.port)
    began = time.perf_counter()
    answer = await connection.ask(request("GET", "/ui/"))
    took = (time.perf_counter() - began) * 1e3
    connection.close()
    assert answer.status == 200, answer.status
    assert b"run_" in answer.body, "the newest runs are in the page"
    return took


async def _painted(browser: Browser, server: ServerProcess) -> float:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{server.port}/ui/")
        return float(await _when_there(page, _PAINT))  # what was painted is told a moment later


async def _when_there(page: Page, wanted: str) -> Any:
    """What this says in the page, as soon as it is not nothing. Asked again and again from here: the page's
    policy lets nobody evaluate a text in it."""
    for _ in range(100):
        if found := await page.evaluate(wanted):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{wanted} never came")


async def _lived(browser: Browser, server: ServerProcess) -> list[float]:
    """Milliseconds from each of an agent's sayings to the page."""
    async with await browser.new_context() as context:
        page = await context.new_page()
        await _follow(page, server)
        delays: list[float] = await _when_there(page, f"delays.length >= {TICKS - 5} && delays")
        return delays


async def _listed(browser: Browser, server: ServerProcess) -> list[float]:
    """Milliseconds from each submit of a run until the open list shows it."""
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{server.port}/ui/")
        await page.evaluate(_LIST)
        connection = await connect(server.port)
        began = {}
        for _ in range(COMERS):
            await asyncio.sleep(1.0)
            at = time.time()
            answer = await connection.ask(request("POST", "/runs", body=BODY))
            began[json.loads(answer.body)["id"]] = at * 1e3
        connection.close()
        shown = await _when_there(page, f"{json.dumps(list(began))}.every((id) => shown[id]) && shown")
    return [shown[id] - at for id, at in began.items()]


async def _follow(page: Page, server: ServerProcess) -> None:
    connection = await connect(server.port)
    body = json.dumps({"agent": "ticker", "input": "go"}).encode()
    answer = await connection.ask(request("POST", "/runs", body=body))
    connection.close()
    await page.goto(f"http://127.0.0.1:{server.port}/ui/runs/{json.loads(answer.body)['id']}")
    await page.evaluate(_OBSERVE)

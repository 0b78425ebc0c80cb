"""What the tests of the dashboard look at a page with: its complaints, its events, its accessibility."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, expect

from runwell.client import Client
from runwell.client.models import Run

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
ALL_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PATIENCE = 15_000
"""Milliseconds after which something that should happen has not."""


class Complaints:
    """Everything a page does that it should not: errors, dialogs, reports of its policy."""

    def __init__(self, context: BrowserContext) -> None:
        self.found: list[str] = []
        context.on("page", self.watch)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("request", self._asked)
        page.on("dialog", self._opened)
        page.on("popup", lambda popup: self.found.append(f"popup: {popup.url}"))

    def _opened(self, dialog: Dialog) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _asked(self, request: Request) -> None:
        if request.url.endswith("/ui/csp-reports"):
            self.found.append(f"policy: {request.post_data}")
        elif not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.found.append(f"asked elsewhere: {request.url}")


@contextmanager
def a_page(browser: Browser, **options: Any) -> Iterator[tuple[Page, Complaints]]:
    """A new window, and what it complains of; nothing may be left of that at the end."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    complaints = Complaints(context)
    page = context.new_page()
    yield page, complaints
    context.close()
    assert complaints.found == [], "\n".join(complaints.found)


def inaccessible(page: Page, *rules: str) -> list[str]:
    """What axe finds wrong with the page as it is; by these rules, or all."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": ALL_RULES}
    options = {"runOnly": only, "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{page.url} {each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]


def until(client: Client, id: str, *statuses: str) -> Run:
    """The run, as soon as it is in one of these states."""
    return next(run for run in client.runs.watch(id) if run.status in statuses or run.final)

"""Schemathesis reads the document and asks for what it promises, and for what it forbids."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from runwell.dialects.native.routes import (
    agents,
    bulk,
    callbacks,
    deliveries,
    keys,
    runs,
    schedules,
    stats,
    threads,
    triggers,
    users,
    workers,
)
from runwell.server.serve import server
from tests.support.house import House, a_house
from tests.support.loop_thread import LoopThread

EXAMPLES = 8
"""For each operation. A long campaign is this test with a larger number."""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of a server with a few things in it."""
    with LoopThread() as loop:
        entered = a_house(tmp_path_factory.mktemp("fuzz"))
        house = loop.run(entered.__aenter__())
        loop.run(_fill(house))
        serving = server(house.app, house.closing, host="127.0.0.1", port=0)
        served = loop.start(serving.serve())
        loop.run(serving.ready.wait())
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{serving.port}/openapi.json")
        serving.should_exit = True
        served.result(timeout=60)
        loop.run(entered.__aexit__(None, None, None))


async def _fill(house: House) -> None:
    await house.client.post("/callbacks", {"url": "http://receiver.test/hook"})
    await house.client.post("/triggers", {"agent": "echo"})
    await house.client.post("/schedules", {"agent": "echo", "cron": "0 9 * * *", "input": "hi"})
    await house.a_finished_run()
    await house.ask(await house.a_running_run())
    await house.submit()
    await asyncio.gather(*(house.client.post("/threads", {"title": str(number)}) for number in range(3)))


OPERATIONS = [
    (operation.method, operation.path)
    for module in (
        stats,
        bulk,
        runs,
        agents,
        threads,
        callbacks,
        deliveries,
        keys,
        triggers,
        schedules,
        workers,
        users,
    )
    for operation in module.OPERATIONS
    if operation.path != "/runs/changes"  # which never ends
]


MEANING = {
    ("GET", "/runs"), ("GET", "/runs/stats"), ("GET", "/threads"), ("GET", "/deliveries"),
    ("GET", "/schedules"),
}  # fmt: skip
"""Where a request can be wrong although it has the right form: a cursor that this server never gave
out, a window that is too long. So can every body: the gate for JSON is narrower than JSON Schema can say."""


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_document_is_kept(document: Any, method: str, path: str) -> None:
    operation = document[path][method]
    for mode in schemathesis.GenerationMode:
        check = given(case=operation.as_strategy(generation_mode=mode))(_ask)
        check = settings(
            max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )(check)
        # What takes nothing can be asked in no wrong way.
        with suppress(Unsatisfiable):
            check()


def _ask(case: schemathesis.Case) -> None:
    meant_otherwise = (case.method, case.operation.path) in MEANING or case.operation.body
    excluded = [schemathesis.checks.positive_data_acceptance] if meant_otherwise else []
    case.call_and_validate(timeout=20, excluded_checks=excluded)

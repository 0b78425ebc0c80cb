"""The plain client: the same methods, on a loop of its own."""

import asyncio
import inspect
import random
import signal
import threading

import pytest

from runwell.client import AsyncClient, Client, NotFound, Patience
from runwell.client.sync import Agents, Keys, Portal, Runs, Threads, Triggers
from tests.client.scripted import (
    AT,
    EVENT_STREAM,
    Answer,
    FlakyLog,
    Message,
    Receive,
    Script,
    Send,
    log_of,
    serving,
)

QUICK = Patience(total=5.0, shortest=0.001, longest=0.01)
RUN = {"id": "run_1", "status": "succeeded", "agent": "a", "created_at": AT}


def public(kind: type) -> dict[str, inspect.Signature]:
    functions = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(f) for name, f in functions if not name.startswith("_")}


@pytest.mark.parametrize(
    ("face", "room"),
    [(Runs, "runs"), (Agents, "agents"), (Threads, "threads"), (Keys, "keys"), (Triggers, "triggers")],
)
def test_has_every_method_with_its_parameters_and_words(face: type, room: str) -> None:
    inner = type(getattr(AsyncClient("http://127.0.0.1:9"), room))
    assert public(face) == public(inner)
    assert all(getattr(face, name).__doc__ == getattr(inner, name).__doc__ for name in public(inner))


def test_calls_and_iterates() -> None:
    with (
        serving(FlakyLog(log_of(30), random.Random(3), cuts=6)) as url,
        Client(url, patience=QUICK) as client,
    ):
        assert [event.seq for event in client.runs.events("run_1")] == list(range(1, 31))
    with serving(Script(Answer(200, RUN))) as url, Client(url) as client:
        assert client.runs.create("a", "x", wait=1).final
        assert client.runs.wait("run_1").status == "succeeded"
        assert client.base_url == url


def test_errors_come_through() -> None:
    with serving(Script(Answer(404, {"code": "c", "detail": "d"}))) as url, Client(url) as client:
        with pytest.raises(NotFound):
            client.runs.get("run_1")
        with pytest.raises(NotFound):
            list(client.runs.events("run_1"))


def test_may_be_used_from_several_threads() -> None:
    got: list[str] = []
    with serving(Script(Answer(200, RUN))) as url, Client(url) as client:
        threads = [threading.Thread(target=lambda: got.append(client.runs.get("x").id)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == ["run_1"] * 8


def test_closing_twice_is_closing_once_and_leaves_no_thread() -> None:
    before = threading.active_count()
    client = Client("http://127.0.0.1:9")
    assert threading.active_count() == before + 1
    client.close()
    client.close()
    assert threading.active_count() == before


def test_an_interrupt_ends_the_call_and_the_client_works_on() -> None:
    reached = threading.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/events"):
            await send(EVENT_STREAM)
            await send({"type": "http.response.body", "body": log_of(9)[0], "more_body": True})
            reached.set()
            while (await receive())["type"] != "http.disconnect":
                continue
        else:
            await Script(Answer(200, RUN))(scope, receive, send)

    main = threading.main_thread().ident
    assert main is not None
    with serving(app) as url, Client(url) as client:
        events = client.runs.events("run_1")
        assert next(events).seq == 1
        reached.wait()
        threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            next(events)
        assert client.runs.get("run_1").id == "run_1"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a finalizer it is lost
def test_an_interrupt_at_any_moment_finds_a_portal_that_works_and_nothing_left_running() -> None:
    portal = Portal()
    under_way: set[int] = set()

    async def work(which: int) -> int:
        under_way.add(which)
        try:
            for _ in range(30):
                await asyncio.sleep(0)
        finally:
            under_way.remove(which)
        return which

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    chance = random.Random(1)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        interrupted = 0
        for which in range(3_000):
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00001, 0.0003))
                portal.call(work(which))
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
                assert not under_way
        assert interrupted > 300
        assert portal.call(work(-1)) == -1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        portal.close()

"""What a program of an earlier commit does with a database, run with that commit's code on the path.

`python older_program.py DATABASE goes-on|stops`: it opens the database, which makes the schema of its day,
works, and says `open`. When it is answered on standard input it works on with what it had opened
(`goes-on`), or has closed it before it said so (`stops`). Then it opens the database as one that starts now,
works once more, and says what it has found. It knows nothing of the tests.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from runwell.domain.commands import Answer, Claim, Create, Pause, Record, Succeed
from runwell.domain.events import TextDelta
from runwell.domain.ids import new_id
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import decide
from runwell.domain.run import Question
from runwell.domain.thread import Role
from runwell.ports.store import NewMessage, RunFilter

OWNER = "ada"
NOW = 1_800_000_000_000_000


@asynccontextmanager
async def opened(place: str) -> AsyncIterator[Any]:
    if place.startswith("postgresql://"):
        from runwell.store.postgres import Database as Postgres

        postgres = await Postgres.open(place)
        yield postgres.store()
        await postgres.close()
        return
    from runwell.store.sqlite import Database

    database = Database.open(place)
    store = database.store()
    yield store
    await store.close()
    database.close()


async def work(store: Any) -> list[str]:
    """One run from its submit to its end, and what can be read of it; the types of its events."""
    thread = new_id(NOW)
    run = await begun(store, thread)
    for command in (
        Claim(worker="old"),
        Record(events=(TextDelta(text="hello"),)),
        Pause(question=Question(key="ask", question=Json(b'"which?"')), expires_at=None),
        Answer(answer=Json(b'"this"')),
        Claim(worker="old"),
        Succeed(output=Json(b'"done"')),
    ):
        run = await store.runs.commit(decide(run, command, NOW), NOW)
    await store.documents.put(OWNER, "notes", run.id, Json(b"{}"), NOW)
    assert await store.runs.get(run.id) == run
    newest = await store.runs.page(OWNER, RunFilter(), before=None, after=None, limit=100)
    assert run in newest
    assert len(await store.threads.messages(thread, limit=9)) == 1
    assert await store.runs.claimable(NOW, agents=frozenset({"echo"}), limit=9, exclude=frozenset()) == []
    return [line.type for line in await store.events.read(run.id, 0, 100)]


async def begun(store: Any, thread: str) -> Any:
    create = Create(id=new_id(NOW), owner=OWNER, agent="echo", input=Json(b'"hi"'), thread_id=thread)
    message = NewMessage(Role.USER, Json(b'"hi"'))
    return (await store.runs.add(decide(None, create, NOW), NOW, message=message)).run


async def main(place: str, how: str) -> None:
    async with opened(place) as store:
        logs = [await work(store)]
        if how == "goes-on":
            print("open", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            logs.append(await work(store))
    if how == "stops":
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    async with opened(place) as store:
        logs.append(await work(store))
        runs = await store.runs.every(None, 100)
    print(json.dumps({"logs": logs, "runs": [run.status.value for run in runs]}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

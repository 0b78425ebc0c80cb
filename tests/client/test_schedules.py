"""`client.schedules` against the real server."""

import pytest

from runwell.client import AsyncClient, Client, NotFound
from tests.support.live_server import LiveServer


async def test_a_schedule_is_made_changed_fired_and_deleted(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        made = await client.schedules.create("echo", "0 9 1 1 *", {"a": 1}, name="news", timeout=9.5)
        assert (made.agent, made.input, made.timezone, made.timeout) == ("echo", {"a": 1}, "UTC", 9.5)
        assert (made.next[0], len(made.next), made.paused) == (made.next_at, 5, False)
        run = await client.schedules.fire(made.id)
        ended = await client.runs.wait(run.id, timeout=20)
        assert (ended.source, ended.output, ended.metadata["schedule"]) == ("schedule", {"a": 1}, made.id)
        changed = await client.schedules.update(made.id, input=None, timeout=None, cron="0 8 1 1 *")
        assert (changed.input, changed.timeout, changed.name) == (None, None, "news")
        assert changed.next[0].hour == 8
        assert (await client.schedules.pause(made.id)).next_at is None
        assert await client.schedules.resume(made.id) == changed
        assert [each.id async for each in client.schedules.list(limit=1)] == [made.id]
        await client.schedules.delete(made.id)
        with pytest.raises(NotFound):
            await client.schedules.get(made.id)


def test_the_plain_client_has_them_too(live: LiveServer) -> None:
    with Client(live.url) as client:
        ids = {client.schedules.create("echo", "0 9 1 1 *", paused=True).id for _ in range(2)}
        assert ids <= {schedule.id for schedule in client.schedules.list()}
        for id in ids:
            client.schedules.delete(id)
        assert not ids & {schedule.id for schedule in client.schedules.list()}

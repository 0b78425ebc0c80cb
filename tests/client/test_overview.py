"""`client.runs.stats`, `why` and `bulk`, `client.workers` and `client.users` against the real server."""

import pytest

from runwell.client import ApiError, AsyncClient, Client
from tests.support.live_server import LiveServer


async def test_runs_are_found_explained_counted_and_retried_in_bulk(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        run = await client.runs.create("fail", "the tide is out", wait=20)
        assert (await client.runs.why(run.id)).endswith("the tide is out.")
        assert [each.id async for each in client.runs.list(text="tide is ou")] == [run.id]
        assert [each.id async for each in client.runs.list(text="tide is in")] == []
        listed = [each.owner async for each in client.runs.list(all_owners=True, limit=1)]
        assert listed == ["local"]
        stats = await client.runs.stats(bucket=3_600)
        assert sum(bucket.failed for bucket in stats.buckets) == 1
        dry = await client.runs.bulk("retry", filter={"text": "tide"}, dry_run=True)
        assert (dry.matched, dry.done, dry.refused) == (1, 0, ())
        told = await client.runs.bulk("cancel", [run.id])
        assert [(each.id, each.code) for each in told.refused] == [(run.id, "illegal_transition")]
        assert (await client.runs.bulk("retry", filter={"text": "tide"})).done == 1


def test_the_plain_client_sees_workers_and_users(live: LiveServer) -> None:
    with Client(live.url) as client:
        (worker,) = client.workers.list()
        assert (worker.alive, worker.serves) == (True, True)
        assert "echo" in worker.agents
        assert client.users.list() == ()
        with pytest.raises(ApiError, match="no user"):
            client.users.disable("user_" + "0" * 12 + "4" + "0" * 19)

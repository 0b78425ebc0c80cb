"""A commit without an answer whose fate cannot be told: the server has lost its memory in between."""

import pytest

from runwell.domain.errors import StoreUnavailable
from tests.support.postgres import a_postgres_store, a_session, a_way
from tests.support.runs import a_running_run, say

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("loses", ["answer", "commit"])
async def test_after_a_crash_of_the_server_nobody_says_that_it_was_committed(
    postgres: str, loses: str
) -> None:
    """In a crash a transaction's number may be forgotten, and given to another, which is then committed."""
    async with a_way(postgres) as way, a_postgres_store(way.url) as store:
        run = await a_running_run(store)
        async with a_session(postgres) as session:
            # What a crash does too, and what it is known by.
            await session.execute("SELECT pg_stat_reset_shared('bgwriter')")
        way.loses = loses
        with pytest.raises(StoreUnavailable, match="may have been written"):
            await say(store, run)
        assert way.loses is None
        kept = await store.runs.get(run.id)
        assert kept.last_seq == run.last_seq + (loses == "answer")

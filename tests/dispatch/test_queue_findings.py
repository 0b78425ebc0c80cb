"""What `runwell doctor --audit` says of a fleet's queue."""

import pytest

from runwell import Context, agent
from runwell.dispatch.pgqueuer.names import TABLE
from runwell.domain.commands import Cancel, Claim
from runwell.domain.worker import Heartbeat
from runwell.wiring import orphans
from tests.support.fleets import a_ground, execute, settings_of
from tests.support.runs import add, do

pytestmark = pytest.mark.postgres


@agent
async def quick(ctx: Context) -> int:
    return ctx.run.attempt


async def test_a_queue_in_order_is_called_so(fleet: str) -> None:
    async with a_ground(fleet, quick) as ground:
        await add(ground.store, ground.clock.now(), agent="quick")
        (found,) = await orphans.queue_findings(settings_of(fleet))
        assert (found.level, found.code) == ("ok", "queue")


async def test_orphans_are_named_and_are_an_error_when_somebody_should_have_seen_to_them(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "BETWEEN", 0.0)
    async with a_ground(fleet, quick) as ground:
        now = ground.clock.now()
        forgotten, lost, ended = [(await add(ground.store, now, agent="quick")).run for _ in range(3)]
        lost = await do(ground.store, lost, Claim(worker="gone:1:a"), now)
        await do(ground.store, ended, Cancel(), now)
        await execute(fleet, f"DELETE FROM {TABLE} WHERE dedupe_key <> $1", f"{ended.id}:1")
        wanted = {
            "run_without_job": f"run_{forgotten.id} is queued",
            "run_without_worker": f"run_{lost.id} is running",
            "job_without_run": f"The job {ended.id}:1 is for",
        }
        for level in ("warning", "error"):
            found = await orphans.queue_findings(settings_of(fleet))
            assert {(each.level, each.code) for each in found} == {(level, code) for code in wanted}
            assert all(each.sentence.startswith(wanted[each.code]) for each in found)
            beat = Heartbeat(
                name="here:1:a", host="h", pid=1, version="1", started_at=now, seen_at=now, lapse=9.0
            )
            await ground.store.workers.beat(beat)

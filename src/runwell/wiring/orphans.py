"""Runs that nobody tries, and jobs that nothing is to come of: what the auditor asks of a fleet's queue."""

import asyncio
from typing import NamedTuple

from runwell.config import Settings
from runwell.engine.audit import Finding
from runwell.wiring.grounds import open_postgres

LOOKS = 6
BETWEEN = 2.0
"""Seconds. The two tables may disagree while somebody is at it, and until the next repair; not for longer."""


class Orphan(NamedTuple):
    code: str
    name: str


SENTENCES = {
    "run_without_job": "{} is queued and nothing is in its way, but it has no job: nobody will try it.",
    "run_without_worker": "{} is running, but its worker is gone.",
    "job_without_run": "The job {} is for an attempt that is not to come.",
}
NOBODY = " No process works on this database; the next one sees to it."


async def queue_findings(settings: Settings) -> list[Finding]:
    """What stays wrong with the queue for longer than it takes to be mended, or that nothing does. While no
    process is at work there is nobody to mend it, and it is no more than a warning.

    Raises `StoreUnavailable`, and `BadSetting`.
    """
    database = await open_postgres(settings.postgres or "", settings, migrates=False)
    try:
        from runwell.dispatch.pgqueuer.repair import JobTable

        clock, store = database.clock(), database.store()
        await clock.measure()
        jobs = JobTable(database.shared(database.signals()))

        async def look() -> tuple[set[Orphan], bool]:
            now = clock.now()
            alive = [each.name for each in await store.workers.all() if each.alive(now)]
            runs = [("run_without_job", f"run_{id}") for id in await jobs.unoffered(now)]
            lost = await jobs.abandoned(settings.lapse, alive)
            runs += [("run_without_worker", f"run_{each.run_id}") for each in lost]
            runs += [("job_without_run", key) for key in await jobs.passed(settings.lapse)]
            return {Orphan(*each) for each in runs}, bool(alive)

        found, attended = await look()
        for _ in range(LOOKS):
            if not found or not attended:
                break
            await asyncio.sleep(BETWEEN)
            again, attended = await look()
            found &= again
    finally:
        await database.close()
    if not found:
        return [Finding("ok", "queue", "Every run that could be at work has a job, and every job a run.")]
    level, more = ("error", "") if attended else ("warning", NOBODY)
    return [
        Finding(level, orphan.code, SENTENCES[orphan.code].format(orphan.name) + more)
        for orphan in sorted(found)
    ]

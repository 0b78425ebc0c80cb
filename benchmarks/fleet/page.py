"""docs/scale.md: what was measured, and what follows from it, computed."""

from benchmarks.fleet.size import EVENTS
from benchmarks.measurement import Figure
from benchmarks.report import Results, rows_of

DAY = 86_400
POLL_EVERY = 2.0
"""Seconds between two polls of one client."""
LARGEST_TABLE = 1_000_000_000
"""Events in one table up to which vacuum and a new index are a matter of an hour, not of a day."""
TALKING = 30.0
"""Events a second of one model that streams, in batches as a worker writes them."""
HALF = 0.5
"""Of what was measured is planned with: the rest is for peaks, vacuum and backups."""


def render(results: Results) -> str:
    """The page. Raises `KeyError` when a benchmark was left out."""
    return _PAGE.format(
        table="\n".join(rows_of(results.figures)),
        notes="\n".join(f"- **{each.what}.** {each.note}." for each in results.figures if each.note),
        machine=results.machine,
        memory=results.machine.memory / 2**30,
        commit=results.commit,
        rounds=results.rounds,
        others=max(figure.others for figure in results.figures),
        **_computed({figure.name: figure for figure in results.figures}),
    )


def _computed(found: dict[str, Figure]) -> dict[str, str]:
    def measured(name: str) -> float:
        return found[f"fleet.{name}"].value

    def measured_ratio(name: str) -> float:
        return found[f"fleet.{name}"].ratio or 0.0

    # What a run of EVENTS events costs: its three changes, and the commits of what it says.
    commits = EVENTS - 3 + 3
    bound = min(measured("runs"), measured("store.say") / commits)
    planned = bound * HALF
    size = measured("size.event") * EVENTS + measured("size.run")
    events_a_day = planned * DAY * EVENTS
    return {
        "events": str(EVENTS),
        "noop": f"{measured('runs'):,.0f}",
        "says": f"{measured('store.say'):,.0f}",
        "bound": f"{bound:,.0f}",
        "planned": f"{planned:,.0f}",
        "a_day": f"{planned * DAY / 1e6:,.1f} million",
        "pollers": f"{measured('reads') * HALF * POLL_EVERY:,.0f}",
        "reads": f"{measured('reads'):,.0f}",
        "streams": f"{measured('streams') * HALF / TALKING:,.0f}",
        "delivered": f"{measured('streams'):,.0f}",
        "size": f"{size / 1_000:,.1f} kB",
        "disk": f"{planned * DAY * size / 1e9:,.0f} GB",
        "days": f"{LARGEST_TABLE / events_a_day:,.1f}",
        "largest": f"{LARGEST_TABLE / 1e9:g} billion",
        "largest_disk": f"{LARGEST_TABLE * measured('size.event') / 1e9:,.0f} GB",
        "months": f"{LARGEST_TABLE / (10 * DAY * EVENTS) / 30:,.0f}",
        "flat_status": f"{measured_ratio('flat.status'):.2f}",
        "flat_list": f"{measured_ratio('flat.list'):.2f}",
        "flat_submit": f"{measured_ratio('flat.submit'):.2f}",
        "talking": f"{TALKING:g}",
        "poll_every": f"{POLL_EVERY:g}",
    }


_PAGE = """\
# Scale

What one PostgreSQL carries, where the next wall is, and what is beyond it. Measured with `make bench-fleet`
on {machine.date} at commit {commit}, with the server, the workers, PostgreSQL and the load generator on one
machine:

- {machine.processor}, {machine.cores} cores, {memory:.0f} GiB, {machine.kernel}
- {machine.filesystem}, on which a synced write of 4 KiB takes {machine.sync:.0f} µs
- PostgreSQL 18 with the settings it comes with, Python {machine.python}

Every figure is the median of {rounds} rounds; other programs used at most {others:.0%} of the machine
during a benchmark. The SQLite lines are the same measurements on a file. Nothing is switched off: every
request carries a key, every commit is on disk before it is acknowledged.

{table}

{notes}

## What that carries

A run of an agent with five model calls writes {events} events. On this machine, {noop} runs a second that
say nothing can be lived through, and {says} texts a second be recorded one by one, so at most {bound} such
runs a second, and half of that to plan with: **{planned} runs a second, {a_day} a day**, before anything is
done about it. All of this is processor time on two cores that five programs share; a database with a
machine of its own, and workers with theirs, move it first, and nobody has measured that here.

Watching: {reads} status reads a second are {pollers} clients that poll every {poll_every} s, planned with
half. {delivered} events a second delivered are {streams} streams of models that say {talking} things a
second each.

## Where the next wall is

**The table of events.** Such a run takes {size} on disk. At {planned} a second that is {disk} a day, and
{largest} events, {largest_disk} of them, are there after {days} days; at ten runs a second after {months}
months. What a client waits for grows little with that: with a million runs stored a status read has
{flat_status} of the rate that it has with a thousand, a submit {flat_submit}, the first page of a list
{flat_list}. What grows is what nobody sees in a benchmark: vacuum, a new index, a backup, a restore.

So the first answer is not to keep it: [`RUNWELL_KEEP_EVENTS`](guides/retention.md) takes the logs of old
runs away in small slices, and leaves the runs. What that costs beside the load has not been measured.

## Past it

In this order, each when the one before is no longer enough. None of it is built yet.

1. **Partition the events by time.** Runs have their creation time in their id, and events are read by run,
   so a table of events per week is found from the id alone, and an old week is dropped in one instant
   instead of deleted row by row. It moves the wall from the size of a table to the size of a disk.
2. **Read status and lists from replicas.** Reads are most of what a server asks. A replica that lags must
   not answer an older status than the client has seen: the `ETag` that a client sends says which version it
   knows, and a replica that does not have it yet passes the question on. Commits stay where they are.
3. **Cells.** Owners do not meet: no query crosses them but an operator's. So a second database with its own
   servers and workers carries other owners, and a table of who lives where, in front, is all they share.
   Each cell is this page again, and so are its walls. {planned} runs a second each, as many cells as there
   are owners to divide.

More workers do not move the database's part: each run costs it the same three commits, whoever works on it.

## Do it again

```
make bench-fleet
make bench-fleet ARGS="--only fleet latency --rounds 5"
make bench-fleet ARGS=--help
```
"""

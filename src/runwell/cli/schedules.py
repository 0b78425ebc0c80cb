"""`runwell schedules`."""

from datetime import datetime
from typing import Any

import click

from runwell.cli import terminal
from runwell.cli.connect import AS_JSON, command_for, with_client
from runwell.cli.values import read_pairs, read_value
from runwell.client import Client, Schedule
from runwell.domain.errors import InvalidId
from runwell.domain.ids import parse_id, spell
from runwell.domain.schedule import Missed


class ScheduleId(click.ParamType[str]):
    """An id in any spelling; given on in the native one."""

    name = "schedule_id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return spell("schedule", parse_id(str(value)))
        except InvalidId as error:
            self.fail(f"{error.message}. `runwell schedules list` shows them.", param, ctx)


SCHEDULE_ID = click.argument("schedule_id", metavar="ID", type=ScheduleId())


@click.group()
def schedules() -> None:
    """Start runs at the times that a cron expression names.

    \b
      runwell schedules create summarize "0 9 * * MON-FRI" @report.txt
      runwell schedules list
      runwell schedules show schedule_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
      runwell schedules fire schedule_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """


@schedules.command()
@click.argument("agent")
@click.argument("cron")
@click.argument("value", metavar="[INPUT]", required=False)
@click.option("-J", "--json-input", is_flag=True, help="INPUT is JSON, not text.")
@click.option("--timezone", metavar="ZONE", default="UTC", help="Whose clocks CRON goes by. [UTC]")
@click.option(
    "--missed",
    type=click.Choice([each.value for each in Missed]),
    default=Missed.SKIP.value,
    help="What becomes of times that came while no server was there. [skip]",
)
@click.option("--name", default="", help="What to call it, for yourself.")
@click.option("--paused", is_flag=True, help="Make it, but let it start nothing yet.")
@click.option("--thread", "thread_id", metavar="ID", help="The thread its runs belong to.")
@click.option(
    "--if-busy",
    type=click.Choice(["refuse", "queue", "together"]),
    help="When a run of the thread is under way. [queue]",
)
@click.option("--concurrency-key", metavar="KEY", help="One run with this key works at a time.")
@click.option("--metadata", metavar="K=V", multiple=True, help="A note on its runs; may be repeated.")
@click.option("--priority", type=click.IntRange(-100, 100), help="Higher starts sooner. [0]")
@click.option("--timeout", type=float, metavar="SECONDS", help="How long a run may work.")
@click.option("--expires-in", type=float, metavar="SECONDS", help="How long one may wait for its start.")
@click.option("--max-attempts", type=click.IntRange(1, 100), help="Tries of a run, lost workers included.")
@AS_JSON
@with_client
def create(
    client: Client,
    agent: str,
    cron: str,
    value: str | None,
    json_input: bool,
    metadata: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Run AGENT at the times of CRON. Prints the schedule's id, and when it is due next.

    CRON has five fields: minute, hour, day of month, month, day of week. INPUT is text, @FILE for
    what is in a file now, or - for what comes on standard input.

    \b
      runwell schedules create summarize "0 9 * * MON-FRI" @report.txt
      runwell schedules create nightly "30 2 * * *" --timezone Europe/Berlin
      runwell schedules create poll "*/10 * * * *" --concurrency-key poll
      runwell schedules create bill "0 6 1 * *" '{"all": true}' -J --missed all
    """
    content = read_value(value, as_json=json_input)
    made = client.schedules.create(agent, cron, content, metadata=read_pairs(metadata), **options)
    if as_json:
        terminal.print_json(made)
        return
    click.echo(made.id)
    click.echo(f"due next: {_due(made)}", err=True)


@schedules.command("list")
@AS_JSON
@with_client
def list_schedules(client: Client, as_json: bool) -> None:
    """List your schedules, newest first.

    \b
      runwell schedules list --json | jq -r .schedules[].id
    """
    found = list(client.schedules.list())
    if as_json:
        terminal.print_json({"schedules": found})
    elif not found:
        click.echo("no schedules", err=True)
    else:
        headers = ["SCHEDULE", "NAME", "AGENT", "CRON", "ZONE", "NEXT", ""]
        terminal.table(headers, list(map(_row, found)))


@schedules.command()
@SCHEDULE_ID
@AS_JSON
@with_client
def show(client: Client, schedule_id: str, as_json: bool) -> None:
    """Show a schedule: what it runs, when it is due next, what came of the last time.

    \b
      runwell schedules show schedule_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    found = client.schedules.get(schedule_id)
    if as_json:
        terminal.print_json(found)
        return
    next_ones = [terminal.instant(each) for each in found.next]
    terminal.fields(
        [
            ("Schedule", found.id),
            ("Name", found.name),
            ("Agent", found.agent),
            ("Input", terminal.short(terminal.document(found.input), 200)),
            ("Cron", f"{found.cron}, {found.timezone}"),
            ("Missed", found.missed),
            ("Thread", found.thread_id or ""),
            ("Next", "\n".join(next_ones) or "paused" * found.paused or "never"),
            ("Last", terminal.instant(found.last_at)),
            ("Last run", found.last_run_id or ""),
            ("Last error", found.last_error or ""),
        ]
    )


@schedules.command()
@SCHEDULE_ID
@AS_JSON
@with_client
def pause(client: Client, schedule_id: str, as_json: bool) -> None:
    """Let a schedule start nothing until it is resumed.

    \b
      runwell schedules pause schedule_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    _say(client.schedules.pause(schedule_id), as_json, "is paused")


@schedules.command()
@SCHEDULE_ID
@AS_JSON
@with_client
def resume(client: Client, schedule_id: str, as_json: bool) -> None:
    """Let a paused schedule start runs again. What came meanwhile is not made up for.

    \b
      runwell schedules resume schedule_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    resumed = client.schedules.resume(schedule_id)
    _say(resumed, as_json, f"is due next: {_due(resumed)}")


@schedules.command()
@SCHEDULE_ID
@with_client
def delete(client: Client, schedule_id: str) -> None:
    """Remove a schedule. Its runs stay.

    \b
      runwell schedules delete schedule_0190c3d1e2f34a5b8c6d7e8f90a1b2c3
    """
    client.schedules.delete(schedule_id)
    click.echo(f"{schedule_id} is deleted")


@schedules.command()
@SCHEDULE_ID
@AS_JSON
@with_client
def fire(client: Client, schedule_id: str, as_json: bool) -> None:
    """Start a run of a schedule now, besides those that are due. Prints the run's id.

    \b
      id=$(runwell schedules fire schedule_0190c3d1e2f34a5b8c6d7e8f90a1b2c3)
      runwell run stream $id
    """
    run = client.schedules.fire(schedule_id)
    if as_json:
        terminal.print_json(run)
        return
    click.echo(run.id)
    click.echo(f"hint: {command_for('stream', run.id)}", err=True)


def _row(schedule: Schedule) -> list[str]:
    state = "paused" if schedule.paused else terminal.short(schedule.last_error or "", 60)
    return [
        schedule.id,
        schedule.name,
        schedule.agent,
        schedule.cron,
        schedule.timezone,
        _moment(schedule.next_at),
        state,
    ]


def _due(schedule: Schedule) -> str:
    return ", ".join(map(_moment, schedule.next[:3])) or "not while it is paused"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _say(schedule: Schedule, as_json: bool, what: str) -> None:
    if as_json:
        terminal.print_json(schedule)
    else:
        click.echo(f"{schedule.id} {what}")

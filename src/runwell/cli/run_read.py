"""`runwell run status`, `result`, `list` and `steps`."""

import json
from datetime import UTC, datetime

import click

from runwell.cli import following, terminal
from runwell.cli.connect import AS_JSON, RUN_ID, command_for, with_client
from runwell.cli.lazy import Failure
from runwell.client import Client, Run, RunStatus, Step


@click.command()
@RUN_ID
@click.option("--why", is_flag=True, help="Only say, in one sentence, why it is there.")
@AS_JSON
@with_client
def status(client: Client, run_id: str, why: bool, as_json: bool) -> None:
    """Show where a run is. Ends with 0 whatever the status: it could be read.

    \b
      runwell run status $id
      runwell run status $id --why
      runwell run status $id --json | jq -r .status
    """
    if why:
        said = client.runs.why(run_id)
        if as_json:
            terminal.print_json({"id": run_id, "why": said})
        else:
            click.echo(said)
        return
    run = client.runs.get(run_id)
    if as_json:
        terminal.print_json(run)
    else:
        _show(run)


def _show(run: Run) -> None:
    now = datetime.now(UTC)
    state = terminal.status(run.status)
    if run.reason:
        state += f" ({run.reason})"
    if run.cancel_requested_at is not None and not run.final:
        state += ", asked to stop"
    if run.queue_position is not None:
        state += ", next in the queue" if run.queue_position == 0 else f", {run.queue_position} before it"
    terminal.fields(
        [
            ("Run", run.id),
            ("Agent", run.agent),
            ("Status", state),
            ("Progress", "" if run.final else terminal.progress(run)),
            ("Question", terminal.document(run.question.question) if run.question else ""),
            ("Error", run.error.message if run.error else ""),
            ("Steps", _steps(run)),
            ("Usage", terminal.usage(run.usage)),
            ("Attempt", _attempt(run)),
            ("Thread", run.thread_id or ""),
            ("Metadata", _metadata(run)),
            ("Retry of", run.retry_of or ""),
            ("Continues", run.continues or ""),
            ("Created", terminal.instant(run.created_at, now)),
            ("Not before", terminal.instant(run.not_before, now)),
            ("Expires", "" if run.final else terminal.instant(run.expires_at, now)),
            ("Started", terminal.instant(run.started_at, now)),
            ("Finished", terminal.instant(run.finished_at, now)),
            ("Duration", terminal.duration(run.duration)),
            ("Next", _next(run)),
        ]
    )


def _steps(run: Run) -> str:
    if not run.steps.total:
        return ""
    failed = f", {run.steps.failed} failed" if run.steps.failed else ""
    now = f", now {run.steps.current}" if run.steps.current else ""
    return f"{run.steps.finished} finished{failed}{now}"


def _attempt(run: Run) -> str:
    """Only worth a line when something went wrong, or somebody may want to know who works on it."""
    worker = f" on {run.worker}" if run.worker else ""
    tries = f", {run.tries} of {run.max_attempts} tries used" if run.tries else ""
    return f"{run.attempt}{worker}{tries}" if worker or tries else ""


def _metadata(run: Run) -> str:
    return ", ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in run.metadata.items()
    )


def _next(run: Run) -> str:
    match run.status:
        case RunStatus.QUEUED | RunStatus.RUNNING:
            return command_for("stream", run.id)
        case RunStatus.WAITING:
            return following.answer_command(run)
        case RunStatus.SUCCEEDED:
            return command_for("result", run.id)
        case RunStatus.FAILED | RunStatus.CANCELLED:
            return command_for("retry", run.id)


@click.command()
@RUN_ID
@click.option("--wait", is_flag=True, help="Wait for the end first.")
@AS_JSON
@with_client
def result(client: Client, run_id: str, wait: bool, as_json: bool) -> None:
    """Print what a run returned: text as it is, anything else as JSON.

    \b
      runwell run result $id > summary.txt
      runwell run result $id --wait --json | jq .output

    With --json the whole run is printed. Exit codes: `runwell run --help`.
    """
    run = following.wait(client, run_id) if wait else client.runs.get(run_id)
    if as_json:
        terminal.print_json(run)
    elif run.status in (RunStatus.QUEUED, RunStatus.RUNNING):
        raise Failure(f"{run.id} is {run.status}: it has no result yet", "Add --wait, or ask later.")
    elif run.status is RunStatus.SUCCEEDED:
        following.print_output(run)
    following.finish(run)


@click.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in RunStatus]),
    help="Only these; may be repeated.",
)
@click.option("--agent", metavar="NAME", help="Only runs of this agent.")
@click.option("--thread", "thread_id", metavar="ID", help="Only runs of this thread.")
@click.option("--text", metavar="WORDS", help="Only failed runs whose error has these words.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@AS_JSON
@with_client
def list_runs(
    client: Client,
    statuses: tuple[str, ...],
    agent: str | None,
    thread_id: str | None,
    text: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, newest first.

    \b
      runwell run list --status running --status queued
      runwell run list --text "timed out"
      runwell run list --agent researcher -n 100 --json | jq -r .runs[].id
    """
    found = client.runs.list(status=statuses, agent=agent, thread_id=thread_id, text=text, limit=limit)
    runs = list(found)
    if as_json:
        terminal.print_json({"runs": runs})
    elif not runs:
        click.echo("no runs", err=True)
    else:
        terminal.table(
            ["RUN", "STATUS", "AGENT", "AGE", "DURATION", ""],
            [_row(run, datetime.now(UTC)) for run in runs],
        )


def _row(run: Run, now: datetime) -> list[str]:
    note = run.error.message if run.error else (run.progress.step or "") if run.progress else ""
    if run.question is not None:
        note = terminal.document(run.question.question)
    return [
        run.id,
        terminal.status(run.status),
        run.agent,
        terminal.duration(max((now - run.created_at).total_seconds(), 0.0)),
        terminal.duration(run.duration),
        "" if run.status is RunStatus.SUCCEEDED else terminal.short(note, 60),
    ]


@click.command()
@RUN_ID
@AS_JSON
@with_client
def steps(client: Client, run_id: str, as_json: bool) -> None:
    """List a run's steps in the order they started.

    \b
      runwell run steps $id
    """
    found = client.runs.steps(run_id)
    if as_json:
        terminal.print_json({"steps": found})
    elif not found:
        click.echo("no steps", err=True)
    else:
        print_steps(found)


def print_steps(found: tuple[Step, ...]) -> None:
    terminal.table(
        ["STEP", "KIND", "STATUS", "DURATION", "USAGE"],
        [
            [
                ("  " if step.parent else "") + step.key,
                step.kind,
                _state(step),
                terminal.duration(step.duration),
                terminal.usage(step.usage),
            ]
            for step in found
        ],
    )


def _state(step: Step) -> str:
    if step.inherited:
        return "inherited"
    return step.status if step.error is None else terminal.short(f"{step.status}: {step.error.message}", 60)

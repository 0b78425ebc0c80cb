"""Following one run on the terminal to its end, and the exit code that follows from it."""

import shlex

import click

from runwell.cli import terminal
from runwell.cli.connect import command_for, detachable
from runwell.cli.terminal import Live
from runwell.client import Client, Event, Run, RunStatus
from runwell.domain import events as facts

EXIT_CODES = {
    RunStatus.SUCCEEDED: 0,
    RunStatus.FAILED: 1,
    RunStatus.CANCELLED: 3,
    RunStatus.WAITING: 4,
}
UNFINISHED = 1
"""For a run that is queued or running and is not waited for."""


def wait(client: Client, run_id: str) -> Run:
    """Show the run's progress until it is final or asks something."""
    live = Live()
    with detachable(run_id):
        for run in client.runs.watch(run_id):
            live.show(_line(run))
            if run.final or run.status is RunStatus.WAITING:
                break
        live.clear()
    return run


def _line(run: Run) -> str:
    if run.status is RunStatus.QUEUED and run.queue_position is not None:
        place = "next" if run.queue_position == 0 else f"{run.queue_position} before it"
        return f"queued, {place}"
    return f"{run.status}  {terminal.progress(run)}".rstrip()


def stream(client: Client, run_id: str, after: int, *, as_json: bool) -> Run:
    """Print the run's text, or all its events as JSON lines, until it is final or asks something."""
    teller = _Json() if as_json else _Text()
    with detachable(run_id):
        for event in client.runs.events(run_id, after):
            teller.tell(event)
            # An old question in the log may long have its answer: only the run knows.
            if event.type == facts.RunWaiting.type and _still_asks(client, run_id, event):
                break
        run = client.runs.get(run_id)
    teller.end(run)
    return run


def _still_asks(client: Client, run_id: str, event: Event) -> bool:
    question = client.runs.get(run_id).question
    return question is not None and question.key == event.data["question"]["key"]


class _Json:
    def tell(self, event: Event) -> None:
        head = f'{{"seq":{event.seq},"at":"{event.at.isoformat()}","type":"{event.type}","data":'
        click.echo(f"{head}{bytes(event.raw).decode()}}}")

    def end(self, run: Run) -> None:
        """The last event has said it."""


class _Text:
    """Text on stdout; what else happens, in a few words, on stderr."""

    def __init__(self) -> None:
        self._live = Live()
        self._said = False

    def tell(self, event: Event) -> None:
        match event.fact:
            case facts.TextDelta(text=text):
                self._said = True
                self._live.text(text)
            case facts.AttemptStarted(attempt=1):
                self._live.show("running")
            case facts.AttemptStarted(attempt=attempt):
                self._live.show(f"running, attempt {attempt}")
            case facts.ProgressNoted(progress=progress):
                percent = "" if progress.percent is None else f"{progress.percent:.0f} %"
                self._live.show("  ".join(filter(None, (percent, progress.step))))
            case facts.OutputRestarted():
                self._said = False
                self._live.say("the agent started over: the text above no longer counts")
            case facts.AttemptLost(worker=worker):
                self._live.say(f"the worker {worker} vanished; the run is taken up again")
            case facts.AttemptFailed(error=error):
                self._live.say(f"attempt failed: {error.message}; it is tried again")
            case facts.RunCancelRequested():
                self._live.show("cancelling")
            case _:
                return  # for the log, not for the terminal

    def end(self, run: Run) -> None:
        self._live.end_text()
        self._live.clear()
        if run.status is RunStatus.SUCCEEDED and not self._said:
            print_output(run)


def print_output(run: Run) -> None:
    if run.output is not None:
        click.echo(terminal.document(run.output))


def answer_command(run: Run) -> str:
    """The command that answers what the run asks, and nothing that it may ask later."""
    key = f" --question {shlex.quote(run.question.key)}" if run.question is not None else ""
    return f"{command_for('answer', run.id)} VALUE{key}"


def finish(run: Run) -> None:
    """Say on stderr what is left to say of a run that stopped, and end with its exit code."""
    if run.status is RunStatus.FAILED and run.error is not None:
        click.echo(f"{terminal.status('failed')}: {run.error.message} ({run.reason})", err=True)
    elif run.status is RunStatus.CANCELLED:
        click.echo(f"{terminal.status('cancelled')}: {run.id}", err=True)
    elif run.status is RunStatus.WAITING and run.question is not None:
        asked = terminal.document(run.question.question)
        click.echo(f"{terminal.status('waiting')} for an answer: {asked}", err=True)
        click.echo(f"hint: {answer_command(run)}", err=True)
    click.get_current_context().exit(EXIT_CODES.get(run.status, UNFINISHED))

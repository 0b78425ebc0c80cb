"""`python -m runwell.cli.demo [FILE]`: a real server, a real run, from start to finish, offline.

It starts `runwell serve` on a free port of this machine with a new database in a temporary folder,
summarises a document, shows what one sees of a run, and leaves nothing behind.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import click

from runwell.cli import terminal
from runwell.cli.lazy import INTERRUPTED, Failure
from runwell.cli.run_read import print_steps
from runwell.client import ApiError, Client, Event, Run, RunStatus
from runwell.domain import events as facts

AGENT = "summarize"
START_WITHIN = 30.0
STOP_WITHIN = 20.0
"""Seconds; a healthy server takes about one for either."""

SOURCE_TREE = Path(__file__).resolve().parents[3]


class Document(NamedTuple):
    name: str
    text: str


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def demo(file: Path | None) -> None:
    """Summarise FILE, a text or Markdown document, on a server that lives just for that."""
    document = choose(file)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="runwell-demo-") as folder:
        heading("A server, on a free port, with a new database")
        with serving(Path(folder)) as url, Client(url) as client:
            say(f"{url} is ready after {since(began)}")
            run, seen = summarise(client, document)
            report(client, run)
            replay(client, run, seen)
            heading("The server stops")
        say("It has handed back everything and ended with 0.")
    click.echo(f"\nThat was one run, in {since(began)} from nothing. Now with your own agents:\n")
    click.echo("  runwell serve my_agents.py      then http://127.0.0.1:8005/docs has the API\n")


def choose(file: Path | None) -> Document:
    """FILE, or the longest document of this project, or the text that is installed with it."""
    if file is not None:
        try:
            return Document(str(file), file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"{file} cannot be read as UTF-8 text: {error}", exit_code=2) from error
    # Installed, that folder is somebody else's; only our own tree has this file in it.
    if (SOURCE_TREE / "src/runwell/cli/demo.py").exists():
        ours = [*SOURCE_TREE.glob("*.md"), *SOURCE_TREE.glob("docs/**/*.md")]
        texts = [Document(str(p.relative_to(SOURCE_TREE)), p.read_text(encoding="utf-8")) for p in ours]
        if texts:
            return max(texts, key=lambda document: len(document.text))
    return Document(
        "the text that comes with Runwell", files("runwell.cli").joinpath("demo.md").read_text("utf-8")
    )


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server process over a database in `folder`; gives its address. Stopped at the end.

    Raises `Failure`, with what the server said, when it does not start or does not end well.
    """
    port = free_port()
    log = folder / "server.log"
    # Settings of the user's own server, in variables or in a file, are not for this one.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RUNWELL_")}
    command = [sys.executable, "-m", "runwell", "serve", f"--port={port}", f"--db={folder / 'demo.db'}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=output)
    try:
        wait_ready(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        code = process.wait(STOP_WITHIN)
        if code:
            raise Failure(f"the server ended with {code}", last_words(log))
    except subprocess.TimeoutExpired as error:
        raise Failure(f"the server did not stop within {STOP_WITHIN:g} s", last_words(log)) from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until `/readyz` says 200."""
    # No proxy from the environment: this is about this machine only.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failure(f"the server ended with {process.returncode} instead of starting", last_words(log))
        try:
            with opener.open(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise Failure(f"the server was not ready within {START_WITHIN:g} s", last_words(log))


def last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return "\n".join(["it said:", *lines]) if lines else "it said nothing"


def summarise(client: Client, document: Document) -> tuple[Run, list[Event]]:
    """Submit the document and follow its run to the end; the run and every event, as it came."""
    heading(f"A run of the agent `{AGENT}` on {document.name} ({len(document.text):,} characters)")
    run = client.runs.create(AGENT, document.text)
    say(f"{run.id} is {terminal.status(run.status)}; the id was there at once")
    heading("What can be watched, live")
    seen, narrator = [], Narrator()
    for event in client.runs.events(run.id):
        seen.append(event)
        narrator.tell(event)
    narrator.end_text()
    run = client.runs.get(run.id)
    if run.status is not RunStatus.SUCCEEDED:
        why = run.error.message if run.error else run.reason or ""
        raise Failure(f"the run is {run.status}: {why}", (run.error.trace if run.error else "") or "")
    return run, seen


class Narrator:
    """Status and progress in lines of their own, streamed text between bars."""

    def __init__(self) -> None:
        self._at_line_start = True

    def tell(self, event: Event) -> None:
        match event.fact:
            case facts.TextDelta(text=text):
                for line in text.splitlines(keepends=True):
                    click.echo(f"  │ {line.lstrip()}" if self._at_line_start else line, nl=False)
                    self._at_line_start = line.endswith("\n")
            case facts.AttemptStarted(worker=worker):
                self._line(f"{terminal.status('running')} on {worker}")
            case facts.ProgressNoted(progress=progress):
                percent = "      " if progress.percent is None else f"{progress.percent:3.0f} % "
                self._line(f"{percent} {progress.step or ''}")
            case facts.RunSucceeded():
                self._line(terminal.status("succeeded"))
            case _:
                return  # the log has it, and the steps are shown below
        sys.stdout.flush()

    def end_text(self) -> None:
        if not self._at_line_start:
            click.echo()
            self._at_line_start = True

    def _line(self, text: str) -> None:
        self.end_text()
        say(text)


def report(client: Client, run: Run) -> None:
    """The result, the steps and the figures."""
    heading("What it returned")
    output = run.output if isinstance(run.output, dict) else {}
    click.echo(terminal.document(output.get("summary", run.output)))
    if {"words_in", "words_out"} <= output.keys():
        say(f"{output['words_out']} words of {output['words_in']:,}")
    heading("Its steps: each is done once, and kept if the server dies in the next one")
    print_steps(client.runs.steps(run.id))
    heading("Its figures")
    terminal.fields(
        [
            ("First output", terminal.duration(run.ttft)),
            ("Working time", terminal.duration(run.duration)),
            ("Usage", terminal.usage(run.usage) or "no model was called: this agent needs none"),
            ("Attempts", str(run.attempt)),
        ]
    )


def replay(client: Client, run: Run, seen: list[Event]) -> None:
    """Read the log again, whole and from the middle, and hold it against what came live."""
    heading("Its log, read again")
    again = list(client.runs.events(run.id))
    middle = len(seen) // 2
    rest = list(client.runs.events(run.id, after=middle))
    if again != seen or rest != seen[middle:] or [event.seq for event in seen] != [*range(1, len(seen) + 1)]:
        raise Failure("the log does not say what was seen live", f"{len(seen)} live, {len(again)} replayed")
    say(f"{len(again)} events, numbered without a gap, the same as live; {len(rest)} of them behind {middle}")


def heading(text: str) -> None:
    click.echo(f"\n{click.style(text, bold=True)}")


def say(text: str) -> None:
    click.echo(f"  {text}")


def since(began: float) -> str:
    return terminal.duration(time.monotonic() - began)


def main() -> None:
    """Run it; a failure is a sentence on stderr and an exit code that is not 0."""
    try:
        demo(standalone_mode=False, prog_name="python -m runwell.cli.demo")
    except ApiError as error:
        fail(error.message, error.hint, 1)
    except click.Abort:
        fail("interrupted", "", INTERRUPTED)
    except click.ClickException as error:
        hint, code = (error.hint, error.code) if isinstance(error, Failure) else ("", error.exit_code)
        fail(error.format_message(), hint, code)


def fail(message: str, hint: str, code: int) -> None:
    click.echo(f"\nerror: {message}", err=True)
    if hint:
        click.echo(hint, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

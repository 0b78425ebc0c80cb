"""`runwell triggers` against the real server."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.running import Ran, runwell
from tests.support.live_server import LiveServer

SOME = "trigger_0190c3d1e2f34a5b8c6d7e8f90a1b2c3"


@pytest.fixture
def triggers(live: LiveServer):
    """`runwell triggers …` on the live server."""

    def call(*args: str, stdin: str = "") -> Ran:
        return runwell("triggers", *args, stdin=stdin, RUNWELL_URL=live.url)

    return call


def post(url: str, body: bytes = b'"hello"') -> int:
    """The status of a post."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


def test_from_an_address_to_its_end(triggers, live: LiveServer) -> None:
    made = triggers("create", "echo", "--name", "news")
    url = made.out.strip()
    assert (made.code, made.out) == (0, f"{url}\n")
    assert url.startswith(f"{live.url}/webhooks/wht_")
    id, _, rest = made.err.partition(": starts echo\n")
    assert rest == "hint: copy it now, it is not shown again. Whoever knows it may post.\n"
    assert post(url) == 200
    assert triggers("pause", id).out == f"{id} is paused\n"
    assert post(url) == 400
    assert triggers("resume", id.removeprefix("trigger_")).out == f"{id} starts runs again\n"
    assert post(url) == 200
    assert triggers("delete", id).out == f"{id} is deleted\n"
    assert post(url) == 404
    gone = triggers("pause", id)
    assert (gone.code, gone.out) == (1, "")
    assert "There is no trigger" in gone.err


@pytest.mark.parametrize("given", ["s3cret", "@secret.txt", "-"])
def test_a_secret_comes_from_where_it_is(triggers, tmp_path: Path, monkeypatch, given: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret.txt").write_text("s3cret\n")
    made = triggers("create", "echo", "--secret", given, "--json", stdin="s3cret\n")
    assert made.json["signed"] is True
    assert "s3cret" not in made.out
    assert made.json["url"].endswith(made.json["path"])
    assert post(made.json["url"]) == 401


def test_the_list_shows_no_address(triggers) -> None:
    made = triggers("create", "echo", "--name", "listed", "--json").json
    shown = triggers("list")
    line = next(line for line in shown.out.splitlines() if made["id"] in line)
    assert line.split() == [made["id"], "listed", "echo", f"{made['prefix']}…"]
    assert made["token"] not in shown.out
    listed = triggers("list", "--json").json["triggers"][0]
    assert (listed["id"], listed["token"], listed["url"]) == (made["id"], None, None)


def test_nothing_to_list_says_so(tmp_path_factory) -> None:
    with LiveServer(tmp_path_factory.mktemp("empty")) as server:
        shown = runwell("triggers", "list", RUNWELL_URL=server.url)
    assert (shown.code, shown.out, shown.err) == (0, "", "no triggers\n")


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["create", "nobody"], 1, "There is no agent 'nobody'"),
        (["pause", SOME], 1, "There is no trigger"),
        (["delete", "x"], 2, "'x' is not an id"),
        (["create", "echo", "--secret", "@/no/such"], 2, "/no/such cannot be read"),
        (["create", "echo", "--name", "x" * 201], 2, "name"),
        (["create"], 2, "Missing argument 'AGENT'"),
    ],
)
def test_a_mistake_is_one_sentence(triggers, args, code, sentence) -> None:
    ran = triggers(*args)
    assert (ran.code, ran.out) == (code, "")
    assert sentence in ran.err.splitlines()[0]

"""A server is killed in the middle of a workflow: the next one goes on at the first unfinished step."""

from pathlib import Path

import pytest

from runwell.client import Client, Event
from tests.support.live_server import LiveServer

AGENTS = str(Path(__file__).with_name("workflow_agents.py"))
STEPS = ("gather", "sift", "write", "polish")


def made_in_code(client: Client) -> str:
    return "report"


def made_through_the_api(client: Client) -> str:
    made = client.agents.put("mine", steps=[{"id": name, "agent": name} for name in STEPS])
    assert [(each["id"], each["depends_on"]) for each in made.steps] == [
        ("gather", []), ("sift", ["gather"]), ("write", ["sift"]), ("polish", ["write"]),
    ]  # fmt: skip
    return made.name


@pytest.mark.e2e
@pytest.mark.parametrize("make", [made_in_code, made_through_the_api])
def test_a_killed_workflow_goes_on_at_its_first_unfinished_step(tmp_path: Path, make) -> None:
    journal, gate = tmp_path / "journal", tmp_path / "gate"
    server = LiveServer(tmp_path, AGENTS, env={"WORKFLOW_JOURNAL": str(journal), "WORKFLOW_GATE": str(gate)})
    with server, server.client() as client:
        run = client.runs.create(make(client), "tides")
        watching = iter(client.runs.events(run.id))
        seen: list[Event] = []
        while not seen or seen[-1].type != "output.text_delta":
            seen.append(next(watching))
        before = client.runs.get(run.id)
        assert before.progress is not None
        assert (before.progress.percent, before.progress.step) == (25.0, "sift")
        server.kill()
        gate.touch()
        server.start()
        seen += list(watching)
        ended = client.runs.get(run.id)
        rows = {row.key: row for row in client.runs.steps(run.id)}
        server.stop()
    assert (ended.status, ended.attempt, ended.tries) == ("succeeded", 2, 1)
    assert ended.output == "report on sifted facts about tides!"
    # Only the step that was under way is done again, and not what had finished within it.
    assert journal.read_text().split() == ["gather", "read", "sift", "sift", "write", "polish"]
    assert {key: (row.status, row.attempt) for key, row in rows.items()} == {
        "gather": ("finished", 1), "sift/read": ("finished", 1), "sift": ("finished", 2),
        "write": ("finished", 2), "polish": ("finished", 2),
    }  # fmt: skip
    # Whoever watched across the kill saw one unbroken stream.
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert "output.restarted" not in [event.type for event in seen]
    text = "".join(event.data["text"] for event in seen if event.type == "output.text_delta")
    assert text == "sifting sifted"

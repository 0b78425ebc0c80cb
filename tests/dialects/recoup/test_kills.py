"""kill -9 in the middle of an answer: the client that comes back sees the rest of the one list of frames."""

import json
import random
from pathlib import Path

import httpx
import pytest

from tests.dialects.recoup import node
from tests.dialects.recoup.live_agents import DOOMED_WORDS, WORDS
from tests.dialects.recoup.test_clients import AGENTS, Chat, a_chat
from tests.dialects.recoup.turns import check_turn
from tests.support.live_server import LiveServer

TURNS = 4


def wait_for_words(chat: Chat, count: int) -> None:
    """Until the run has said so many."""
    run_id = chat.read()["chat"]["activeStreamId"]
    url, headers = f"{chat.server.url}/runs/{run_id}/events", {"accept": "text/event-stream"}
    with httpx.stream("GET", url, headers=headers, timeout=node.PATIENCE) as answer:
        for line in answer.iter_lines():
            count -= line == "event: output.text_delta"
            if count == 0:
                return
    raise AssertionError("the run ended before it had said as much")


@pytest.mark.long
def test_a_client_that_outlives_the_server_sees_one_unbroken_message(tmp_path: Path):
    node.node()
    dice = random.Random(9)
    with LiveServer(tmp_path, str(AGENTS)) as server:
        chat = a_chat(server).use("doomed")
        for turn in range(TURNS):
            gates = sorted(dice.sample(range(1, DOOMED_WORDS), 2))
            asked = chat.asked(" ".join(map(str, gates)), tell=True, byRunId=turn % 2 == 0)
            client = node.start("chat.mjs", json.dumps(asked))
            assert client.stdout is not None
            seen = 0
            for gate in gates:
                # The client has seen some of it, the log holds all up to the place where the agent hangs.
                for _ in range(dice.randrange(seen, gate) - seen + 1):
                    while client.stdout.readline() != "+text-delta\n":
                        assert client.poll() is None, "the answer was over before the server died"
                    seen += 1
                wait_for_words(chat, gate)
                server.kill()
                server.start()
            out, _ = client.communicate("", node.PATIENCE)
            answer = json.loads(out.strip("\n").split("\n")[-1])
            assert "failed" not in answer, answer
            check_turn(answer["chunks"], ended=True)
            assert answer["chunks"] == chat.watched()
            assert len(answer["requests"]) > 1
            messages = chat.read()["messages"]
            assert messages[-1] == answer["message"]
            assert len(messages) == 2 * (turn + 1)
            whole = "".join(f"{number} {WORDS[number % len(WORDS)]}" for number in range(DOOMED_WORDS))
            assert [part.get("text") for part in messages[-1]["parts"]] == [None, whole]

"""The clients that browsers run, under Node, against a real server: `WorkflowChatTransport` of
@workflow/ai and `DefaultChatTransport` of ai, whose schema refuses every key too many."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.dialects.recoup import node
from tests.dialects.recoup.turns import Chunk, check_turn, stream_chunks
from tests.support.live_server import LiveServer

AGENTS = Path(__file__).with_name("live_agents.py")
CUTS = 8
"""How often each of them loses its connection."""


class Chat(NamedTuple):
    server: LiveServer
    session: str
    id: str

    def asked(self, text: str, client: str = "workflow", **given: Any) -> dict[str, Any]:
        """The call of a client that says `text`."""
        message = {"id": f"u-{text}", "role": "user", "parts": [{"type": "text", "text": text}]}
        told = {"action": "send", "base": self.server.url, "chatId": self.id, "sessionId": self.session}
        return {"client": client, **told, "messages": [message], **given}

    def say(self, text: str, client: str = "workflow", **given: Any) -> dict[str, Any]:
        answer: dict[str, Any] = node.ask("chat.mjs", json.dumps(self.asked(text, client, **given)))
        return answer

    def read(self) -> dict[str, Any]:
        url = f"{self.server.url}/api/sessions/{self.session}/chats/{self.id}"
        body: dict[str, Any] = httpx.get(url).raise_for_status().json()
        return body

    def watched(self, start: int = 0) -> list[Chunk]:
        url = f"{self.server.url}/api/chat/{self.id}/stream?startIndex={start}"
        return stream_chunks(httpx.get(url, timeout=30).raise_for_status().content)

    def use(self, agent: str) -> "Chat":
        url = f"{self.server.url}/api/sessions/{self.session}/chats/{self.id}"
        httpx.patch(url, json={"modelId": agent}).raise_for_status()
        return self


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    node.node()
    with LiveServer(tmp_path_factory.mktemp("recoup"), str(AGENTS)) as server:
        yield server


def a_chat(server: LiveServer) -> Chat:
    made = httpx.post(f"{server.url}/api/sessions", json={}).raise_for_status().json()
    return Chat(server, made["session"]["id"], made["chat"]["id"])


@pytest.fixture
def chat(server: LiveServer) -> Chat:
    return a_chat(server)


@pytest.mark.parametrize("client", ["workflow", "default"])
def test_a_turn_is_streamed_and_the_same_after_a_reload(chat: Chat, client: str):
    answer = chat.say("moons", client)
    assert answer["errors"] == []
    check_turn(answer["chunks"], ended=True)
    assert [request["status"] for request in answer["requests"]] == [200]
    asked, said = chat.read()["messages"]
    assert asked == {"id": "u-moons", "role": "user", "parts": [{"type": "text", "text": "moons"}]}
    assert said == answer["message"]
    kinds = [part["type"] for part in said["parts"]]
    assert kinds == ["step-start", "reasoning", "text", "tool-search", "step-start", "text"]
    assert said["metadata"]["totalMessageUsage"]["totalTokens"] == 470


def test_a_client_that_loses_its_connection_gets_exactly_the_rest(chat: Chat):
    dice = random.Random(20)
    for turn in range(3):
        cuts = [dice.randrange(1, 600) for _ in range(CUTS)]
        answer = chat.say(f"turn {turn}", cuts=cuts, byRunId=turn == 2)
        first, *others = answer["requests"]
        assert first["method"] == "POST"
        assert len(others) == CUTS, "each cut is one more request"
        place = answer["end"]["runId"] if turn == 2 else chat.id
        assert {url.partition("?")[0] for url in (request["url"] for request in others)} == {
            f"{chat.server.url}/api/chat/{place}/stream"
        }
        assert answer["chunks"] == chat.watched()
        assert answer["end"]["chunkIndex"] == len(answer["chunks"])
        assert chat.read()["messages"][-1] == answer["message"]


def test_every_start_index_of_an_ended_run_is_a_suffix(chat: Chat):
    whole = chat.say("suffixes")["chunks"]
    for start in (0, 1, 17, len(whole) - 1):
        assert chat.watched(start) == whole[start:]
    past = httpx.get(f"{chat.server.url}/api/chat/{chat.id}/stream?startIndex={len(whole)}")
    assert past.status_code == 204


def test_stop_ends_the_stream_as_every_other_end(chat: Chat):
    answer = chat.use("hang").say("for ever", action="stop")
    assert answer["end"]["stop"] == {"success": True, "stopped": True}
    check_turn(answer["chunks"], ended=True)
    assert "tool-output-error" in [chunk["type"] for chunk in answer["chunks"]]
    url = f"{chat.server.url}/api/chat/runs/{answer['end']['runId']}"
    assert httpx.get(url).json()["status"] == "cancelled"
    assert chat.read()["messages"][-1] == answer["message"]


def test_a_run_that_fails_tells_the_client_why_and_still_finishes(chat: Chat):
    answer = chat.use("fail").say("no net")
    assert answer["errors"] == ["no net"]
    assert [chunk["type"] for chunk in answer["chunks"]][-2:] == ["error", "finish"]
    check_turn(answer["chunks"], ended=True)
    assert chat.read()["messages"][-1]["parts"][-1]["text"] == "So far so good"


def test_an_agent_that_only_returns_is_heard_too(chat: Chat):
    answer = chat.use("answer").say("hello")
    assert answer["message"]["parts"][-1] == {"type": "text", "text": "You said: hello", "state": "done"}


def test_a_page_that_is_loaded_while_a_run_is_on_watches_it_from_its_beginning(chat: Chat):
    started = httpx.post(f"{chat.server.url}/api/chat/runs", json={"prompt": "headless", "model": "guide"})
    headless = Chat(chat.server, started.json()["sessionId"], started.json()["chatId"])
    for client in ("workflow", "default"):
        resumed = headless.say("", client, action="resume")
        # The plain client asks without `startIndex`, so an ended run is nothing to it.
        if resumed["chunks"] is not None:
            assert resumed["chunks"] == headless.watched()
            check_turn(resumed["chunks"], ended=True)
    assert [message["role"] for message in headless.read()["messages"]] == ["user", "assistant"]


def test_the_plain_client_takes_204_for_nothing_to_resume(chat: Chat):
    chat.say("over")
    assert chat.say("", "default", action="resume")["chunks"] is None


def test_as_the_server_is_set_nothing_is_a_stream_that_ends(tmp_path: Path):
    node.node()
    with LiveServer(tmp_path, str(AGENTS), env={"RUNWELL_RECOUP_EMPTY_STREAM": "finish"}) as server:
        chat = a_chat(server)
        for client in ("workflow", "default"):
            assert chat.say("", client, action="resume")["chunks"] == [{"type": "finish"}]

"""People at a house: signed in, with the cookie that their browsers send along."""

from dataclasses import dataclass
from typing import Any

from runwell.domain.ids import parse_id
from runwell.domain.run import Run
from tests.support.asgi import Answer, AsgiClient
from tests.support.house import House

CHAT = "550e8400-e29b-41d4-a716-446655440000"
OTHER_CHAT = "550e8400-e29b-41d4-a716-446655440001"
PASSWORD = "correct horse"
COOKIE = "better-auth.session_token"
STEPS = [{"id": "search", "agent": "echo"}, {"id": "write", "name": "Write it", "agent": "echo"}]


@dataclass
class Person:
    id: str
    token: str
    client: AsgiClient
    house: House

    @property
    def owner(self) -> str:
        return f"user:{self.id}"

    async def workflow(self, steps: list[dict[str, Any]] | None = None, **fields: Any) -> str:
        """The id of a new one, of two steps unless told otherwise."""
        body = {"userId": self.id, "name": "Report", "steps": STEPS if steps is None else steps, **fields}
        answer = await self.client.post("/api/workflows", body)
        assert answer.status == 201, answer.text
        id: str = (answer.json.get("data") or answer.json["workflow"])["id"]
        return id

    def say(self, content: str = "hello", **fields: Any) -> dict[str, Any]:
        return {"content": content, "modelId": "any", "userId": self.id, **fields}

    async def start(self, workflow: str | None = None, chat: str = CHAT, content: str = "hello") -> Run:
        """The run of a workflow in a chat."""
        workflow = workflow or await self.workflow()
        answer = await self.client.post(f"/api/chats/{chat}/messages", self.say(content, workflowId=workflow))
        assert answer.status == 201, answer.text
        body = answer.json.get("data") or answer.json
        return await self.house.store.runs.get(parse_id(body["workflowRunId"]))

    async def runs(self, chat: str = CHAT) -> Any:
        answer = await self.client.get(f"/api/chats/{chat}/workflow-runs")
        assert answer.status == 200, answer.text
        return (answer.json.get("data") or answer.json)["workflowRuns"]


async def sign_up(house: House, email: str, password: str = PASSWORD) -> Answer:
    body = {"name": email.partition("@")[0], "email": email, "password": password}
    return await house.client.post("/api/auth/sign-up/email", body)


async def sign_in(house: House, email: str, password: str = PASSWORD, **fields: Any) -> Answer:
    body = {"email": email, "password": password, **fields}
    return await house.client.post("/api/auth/sign-in/email", body)


async def a_person(house: House, name: str = "ann") -> Person:
    email = f"{name}@example.com"
    assert (await sign_up(house, email)).status == 200
    answer = await sign_in(house, email)
    assert answer.status == 200, answer.text
    token = answer.json["token"]
    client = house.client.with_headers(cookie=f"{COOKIE}={token}")
    return Person(answer.json["user"]["id"], token, client, house)


def check_refused(answer: Answer, status: int, message: str | None = None) -> None:
    """In the documented form."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["error", "message"]
    if message is not None:
        assert answer.json["message"] == message


def check_app_refused(answer: Answer, status: int, code: str, error: str | None = None) -> None:
    """In the web client's form."""
    assert answer.status == status, answer.text
    body = answer.json
    given = ["error"] if error is not None else []
    more = ["retryAfter"] if status == 429 else []
    assert list(body) == ["message", "clientMessage", "code", *given, "requestId", "statusCode", *more]
    assert (body["code"], body["statusCode"], body.get("error")) == (code, status, error)

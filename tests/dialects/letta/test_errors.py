"""Errors as Letta words them: every kind, and `detail` always there."""

import inspect
import json

import pytest

from runwell.dialects.letta import errors as letta_errors
from runwell.dialects.letta.callbacks import AlreadyTold
from runwell.dialects.letta.ids import StepNotFound
from runwell.domain import errors
from runwell.domain.errors import AddressFault, ErrorKind, RunwellError
from tests.support.house import House

ID = "a" * 32
MADE = {
    errors.InvalidId: ("x",),
    errors.InvalidJson: ("$.a", "bad"),
    errors.InvalidInput: ("$.a", "bad"),
    errors.IdempotencyMismatch: ("key", ID),
    errors.AddressRefused: (AddressFault.LOOPBACK, "it is this machine"),
    errors.RunNotFound: (ID,),
    errors.AgentNotFound: ("x",),
    errors.ThreadNotFound: (ID,),
    errors.KeyNotFound: ("x",),
    errors.CallbackNotFound: ("x",),
    errors.DeliveryNotFound: ("x",),
    errors.TriggerNotFound: ("x",),
    errors.IllegalTransition: (ID, "failed", "cancel"),
    errors.RunNotFinal: (ID, "queued", "deleted"),
    errors.RunNotWaiting: (ID, "queued"),
    errors.QuestionChanged: (ID, "ask", "ask#2"),
    errors.ThreadBusy: (ID, ID),
    errors.StaleRun: (ID,),
    errors.NotItsTurn: (ID,),
    errors.AttemptSuperseded: (ID, 1),
    errors.LogPruned: (ID,),
}
ERRORS = [
    error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, RunwellError)
] + [StepNotFound, AlreadyTold]
SCOPE = {"type": "http", "method": "GET", "path": "/x", "query_string": b""}
STATUS = {
    ErrorKind.INVALID: 422, ErrorKind.NOT_FOUND: 404, ErrorKind.CONFLICT: 409,
    ErrorKind.UNAUTHENTICATED: 401, ErrorKind.FORBIDDEN: 403, ErrorKind.GONE: 410,
    ErrorKind.TOO_LARGE: 413, ErrorKind.LIMITED: 429, ErrorKind.UNAVAILABLE: 503,
}  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_detail_in_words(error):
    made = error(*MADE.get(error, ("a sentence",)))
    reply = letta_errors.refuse(made, SCOPE)
    body = json.loads(reply.body)
    assert reply.status == STATUS[made.kind]
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert (b"content-type", b"application/json") in reply.headers
    assert ("trace_id" in body) == (reply.status == 422)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_status(kind):
    made = type("Made", (RunwellError,), {"kind": kind})("x")
    assert letta_errors.refuse(made, SCOPE).status == STATUS[kind]


def test_what_nobody_foresaw_tells_nothing():
    reply = letta_errors.refuse(ZeroDivisionError("secret"), SCOPE)
    assert (reply.status, reply.body) == (500, b'{"detail":"An unknown error occurred"}')


def test_a_busy_conversation_names_the_run_and_may_be_tried_again():
    reply = letta_errors.refuse(errors.ThreadBusy(ID, "1" * 32), SCOPE)
    body = json.loads(reply.body)
    assert body["run_id"] == "run-11111111-1111-1111-1111-111111111111"
    assert body["detail"].startswith("CONFLICT: Cannot send a new message: Another request (run_id=run-1111")
    assert letta_errors.NO_RETRY not in reply.headers


def test_who_is_unavailable_says_when_to_come_back():
    reply = letta_errors.refuse(errors.StoreUnavailable("disk full", retry_after=2.3), SCOPE)
    assert dict(reply.headers)[b"retry-after"] == b"3"


@pytest.mark.parametrize("mount", ["", "/letta"])
@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/v1/runs/bogus", 400,
         "INVALID_ARGUMENT: Invalid run ID format: bogus. Expected format: 'run-<uuid4>'"),
        ("GET", "/v1/runs/run-123", 400,
         "INVALID_ARGUMENT: Invalid run ID format: run-123. Expected format: 'run-<uuid4>'"),
        ("GET", "/v1/runs/x/nothing", 404, "Not Found"),
        ("GET", "/v1/runs/?statuses=bogus", 400, "'bogus' is not a valid RunStatus"),
        ("GET", "/v1/runs/?statuses=created,running", 400, "'created,running' is not a valid RunStatus"),
        ("PUT", "/v1/runs/", 405, "Method Not Allowed"),
        ("GET", "/v1/steps/step-11111111-1111-4111-8111-111111111111", 404,
         "No Step found with id step-11111111-1111-4111-8111-111111111111"),
        ("GET", "/v1/agents/agent-11111111-1111-4111-8111-111111111111", 404,
         "Agent with ID agent-11111111-1111-4111-8111-111111111111 not found"),
        ("GET", "/v1/runs/run-11111111-1111-4111-8111-111111111111", 404,
         "Run not found with id='['run-11111111-1111-4111-8111-111111111111']'"),
        ("GET", "/v1/runs/run-11111111-1111-4111-8111-111111111111/metrics", 404,
         "RunMetrics not found with id='['run-11111111-1111-4111-8111-111111111111']'"),
        ("GET", "/v1/conversations/conv-11111111-1111-4111-8111-111111111111", 404,
         "Conversation not found with id='['conv-11111111-1111-4111-8111-111111111111']'"),
        ("POST", "/v1/agents/agent-11111111-1111-4111-8111-111111111111/messages/cancel", 409,
         "CONFLICT: No active runs to cancel for agent agent-11111111-1111-4111-8111-111111111111"),
    ],
)  # fmt: skip
async def test_the_words_of_refusals(house: House, method, path, status, detail, mount):
    answer = await house.client.request(method, mount + path)
    assert (answer.status, answer.json) == (status, {"detail": detail})


@pytest.mark.parametrize(
    ("method", "path", "fragment"),
    [
        ("GET", "/v1/runs/?limit=0", "('query', 'limit')"),
        ("GET", "/v1/runs/?limit=1001", "('query', 'limit')"),
        ("GET", "/v1/runs/?order=up", "('query', 'order')"),
        ("GET", "/v1/runs/?stop_reason=tired", "('query', 'stop_reason')"),
        ("GET", "/v1/runs/?order_by=name", "('query', 'order_by')"),
        ("GET", "/v1/agents/bogus", "('path', 'agent_id')"),
        ("GET", "/v1/steps/bogus", "('path', 'step_id')"),
        ("GET", "/v1/conversations/short", "('path', 'conversation_id')"),
        ("POST", "/v1/conversations/", "('query', 'agent_id')"),
        ("GET", "/v1/steps/?start_date=soon", "('query', 'start_date')"),
    ],
)
async def test_what_does_not_fit_is_told_as_text(house: House, method, path, fragment):
    answer = await house.client.request(method, path)
    assert answer.status == 422
    assert answer.json["trace_id"] == ""
    assert isinstance(answer.json["detail"], str)
    assert fragment in answer.json["detail"]


async def test_malformed_ids_in_paths_come_with_an_example(house: House):
    answer = await house.client.get("/v1/agents/bogus")
    assert answer.json["examples"] == ["agent-123e4567-e89b-42d3-8456-426614174000"]


async def test_a_malformed_user_is_refused_and_a_strange_one_is_not(house: House):
    bad = await house.client.get("/v1/runs/", headers={"user_id": "bogus"})
    assert (bad.status, bad.json["detail"]) == (
        400, "INVALID_ARGUMENT: Invalid user ID format: bogus. Expected format: 'user-<uuid4>'"
    )  # fmt: skip
    known = await house.client.get(
        "/v1/runs/", headers={"user_id": "user-00000000-0000-4000-8000-000000000000"}
    )
    assert known.status == 200


@pytest.mark.parametrize("mount", ["", "/letta"])
@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/v1/runs?limit=3", "/v1/runs/?limit=3"), ("/v1/agents", "/v1/agents/"),
        ("/v1/health", "/v1/health/"), ("/v1/runs/active/", "/v1/runs/active"),
        ("/v1/runs/run-x/usage/?a=1", "/v1/runs/run-x/usage?a=1"),
        ("/v1/runs/%C3%BC%3Fx/", "/v1/runs/%C3%BC%3Fx"),
        ("/v1/runs/x%0D%0ASet-Cookie:a=b/", "/v1/runs/x%0D%0ASet-Cookie%3Aa%3Db"),
    ],
)  # fmt: skip
async def test_the_other_slash_is_a_redirect_within_the_mount(house: House, path, location, mount):
    answer = await house.client.get(mount + path)
    assert (answer.status, answer.headers["location"]) == (307, mount + location)


async def test_a_fault_of_the_server_is_500_and_logged(house: House, monkeypatch, caplog):
    run = await house.submit()

    async def broken(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(house.store.runs, "get", broken)
    answer = await house.client.get(f"/v1/runs/run-{run.id[:8]}-{run.id[8:12]}-{run.id[12:16]}-"
                                    f"{run.id[16:20]}-{run.id[20:]}")  # fmt: skip
    assert (answer.status, answer.json) == (500, {"detail": "An unknown error occurred"})
    assert "secret detail" in caplog.text

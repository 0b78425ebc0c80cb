"""Agents, threads and keys."""

import pytest

from runwell.domain.principal import Scope
from tests.support.house import MODEL_KEY, House

AGENT = {
    "model": "openai:gpt-5", "instructions": "Be brief.", "base_url": "http://127.0.0.1:9/v1",
    "api_key_env": MODEL_KEY, "temperature": 0.5, "max_tokens": 100, "description": "Short.",
    "tools": ["search"],
}  # fmt: skip


async def test_agents_in_code_are_listed_and_the_first_is_the_default(house: House):
    agents = {agent["name"]: agent for agent in (await house.client.get("/agents")).json["agents"]}
    assert set(agents) == {"echo", "counter"}
    echo = agents["echo"]
    assert list(echo) == [
        "id", "name", "kind", "description", "input_schema", "output_schema", "retries", "timeout",
        "concurrency", "default", "model", "owner",
    ]  # fmt: skip
    assert (echo["default"], echo["model"], echo["owner"]) == (True, None, None)
    assert echo["id"].startswith("agent_")
    assert agents["counter"]["default"] is False
    assert (await house.client.get("/agents/echo")).json == echo


async def test_an_agent_is_made_replaced_and_deleted(house: House):
    made = await house.client.put("/agents/brief", AGENT)
    assert made.status == 201, made.text
    assert (made.json["name"], made.json["model"], made.json["owner"]) == ("brief", "openai:gpt-5", "local")
    replaced = await house.client.put("/agents/brief", {"model": "other"})
    assert (replaced.status, replaced.json["model"]) == (200, "other")
    assert replaced.json["id"] == made.json["id"]
    assert (await house.client.get("/agents/brief")).json == replaced.json
    assert (await house.client.delete("/agents/brief")).status == 204
    gone = await house.client.get("/agents/brief")
    assert (gone.status, gone.json["code"]) == (404, "agent_not_found")
    assert "echo" in gone.json["hint"]


async def test_an_agent_is_its_owners(house: House):
    ann, bob = await house.client_of("ann"), await house.client_of("bob")
    await ann.put("/agents/brief", AGENT)
    assert (await bob.get("/agents/brief")).status == 404
    assert (await bob.delete("/agents/brief")).status == 404
    assert (await bob.post("/runs", {"input": "x", "agent": "brief"})).status == 404
    assert (await ann.post("/runs", {"input": "x", "agent": "brief"})).status == 202


async def test_agents_in_code_cannot_be_changed(house: House):
    for answer in (await house.client.put("/agents/echo", AGENT), await house.client.delete("/agents/echo")):
        assert (answer.status, answer.json["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"model": ""}, {"model": 1}, {**AGENT, "temperature": 3}, {**AGENT, "max_tokens": 0},
        {**AGENT, "tools": "search"}, {**AGENT, "api_key": "sk-secret"}, {**AGENT, "instructions": "\x00"},
        {**AGENT, "api_key_env": "RUNWELL_KEY"},
    ],
)  # fmt: skip
async def test_an_agent_must_be_one(house: House, body):
    assert (await house.client.put("/agents/brief", body)).status == 422


@pytest.mark.parametrize("name", ["%00", "a%20b", "-", "x" * 101])
async def test_a_name_must_be_one(house: House, name):
    answer = await house.client.put(f"/agents/{name}", AGENT)
    assert (answer.status, answer.json["path"]) == (422, "$.name")
    assert (await house.client.get(f"/agents/{name}")).status == 404


async def test_a_threads_life(house: House):
    made = await house.client.post("/threads", {"title": "Tides", "metadata": {"k": 1}})
    assert made.status == 201
    thread = made.json
    assert list(thread) == ["id", "title", "metadata", "messages", "created_at", "updated_at"]
    path = f"/threads/{thread['id']}"
    assert (await house.client.get(path)).json == thread
    house.clock.move(5)
    changed = (await house.client.patch(path, {"title": "Moons"})).json
    assert (changed["title"], changed["metadata"]) == ("Moons", {"k": 1})
    assert changed["updated_at"] > thread["updated_at"]
    for content in ("hello", {"parts": [1]}):
        added = await house.client.post(f"{path}/messages", {"role": "user", "content": content})
        assert (added.status, added.json["content"], added.json["run_id"]) == (201, content, None)
    page = (await house.client.get(f"{path}/messages?limit=1")).json
    assert ([message["position"] for message in page["messages"]], page["next_after"]) == ([1], 1)
    rest = (await house.client.get(f"{path}/messages?after=1")).json
    assert ([message["role"] for message in rest["messages"]], rest["next_after"]) == (["user"], None)
    assert (await house.client.delete(path)).status == 204
    assert (await house.client.get(path)).json["code"] == "thread_not_found"


async def test_a_thread_may_be_made_with_an_id_and_without_a_body(house: House):
    id = "0190c3b1-0000-4000-8000-000000000001"
    made = await house.client.post("/threads", {"id": id, "title": "mine"})
    assert made.json["id"] == "thread_" + id.replace("-", "")
    again = await house.client.post("/threads", {"id": id, "title": "ignored"})
    assert (again.status, again.json["title"]) == (201, "mine")
    assert (await house.client.post("/threads")).status == 201
    bob = await house.client_of("bob")
    assert (await bob.post("/threads", {"id": id})).json["code"] == "thread_not_found"


async def test_threads_are_listed_by_pages(house: House):
    made = []
    for _ in range(3):
        house.clock.move(1)
        made.append((await house.client.post("/threads", {})).json["id"])
    first = (await house.client.get("/threads?limit=2")).json
    second = (await house.client.get(f"/threads?limit=2&cursor={first['next_cursor']}")).json
    assert [thread["id"] for thread in first["threads"] + second["threads"]] == made[::-1]
    assert second["next_cursor"] is None


async def test_a_live_threads_runs_keep_it(house: House):
    thread = (await house.client.post("/threads", {})).json["id"]
    run = await house.submit(thread_id=thread.removeprefix("thread_"))
    busy = await house.client.delete(f"/threads/{thread}")
    assert (busy.status, busy.json["code"], busy.json["run_id"]) == (409, "thread_busy", f"run_{run.id}")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/threads", {"title": 1}), ("POST", "/threads", {"title": "\x00"}),
        ("POST", "/threads", {"id": "x"}),
        ("POST", "/threads", {"metadata": {"k": "\x00"}}), ("PATCH", "/threads/{id}", {"title": None}),
        ("PATCH", "/threads/{id}", {"name": "x"}), ("POST", "/threads/{id}/messages", {"role": "user"}),
        ("POST", "/threads/{id}/messages", {"role": "robot", "content": "x"}),
        ("POST", "/threads/{id}/messages", {"role": "user", "content": "\x00"}),
        ("GET", "/threads/{id}/messages?after=-1", ...), ("GET", "/threads/{id}/messages?limit=0", ...),
        ("GET", "/threads?cursor=x", ...), ("GET", "/threads/x", ...),
    ],
)  # fmt: skip
async def test_threads_are_asked_for_properly(house: House, method, path, body):
    id = (await house.client.post("/threads", {})).json["id"]
    answer = await house.client.request(method, path.replace("{id}", id), json=body)
    assert answer.status == 422, answer.text
    assert answer.json["detail"]


async def test_a_keys_life(house: House):
    made = await house.client.post("/keys", {"name": "ci", "owner": "ann", "scopes": ["runs:read"]})
    assert made.status == 201
    assert made.headers["cache-control"] == "no-store"
    key = made.json
    secret = key.pop("secret")
    assert list(key) == ["id", "name", "owner", "prefix", "scopes", "created_at", "revoked_at"]
    assert (key["owner"], key["scopes"], key["prefix"]) == ("ann", ["runs:read"], secret[:10])
    assert (await house.client.get("/keys")).json == {"keys": [key]}
    ann = house.client.with_headers(x_api_key=secret)
    assert (await ann.get("/runs")).status == 200
    revoked = await house.client.delete(f"/keys/{key['id']}")
    assert revoked.status == 200
    assert revoked.json["revoked_at"]
    assert (await house.client.delete(f"/keys/{key['id']}")).json == revoked.json
    assert (await ann.get("/runs")).status == 401


async def test_a_key_without_wishes_is_the_callers_and_may_all(house: House):
    made = (await house.client.post("/keys", {"name": "all"})).json
    assert (made["owner"], set(made["scopes"])) == ("local", {scope.value for scope in Scope})


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "x" * 201}, {"name": "x", "scopes": []}, {"name": "x", "scopes": ["all"]},
     {"name": "x", "owner": ""}, {"name": "\x00"}, {"name": "x", "secret": "rw_mine"}],
)  # fmt: skip
async def test_a_key_must_be_one(house: House, body):
    assert (await house.client.post("/keys", body)).status == 422
    assert (await house.client.get("/keys")).json == {"keys": []}


async def test_an_unknown_key_cannot_be_revoked(house: House):
    answer = await house.client.delete("/keys/key_00000000000040008000000000000000")
    assert (answer.status, answer.json["code"]) == (404, "key_not_found")

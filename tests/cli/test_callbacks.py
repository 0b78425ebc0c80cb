"""`runwell callbacks` and `runwell deliveries` against a real server and a real receiver."""

from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from runwell.client import ApiError, Client
from tests.cli.running import Ran, runwell
from tests.support.live_server import LiveServer
from tests.support.loop_thread import LoopThread
from tests.support.receiver import Got, Receiver

ID = "cb_0190c3d1e2f34a5b8c6d7e8f90a1b2c3"


class Called:
    """A receiver on a loop of its own, and the server that calls it."""

    def __init__(self, loop: LoopThread, receiver: Receiver, server: LiveServer) -> None:
        self._loop = loop
        self.receiver = receiver
        self.server = server

    def __call__(self, *args: str, stdin: str = "") -> Ran:
        return runwell(*args, stdin=stdin, RUNWELL_URL=self.server.url)

    def posts_of(self, run_id: str, count: int) -> list[Got]:
        """What came of one run, once there is so much of it."""
        while True:
            seen = list(self.receiver.got)
            found = [got for got in seen if got.json["data"]["run"]["id"] == run_id]
            if len(found) >= count:
                return found
            self._loop.run(self.receiver.posts(len(seen) + 1))

    def delivery(self, run_id: str, status: str) -> str:
        """The id of a run's delivery, once it is where it should be."""
        with self.server.client() as client:
            while True:
                (delivery,) = client.deliveries.of(run_id)
                if delivery.status == status:
                    return delivery.id


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Called]:
    with LoopThread() as loop:
        receiver = Receiver()
        loop.run(receiver.__aenter__())
        env = {"RUNWELL_CALLBACKS_ALLOW": f"127.0.0.1:{receiver.port}"}
        with LiveServer(tmp_path_factory.mktemp("called"), env=env) as server:
            yield Called(loop, receiver, server)
        loop.run(receiver.__aexit__(None, None, None))


@pytest.fixture
def client(called: Called) -> Iterator[Client]:
    with called.server.client() as client:
        yield client
        for callback in client.callbacks.list():
            client.callbacks.delete(callback.id)


def test_create_prints_the_secret_alone(called: Called, client: Client) -> None:
    ran = called("callbacks", "create", called.receiver.url, "--event", "run.failed", "--agent", "fail")
    assert ran.code == 0
    assert Webhook(ran.out.strip())
    (callback,) = client.callbacks.list()
    assert ran.err.splitlines()[0] == f"{callback.id}: run.failed of fail"
    assert (callback.events, callback.agents, callback.secret) == (("run.failed",), ("fail",), None)
    run = client.runs.create("fail", "boom", wait=20)
    (got,) = called.posts_of(run.id, 1)
    told = Webhook(ran.out.strip()).verify(got.body, got.headers)
    assert (told["type"], told["data"]["run"]["status"]) == ("run.failed", "failed")


def test_callbacks_are_listed_paused_and_deleted(called: Called, client: Client) -> None:
    assert called("callbacks", "list").err == "no callbacks\n"
    made = called("callbacks", "create", called.receiver.url, "--description", "ours", "--json").json
    shown = called("callbacks", "list").out
    assert made["id"] in shown
    assert "ours" in shown
    assert called("callbacks", "pause", made["id"]).out == f"{made['id']} is paused\n"
    assert called("callbacks", "list", "--json").json["callbacks"][0]["paused"] is True
    assert called("callbacks", "resume", made["id"], "--json").json["paused"] is False
    assert called("callbacks", "delete", made["id"]).out == f"{made['id']} is deleted\n"
    gone = called("callbacks", "pause", made["id"])
    assert (gone.code, gone.out) == (1, "")
    assert gone.err.startswith("error: There is no callback")


def test_secrets_are_read_and_rotated(called: Called, client: Client) -> None:
    mine = "whsec_" + "QUJD" * 8
    made = called("callbacks", "create", called.receiver.url, "--secret", "-", "--json", stdin=f"{mine}\n")
    assert made.json["secret"] == mine
    rotated = called("callbacks", "rotate", made.json["id"], "--overlap", "60")
    assert rotated.out.startswith("whsec_")
    assert rotated.out.strip() != mine
    assert "the old one is good until" in rotated.err
    own = called("callbacks", "secret").out.strip()
    assert called("callbacks", "secret", "--json").json["secret"] == own
    assert called("callbacks", "rotate").out.strip() != own


def test_a_single_run_is_called_back_and_its_delivery_shown(called: Called, client: Client) -> None:
    run_id = called("run", "submit", "echo", "hi", "--callback", called.receiver.url).out.strip()
    (got,) = called.posts_of(run_id, 1)
    assert Webhook(called("callbacks", "secret").out.strip()).verify(got.body, got.headers)
    id = called.delivery(run_id, "delivered")
    assert got.id == id
    shown = called("deliveries", "show", id).out
    assert "1. 20" in shown
    assert "): 200, " in shown
    listed = called("deliveries", "list", "--run", run_id, "--json").json["deliveries"]
    assert [(each["id"], len(each["history"])) for each in listed] == [(id, 1)]
    assert id in called("deliveries", "list", "--status", "delivered").out
    assert called("deliveries", "list", "--callback", ID).err == "no deliveries\n"


def test_what_was_given_up_is_posted_again(called: Called, client: Client) -> None:
    called.receiver.answers = [410]
    run = client.runs.create("echo", "hi", callbacks=[called.receiver.url])
    called.posts_of(run.id, 1)
    id = called.delivery(run.id, "given_up")
    assert "410" in called("deliveries", "list", "--status", "given_up").out
    called.receiver.answers = [410, 200]
    assert called("deliveries", "redeliver", id).out == "1 delivery is posted again\n"
    called.posts_of(run.id, 2)
    called.delivery(run.id, "given_up")
    since = run.created_at.isoformat()
    assert called("deliveries", "redeliver", "--since", since, "--json").json == {"redelivered": 1}
    one, two, three = called.posts_of(run.id, 3)
    assert one.id == two.id == three.id == called.delivery(run.id, "delivered")
    assert client.deliveries.redeliver_range(since=run.created_at) == 0
    assert [post.status_code for post in client.deliveries.get(id).history] == [410, 410, 200]


def test_the_client_changes_a_callback(called: Called, client: Client) -> None:
    made = client.callbacks.create(called.receiver.url, agents=["echo"])
    changed = client.callbacks.update(made.id, events=["run.created"], description="new")
    assert client.callbacks.get(made.id) == changed
    assert (changed.url, changed.agents, changed.events) == (made.url, ("echo",), ("run.created",))
    run = client.runs.create(
        "echo", "hi", callbacks=[{"url": called.receiver.url, "events": ["run.succeeded"]}], wait=20
    )
    assert {got.json["type"] for got in called.posts_of(run.id, 2)} == {"run.created", "run.succeeded"}
    assert {each.id for each in client.deliveries.list(limit=2)} == {
        each.id for each in client.deliveries.of(run.id)
    }
    with pytest.raises(ApiError, match="not posted to"):
        client.callbacks.update(made.id, url="http://10.0.0.1/")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["callbacks", "create", "http://10.0.0.1/"], "an address that is not posted to"),
        (["callbacks", "create", "nowhere"], "does not begin with http"),
        (["callbacks", "create", "https://a.example/", "--event", "run.flew"], "'run.flew' is not one of"),
        (["callbacks", "create", "https://a.example/", "--secret", "x"], "$.secret: "),
        (["callbacks", "delete", "cb_1"], "'cb_1' is not an id"),
        (["deliveries", "show", "msg_1"], "'msg_1' is not an id"),
        (["deliveries", "redeliver"], "name deliveries, or say which range"),
        (["deliveries", "redeliver", f"msg_{'a' * 32}", "--status", "pending"], "or say which range"),
        (["deliveries", "list", "--run", f"run_{'a' * 32}", "--status", "pending"], "--run shows all"),
        (["run", "submit", "echo", "x", "--callback", "http://localhost:1/"], "points to this machine"),
    ],
)
def test_a_mistake_is_2_and_one_sentence(called: Called, args: list[str], sentence: str) -> None:
    ran = called(*args)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err.splitlines()[0]
    assert len(ran.err.splitlines()) <= 2

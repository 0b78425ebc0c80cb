"""Models whose address somebody else chose, against the scripted model on loopback."""

from collections.abc import Sequence

import httpx2
import msgspec
import pytest

from runwell.agents.catalogue import Catalog
from runwell.agents.pydantic_ai.reaching import CheckedTransport, checked_client
from runwell.agents.scripted import ScriptedModel
from runwell.domain.agent import ModelAgent, WorkflowAgent, WorkflowStep
from runwell.domain.errors import AddressFault, AddressRefused
from runwell.domain.json_gate import Json
from runwell.ports.agent import AgentFailed, Reach
from tests.agents.recording import RecordingContext

NAME = "model.test"


class Names:
    """A `Reach` that answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, url: str) -> Sequence[str]:
        self.asked.append(url)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise AddressRefused(AddressFault.RESTRICTED, "no", "List it.")
        return answer


def definition_of(model: ScriptedModel) -> ModelAgent:
    base_url = model.base_url.replace("127.0.0.1", NAME)
    return ModelAgent(model="scripted", base_url=base_url, public_only=True)


async def call(definition: ModelAgent | WorkflowAgent, reach: Reach | None, prompt: object = "[[say: hi]]"):
    found = Catalog([], reach).find("poet", Json(msgspec.json.encode(definition)))
    assert found is not None
    return await found.call(RecordingContext(prompt))


async def test_the_checked_address_is_connected_to_and_the_name_is_not_looked_up(model: ScriptedModel):
    names = Names(["127.0.0.1"])
    assert await call(definition_of(model), names) == "hi"
    assert len(names.asked) == 2
    assert all(url.startswith(f"http://{NAME}:") for url in names.asked)


async def test_the_next_address_is_tried_when_the_first_cannot_be_connected_to(model: ScriptedModel):
    # Nothing listens on this port there.
    assert await call(definition_of(model), Names(["127.77.77.77", "127.0.0.1"])) == "hi"


async def test_a_refused_address_is_not_asked(model: ScriptedModel):
    with pytest.raises(AgentFailed, match="base_url points to an address that is not on the public Internet"):
        await call(definition_of(model), Names([]))


async def test_a_name_that_moves_to_a_refused_address_is_not_followed():
    async def never(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError(f"{request.url} was asked")

    transport = CheckedTransport(Names([]), httpx2.MockTransport(never))
    async with httpx2.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx2.ConnectError, match="not on the public Internet"):
            await client.get(f"https://{NAME}/v1")


async def test_the_name_stays_in_the_host_header_and_for_tls():
    seen: list[tuple[str, str, object]] = []

    async def note(request: httpx2.Request) -> httpx2.Response:
        seen.append((str(request.url), request.headers["host"], request.extensions["sni_hostname"]))
        return httpx2.Response(307, headers={"location": "http://169.254.169.254/latest"})

    transport = CheckedTransport(Names(["2606:4700::1111"]), httpx2.MockTransport(note))
    async with httpx2.AsyncClient(transport=transport) as client:
        answer = await client.get(f"https://{NAME}:8443/v1?a=b")
    assert seen == [("https://[2606:4700::1111]:8443/v1?a=b", f"{NAME}:8443", NAME)]
    assert answer.request.url.host == NAME


async def test_neither_redirects_nor_proxies_of_the_environment_are_followed(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    client = checked_client(Names([]), verify=httpx2.create_ssl_context(), timeout=httpx2.Timeout(1.0))
    async with client:
        assert not client.follow_redirects
        with pytest.raises(httpx2.ConnectError, match="not on the public Internet"):
            await client.get(f"http://{NAME}/v1")


async def test_a_worker_that_was_told_nothing_reaches_nothing(model: ScriptedModel):
    with pytest.raises(AgentFailed, match="not told which addresses"):
        await call(definition_of(model), None)


async def test_steps_of_workflows_are_held_to_the_same(model: ScriptedModel):
    step = WorkflowStep(id="a", name="a", prompt="[[say: hi]]", model=definition_of(model))
    workflow = WorkflowAgent(steps=(step,))
    assert "hi" in str(await call(workflow, Names(["127.0.0.1"]), "x"))
    with pytest.raises(AgentFailed, match="not on the public Internet"):
        await call(workflow, Names([]), "x")

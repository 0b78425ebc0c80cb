"""Jobs that nothing can run, and jobs that bring their agent along, through a real worker."""

import pytest

from runwell.config import read
from runwell.domain.agent import ModelAgent, Refused, ServedBy, read_definition
from runwell.domain.json_gate import Json
from runwell.domain.run import Reason, RunStatus
from runwell.engine import control
from tests.support.house import House, echo
from tests.support.machines import OWNER, a_machine, finish, run_to_end


async def test_it_fails_at_once_with_its_sentence_and_so_does_its_retry(tmp_path):
    refused = Refused(refused="Job timed out after -1s", reason=Reason.TIMED_OUT)
    async with a_machine(tmp_path / "runs.db", echo) as machine:
        run = await run_to_end(machine, "whatever", definition=refused)
        again = await finish(machine, (await control.retry(machine.core, OWNER, run.id)).run.id)
    for each in (run, again):
        assert (each.status, each.reason, each.agent) == (RunStatus.FAILED, "timed_out", "whatever")
        assert each.error is not None
        assert each.error.message == "Job timed out after -1s"


async def test_a_retry_takes_the_agent_along_that_the_request_brought(house: House):
    made = ModelAgent(model="m", instructions="i", inline=True)
    run = await house.fail(await house.claim(await house.submit(agent="role", definition=made)))
    again = (await control.retry(house.core, run.owner, run.id)).run
    assert again.definition is not None
    assert read_definition(again.definition) == made
    assert again.agent == "role"


async def test_a_retry_looks_up_an_agent_that_has_a_name(house: House):
    client = house.client
    await client.put("/agents/mine", {"model": "m", "instructions": "old"})
    run = await house.fail(await house.claim(await house.submit(agent="mine")))
    await client.put("/agents/mine", {"model": "m", "instructions": "mended"})
    again = (await control.retry(house.core, run.owner, run.id)).run
    assert again.definition is not None
    assert read_definition(again.definition) == ModelAgent(model="m", instructions="mended")


@pytest.mark.parametrize(
    ("bytes_", "kind"),
    [(b'{"model":"m"}', ModelAgent), (b'{"served_by":"x"}', ServedBy), (b'{"refused":"x"}', Refused)],
)
def test_a_definition_is_what_its_fields_say(bytes_, kind):
    assert isinstance(read_definition(Json(bytes_)), kind)


def test_the_originals_variable_names_the_root_unless_ours_does():
    theirs = {"PRAISONAI_JOBS_AGENT_ROOT": "/srv/agents"}
    assert read(environ=theirs).praisonai_agent_root == "/srv/agents"
    ours = {**theirs, "RUNWELL_PRAISONAI_AGENT_ROOT": "/srv/ours"}
    assert read(environ=ours).praisonai_agent_root == "/srv/ours"

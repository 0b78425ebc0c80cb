"""What a run is a run of. The status read needs to know, and a run's row has only its agent's name."""

import msgspec

from runwell.domain.agent import AgentSpec
from runwell.domain.ids import id_of_name
from runwell.domain.json_gate import Json
from runwell.domain.run import Run
from runwell.engine.core import Core

SOURCE = "flowyble"
"""The source of runs that this API starts: in their `extra` is a `Subject`."""
WEBHOOK = "webhook"
"""The source of runs that a webhook starts."""
TOOL = "tool"


class Subject(msgspec.Struct, frozen=True):
    """The agent's id, as it was when the run was started, and whether it is a tool."""

    id: str
    tool: bool


_DECODE = msgspec.json.Decoder(Subject).decode
_ENCODE = msgspec.json.Encoder().encode


def subject_of_spec(spec: AgentSpec) -> Subject:
    return Subject(spec.id, spec.kind == TOOL)


def as_extra(subject: Subject) -> Json:
    return Json(_ENCODE(subject))


async def subject_of(core: Core, run: Run) -> Subject:
    """From the run itself, or, for a run started elsewhere, from the agent of its name. An agent that is
    gone is no tool, and has the id that code of its name would have."""
    if run.source == SOURCE:
        return _DECODE(run.extra)
    spec = await core.store.agents.get(run.agent, run.owner)
    return subject_of_spec(spec) if spec is not None else Subject(id_of_name(run.agent), False)

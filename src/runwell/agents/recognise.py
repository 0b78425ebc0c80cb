"""Which Python objects are agents, and the adapter that each of them gets."""

import sys
from typing import Any

from runwell.agents.python import PythonAgent
from runwell.agents.workflow.runner import WorkflowRunner
from runwell.ports.agent import Agent


def as_agent(value: object, name: str) -> Agent | None:
    """`value` as an agent, called `name` unless it has a name of its own; None when it is none."""
    if isinstance(value, PythonAgent | WorkflowRunner):
        return value
    # Whoever has a pydantic_ai.Agent has imported pydantic_ai: it is never imported just to look.
    framework: Any = sys.modules.get("pydantic_ai")
    if framework is None or not isinstance(value, framework.Agent):
        return None
    from runwell.agents.pydantic_ai import PydanticAgent

    return PydanticAgent(value, name=value.name or name)

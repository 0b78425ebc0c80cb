"""Agents of PydanticAI: the user's own objects, and agents made of a model and instructions.

Every request to the model and every tool call is a durable step: after a crash a finished one is
taken from the log, and neither paid for nor said again. Tools get the run's `Context` as
`RunContext.deps`. A tool that needs approval, or is deferred, asks a person: the run waits.

Needs the extra: `pip install 'runwell[pydantic-ai]'`.
"""

from runwell.agents.pydantic_ai.agent import PydanticAgent, run_agent, run_model_agent

__all__ = ["PydanticAgent", "run_agent", "run_model_agent"]

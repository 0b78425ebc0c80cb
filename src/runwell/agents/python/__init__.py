"""Agents that are plain Python functions: `@agent`, for coroutines, functions and generators of both."""

from runwell.agents.python.errors import InvalidOutput, UnusableFunction
from runwell.agents.python.function import PythonAgent, agent

__all__ = ["InvalidOutput", "PythonAgent", "UnusableFunction", "agent"]

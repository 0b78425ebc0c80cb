"""Runwell runs AI agents as durable background runs, and tells the truth about them.

An agent is written with what this module exports; everything else is reached over HTTP,
through `runwell.client` or with the `runwell` command::

    from runwell import Context, agent

    @agent
    async def greeter(ctx: Context, name: str) -> str:
        await ctx.text(f"Hello, {name}!")
        return "greeted"
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runwell.agents.python import agent
    from runwell.agents.workflow.code import step, workflow
    from runwell.ports.agent import Context, SyncContext

__version__ = "0.1.0"

__all__ = ["Context", "SyncContext", "__version__", "agent", "step", "workflow"]


def __getattr__(name: str) -> object:
    """Import an export when it is first asked for: a client should not pay for what a worker needs."""
    match name:
        case "agent":
            home = "runwell.agents.python"
        case "step" | "workflow":
            home = "runwell.agents.workflow.code"
        case "Context" | "SyncContext":
            home = "runwell.ports.agent"
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Kept, so that the next look-up does not come here: `import_module` binds names only to submodules.
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

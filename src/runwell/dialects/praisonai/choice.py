"""Which agent a job means: a recipe, a YAML, a file, or none of them."""

import asyncio
import os
from errno import EINVAL
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from msgspec.structs import replace

from runwell.dialects.praisonai.agent_yaml import LONGEST, BadYaml, first_role
from runwell.dialects.praisonai.errors import OutsideRoot
from runwell.dialects.praisonai.requests import JobSubmitRequest
from runwell.domain import json_gate
from runwell.domain.agent import ModelAgent, Refused
from runwell.domain.errors import AgentNotFound, InvalidJson
from runwell.domain.run import Reason
from runwell.engine.agents import get_agent
from runwell.engine.core import Core

FRAMEWORK = "praisonai"
"""The only one there is: what runs is always one of this server's agents."""


class Choice(NamedTuple):
    """What runs. `agent` None is the default one; `agent_id` is what the job says of it, None for the
    agent's name; `recipe` says that it was asked for as one."""

    agent: str | None = None
    definition: ModelAgent | Refused | None = None
    agent_id: str | None = None
    recipe: bool = False


def refused(sentence: str, reason: str = Reason.ERROR, agent_id: str | None = None) -> Choice:
    """The job fails with this sentence as soon as it is begun: the original answers such a request with
    202 as well, and clients look for the error in the job."""
    return Choice(definition=Refused(refused=sentence, reason=reason), agent_id=agent_id)


async def choose(core: Core, owner: str, wanted: JobSubmitRequest, root: str) -> Choice:
    """`root` is the folder that files may be in, empty for the current one. Raises `OutsideRoot`."""
    file = _inside(root, wanted.agent_file) if wanted.agent_file else None
    framework = (wanted.framework or "").strip()
    if framework.lower() not in ("", FRAMEWORK):
        return refused(
            f"Framework {framework[:80]!r} is not available on this server: "
            f"use {FRAMEWORK!r}, or leave it out"
        )
    if wanted.timeout is not None and wanted.timeout < 0:
        return refused(f"Job timed out after {wanted.timeout}s", Reason.TIMED_OUT)
    if wanted.recipe_name:
        return await _recipe(core, owner, wanted.recipe_name)
    if wanted.agent_yaml:
        return await _inline(core, wanted.agent_yaml, wanted.prompt, "agent_yaml", None)
    if wanted.agent_file and file is not None:
        return await _file(core, owner, wanted.agent_file, file, wanted.prompt)
    return Choice()


async def _known(core: Core, owner: str, name: str) -> bool:
    try:
        await get_agent(core, owner, name)
    except AgentNotFound:
        return False
    return True


async def _recipe(core: Core, owner: str, name: str) -> Choice:
    agent = name.removeprefix("recipe:")
    if not await _known(core, owner, agent):
        return refused(f"Recipe {name[:80]!r} not found: this server has no agent of that name")
    return Choice(agent, agent_id=f"recipe:{agent}", recipe=True)


async def _file(core: Core, owner: str, given: str, file: Path, prompt: str) -> Choice:
    """An agent of this very name, the file, or an agent named as the file is without its ending."""
    agent_id = f"yaml:{os.path.basename(given)}"
    if await _known(core, owner, given):
        return Choice(given, agent_id=agent_id)
    try:
        text = await asyncio.to_thread(_read, file)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and await _known(core, owner, file.stem):
            return Choice(file.stem, agent_id=agent_id)
        return refused(f"[Errno {error.errno}] {error.strerror}: {given!r}", agent_id=agent_id)
    except UnicodeDecodeError:
        return refused(f"agent_file {given!r} cannot be used: it is not UTF-8", agent_id=agent_id)
    return await _inline(core, text, prompt, f"agent_file {given!r}", agent_id)


def _inside(root: str, given: str) -> Path:
    """The file, which is below the root whatever links lead to it. Raises `OutsideRoot`."""
    folder = Path(root or ".").resolve()
    try:
        path = (folder / given).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        raise OutsideRoot(str(folder)) from error
    if not path.is_relative_to(folder):
        raise OutsideRoot(str(folder))
    return path


def _read(path: Path) -> str:
    """At most one character more than may be read: whoever reads it says that it is too long."""
    # Not to wait for a pipe that nobody writes to; it is refused right after.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(EINVAL, "Not a regular file")
        with open(descriptor, encoding="utf-8", closefd=False) as file:
            return file.read(LONGEST + 1)
    finally:
        os.close(descriptor)


async def _inline(core: Core, text: str, prompt: str, what: str, agent_id: str | None) -> Choice:
    """The first role as an agent of this one run. Where no model is configured, the default agent
    answers, and of the role only the name is left."""
    try:
        # Beside the loop: the reader takes up to a second, which others need not wait.
        role = await asyncio.to_thread(first_role, text, prompt)
        json_gate.check(role.instructions)
    except (BadYaml, InvalidJson) as error:
        return refused(f"{what} cannot be used: {error}", agent_id=agent_id)
    resolved = core.models.resolve(role.model, core.default_agent)
    agent_id = agent_id or f"yaml:{role.name}"
    if isinstance(resolved, ModelAgent):
        made = replace(resolved, instructions=role.instructions, inline=True)
        return Choice(role.name, made, agent_id)
    return Choice(resolved.served_by, None, agent_id)

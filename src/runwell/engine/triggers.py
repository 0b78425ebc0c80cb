"""Triggers: addresses of ours that start a run of one agent.

The token in the address is the credential: 256 random bits, kept as a digest and shown once. With a
secret, the body must also carry its HMAC, so that an address that leaked is not enough.
"""

import hashlib
import hmac
import secrets
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from runwell.domain import json_gate
from runwell.domain.agent import TEXT_INPUT, AgentSpec
from runwell.domain.errors import Conflict, InvalidInput, TriggerNotFound, Unauthenticated
from runwell.domain.ids import new_id
from runwell.domain.run import Run
from runwell.domain.trigger import Trigger
from runwell.engine.agents import get_agent
from runwell.engine.core import Core
from runwell.engine.submit import Submission, submit

PREFIX = "wht_"
SHOWN = 10
"""How many characters of a token are kept, to recognise it by."""
LONGEST_SECRET = 256
MOST_TRIGGERS = 1_000
"""Of one owner: a list has them all."""


def digest(token: str) -> bytes:
    """What is stored and looked up instead of the token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def create(
    core: Core, owner: str, agent: str, *, name: str = "", secret: str | None = None
) -> tuple[Trigger, str]:
    """A trigger, and the only copy there will ever be of its token. Raises `AgentNotFound`,
    `InvalidInput`."""
    spec = await get_agent(core, owner, agent)
    if len(name) > 200:
        raise InvalidInput("$.name", "must have at most 200 characters")
    if secret is not None and not 1 <= len(secret) <= LONGEST_SECRET:
        raise InvalidInput("$.secret", f"must have 1 to {LONGEST_SECRET} characters")
    json_gate.check([name, secret])
    if len(await core.store.triggers.all(owner)) >= MOST_TRIGGERS:
        raise InvalidInput("$", f"an owner may have at most {MOST_TRIGGERS} triggers", "Delete one first.")
    token, now = PREFIX + secrets.token_urlsafe(32), core.clock.now()
    trigger = Trigger(
        id=new_id(now),
        owner=owner,
        agent=spec.name,
        digest=digest(token),
        prefix=token[:SHOWN],
        created_at=now,
        name=name,
        secret=None if secret is None else secret.encode(),
    )
    await core.store.triggers.add(trigger)
    return trigger, token


async def update(
    core: Core,
    owner: str,
    trigger_id: str,
    *,
    name: str | UnsetType = UNSET,
    paused: bool | UnsetType = UNSET,
) -> Trigger:
    """Change what is given. Raises `TriggerNotFound`, `InvalidInput`."""

    def change(trigger: Trigger) -> Trigger:
        changed = replace(
            trigger,
            name=trigger.name if name is UNSET else name,
            paused=trigger.paused if paused is UNSET else paused,
        )
        if len(changed.name) > 200:
            raise InvalidInput("$.name", "must have at most 200 characters")
        json_gate.check(changed.name, "$.name")
        return changed

    return await core.store.triggers.update(trigger_id, owner, change)


async def find(core: Core, token: str) -> Trigger:
    """The trigger behind an address. Raises `TriggerNotFound`."""
    trigger = await core.store.triggers.by_digest(digest(token))
    if trigger is None:
        raise TriggerNotFound("at this address")
    return trigger


def verify(trigger: Trigger, body: bytes, signature: str | None) -> None:
    """Raise `Unauthenticated` where the trigger has a secret and `signature`, the lower-case hex
    HMAC-SHA256 of the body, is missing or wrong."""
    if trigger.secret is None:
        return
    expected = hmac.new(trigger.secret, body, hashlib.sha256).hexdigest()
    if signature is None or not hmac.compare_digest(expected.encode(), signature.strip().encode()):
        raise Unauthenticated(
            "The signature of this body is missing or wrong",
            "Send X-Signature: the hex HMAC-SHA256 of the raw body under the trigger's secret.",
        )


async def fire(core: Core, trigger: Trigger, body: bytes, *, source: str) -> tuple[Run, AgentSpec]:
    """Start the run that `body` (JSON), which was verified, asks for; the run and its agent.

    Raises `Conflict` for a paused trigger, `InvalidInput`, `InvalidJson`, `AgentNotFound`, and what
    `submit` raises.
    """
    if trigger.paused:
        raise Conflict("This trigger is paused", "Its owner can resume it.")
    spec = await get_agent(core, trigger.owner, trigger.agent)
    wanted = Submission(
        owner=trigger.owner, input=_input(spec, body), agent=spec.name, source=source,
        metadata={"trigger": trigger.id},
    )  # fmt: skip
    return (await submit(core, wanted)).run, spec


def _input(spec: AgentSpec, body: bytes) -> Any:
    """The body's value; as text for an agent that takes a prompt, which any event of others is not."""
    try:
        value = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("$", "is not JSON", "Send a JSON body.") from error
    if spec.input_schema == TEXT_INPUT and not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return value

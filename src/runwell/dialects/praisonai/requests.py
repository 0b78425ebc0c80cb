"""What a submit looks like. By Pydantic, whose sentences are what clients of the original see."""

import hashlib
from typing import Any

import msgspec
from pydantic import BaseModel, Field

from runwell.domain import json_gate
from runwell.ports.store import Idempotency

SCOPE = "praisonai"
"""Where this dialect's idempotency keys are unique, per owner."""
DEFAULT_TIMEOUT = 3_600
"""Seconds."""
LONGEST_KEPT = 200
"""Characters of a key or a label that are kept as they are; a longer one is kept by its hash."""


class JobSubmitRequest(BaseModel):
    """Request body for submitting a new job. Unknown fields are ignored."""

    prompt: str = Field(description="The prompt or task for the agent")
    agent_file: str | None = Field(None, description="An agent's name, or the path of an agents.yaml")
    agent_yaml: str | None = Field(None, description="Inline agent YAML configuration")
    recipe_name: str | None = Field(None, description="The agent to run; wins over agent_file")
    recipe_config: dict[str, Any] | None = Field(
        default_factory=dict, description="Kept in the run's metadata"
    )
    framework: str | None = Field(None, description="`praisonai`, or left out")
    config: dict[str, Any] | None = Field(default_factory=dict, description="Kept in the run's metadata")
    webhook_url: str | None = Field(None, description="URL to POST results when complete")
    timeout: int | None = Field(DEFAULT_TIMEOUT, description="Timeout in seconds (default: 1 hour)")
    session_id: str | None = Field(None, description="Session ID: echoed, and lists filter by it")
    idempotency_key: str | None = Field(None, description="Used when the header is absent")
    idempotency_scope: str | None = Field("none", description="Accepted and ignored")

    def check(self) -> None:
        """Raise `InvalidJson` for what cannot be stored, with the path from the body's root."""
        json_gate.check(self.model_dump())

    @property
    def metadata(self) -> dict[str, Any]:
        """What the agent may read beside the prompt."""
        given = {"config": self.config, "recipe_config": self.recipe_config}
        return {name: value for name, value in given.items() if value}

    def seconds(self, longest: float) -> int:
        """The timeout: 0 and null are an hour, and no run may take longer than `longest`."""
        return min(self.timeout or DEFAULT_TIMEOUT, int(longest))

    def idempotency(self, header: str | None) -> Idempotency | None:
        """The header's key goes before the body's. Where the key stands is no part of the request."""
        key = header or self.idempotency_key
        if not key:
            return None
        said = self.model_dump(exclude={"idempotency_key", "idempotency_scope"})
        fingerprint = hashlib.sha256(msgspec.json.encode(said, order="sorted")).digest()
        return Idempotency(SCOPE, shortened(key), fingerprint)


def shortened(text: str) -> str:
    """The text, or what is unique for it and can be kept: a query may bring a NUL, which not every
    database takes."""
    if len(text) <= LONGEST_KEPT and "\x00" not in text:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def session_label(session_id: str) -> str:
    """The label that runs of a session are listed by."""
    return f"praisonai.session:{shortened(session_id)}"

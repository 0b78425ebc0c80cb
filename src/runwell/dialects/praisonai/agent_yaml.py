"""Reads agents.yaml as far as it is honoured here: the first role, its instructions and its model.

Every scalar is read as text and no tag means anything, so a document can make nothing but lists,
mappings and text; its size is limited because the reader is slow.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

LONGEST = 64 * 1_024
"""Characters of a document."""
LONGEST_SAID = 1_024 * 1_024
"""Characters of instructions: aliases and `{topic}` can make them far longer than the document."""
TOPIC = "{topic}"


class BadYaml(Exception):
    """The document cannot be used; the message is a sentence for whoever wrote it, and quotes nothing
    of it: it may be a file that the caller cannot read."""


class Role(NamedTuple):
    """`name` is fit for an agent's name; `model` is None where none is named."""

    name: str
    instructions: str
    model: str | None


def first_role(text: str, topic: str) -> Role:
    """The first of `roles` or `agents`. `topic` stands in for `{topic}` where the document sets none.

    Raises `BadYaml`.
    """
    document = _document(text)
    key, role = _first(document)
    named = _text(role, "name") or key or _text(role, "role") or "agent"
    said = _instructions(role)
    if not said:
        raise BadYaml("its first role has neither instructions, nor a role, a backstory and a goal")
    topic = _text(document, "topic") or topic
    if len(said) + said.count(TOPIC) * len(topic) > LONGEST_SAID:
        raise BadYaml(f"its first role's instructions come to more than {LONGEST_SAID:,} characters")
    return Role(_fit(named), said.replace(TOPIC, topic), _model(role))


def _document(text: str) -> Mapping[str, Any]:
    if len(text) > LONGEST:
        raise BadYaml(f"it is longer than {LONGEST:,} characters")
    try:
        document = yaml.BaseLoader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise BadYaml(f"it is not valid YAML{where}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadYaml("it is not valid YAML") from error
    if not isinstance(document, Mapping):
        raise BadYaml("it is no mapping with `roles` or `agents`")
    return document


def _first(document: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The key of the first role, empty in a list, and the role."""
    for section in ("roles", "agents"):
        roles = document.get(section)
        if isinstance(roles, Mapping) and roles:
            key, role = next(iter(roles.items()))
            if isinstance(role, Mapping):
                return str(key), role
        if isinstance(roles, list) and roles and isinstance(roles[0], Mapping):
            return "", roles[0]
    raise BadYaml("it names no role: write `roles:` or `agents:` with at least one")


def _instructions(role: Mapping[str, Any]) -> str:
    parts = [_text(role, "instructions")]
    if not parts[0]:
        if title := _text(role, "role"):
            parts.append(f"You are {title}.")
        parts.append(_text(role, "backstory"))
        if goal := _text(role, "goal"):
            parts.append(f"Your goal: {goal}")
    tasks = role.get("tasks")
    if isinstance(tasks, Mapping):
        for task in tasks.values():
            if isinstance(task, Mapping):
                parts.append(_text(task, "description"))
                if expected := _text(task, "expected_output"):
                    parts.append(f"Expected output: {expected}")
    if sum(map(len, parts)) > LONGEST_SAID:
        raise BadYaml(f"its first role's instructions come to more than {LONGEST_SAID:,} characters")
    return "\n\n".join(part for part in parts if part)


def _model(role: Mapping[str, Any]) -> str | None:
    for key in ("llm", "model"):
        value = role.get(key)
        if isinstance(value, Mapping):
            value = value.get("model")
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _text(mapping: Mapping[str, Any], key: str) -> str:
    value = mapping.get(key)
    return value.strip() if isinstance(value, str) else ""


def _fit(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:80] or "agent"

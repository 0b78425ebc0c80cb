"""What this API reads. Faults are told as the original's validator tells them: all of them, each with the
path of its field. A key that is not known is a fault."""

import math
import re
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from runwell.dialects.exchange import Call
from runwell.dialects.hardwire.errors import invalid, invalid_id
from runwell.domain import json_gate
from runwell.domain.errors import InvalidJson

Object = dict[str, Any]

UUID = re.compile(r"\s*(\{?)([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(\}?)\s*\Z")
LONGEST_WORD = 200
"""Characters of an id of a model."""
LONGEST_NAME = 255
LONGEST_DESCRIPTION = 1_000
MOST_CHATS = 100
DEFAULT_CHATS = 25
_NAMES = {"chatId": "chat ID", "workflowId": "workflow ID", "workflowRunId": "workflow run ID"}


class Say(NamedTuple):
    """A message of the user. `workflow` is the id of what is to run; None is an answer."""

    content: str
    model: str | None
    user: str | None
    workflow: str | None


class MakeWorkflow(NamedTuple):
    """`steps` as they came, for `workflow_steps`."""

    name: str
    description: str | None
    user: str | None
    steps: list[Any] | None


class PatchWorkflow(NamedTuple):
    """None leaves it."""

    name: str | None
    description: str | None
    steps: list[Any] | None


def uuid_of(text: str) -> str | None:
    """The id in a UUID, in braces and spaces or without; None for what is none."""
    found = UUID.match(text)
    if found is None or bool(found[1]) != bool(found[3]):
        return None
    return found[2].replace("-", "").lower()


def path_id(name: str, text: str) -> str:
    """The id in a path. Raises `Failed`."""
    id = uuid_of(text)
    if id is None:
        raise invalid_id(_NAMES[name], f'"params.{name}" must be a valid GUID')
    return id


class Fields:
    """The fields of a body, read one after the other; what is wrong with them is kept until `check`."""

    def __init__(self, what: str, body: bytes) -> None:
        self._what = what
        self._given = _object(what, body)
        self._known: set[str] = set()
        self._faults: list[str] = []
        if not self._given:
            raise invalid(what, ['"body" is required'])

    def text(
        self, name: str, *, needed: bool = False, most: int | None = None, empty: bool = False
    ) -> str | None:
        """Trimmed. None where it is not there, and for one that is null."""
        value = self.value(name)
        if value is None:
            self._miss(name, needed)
            return None
        if not isinstance(value, str):
            self.fault(name, "must be a string")
            return None
        text = value.strip()
        if not text and not empty:
            self.fault(name, "is not allowed to be empty")
        elif most is not None and len(text) > most:
            self.fault(name, f"length must be less than or equal to {most} characters long")
        return text

    def id(self, name: str) -> str | None:
        value = self.text(name)
        if not value:
            return None
        id = uuid_of(value)
        if id is None:
            self.fault(name, "must be a valid GUID")
        return id

    def array(self, name: str) -> list[Any] | None:
        value = self.value(name)
        if value is not None and not isinstance(value, list):
            self.fault(name, "must be an array")
            return None
        return value

    def value(self, name: str) -> Any:
        self._known.add(name)
        return self._given.get(name)

    def fault(self, name: str, text: str) -> None:
        self._faults.append(f'"body.{name}" {text}')

    def check(self, *one_of: str) -> None:
        """Raise `Failed` for all that is wrong, and when none of `one_of` is there."""
        for name in self._given:
            if name not in self._known:
                self.fault(name[:80], "is not allowed")
        if one_of and not any(self._given.get(name) is not None for name in one_of):
            self._faults.append(f'"body" must contain at least one of [{", ".join(one_of)}]')
        if self._faults:
            raise invalid(self._what, self._faults)

    def _miss(self, name: str, needed: bool) -> None:
        if needed:
            self.fault(name, "must be a string" if name in self._given else "is required")


def read_say(body: bytes, *, strict: bool) -> Say:
    """`strict`: the model and the user must be named. Raises `Failed`."""
    fields = Fields("create message", body)
    content = fields.text("content", needed=True)
    model = fields.text("modelId", needed=strict, most=LONGEST_WORD)
    user = fields.text("userId", needed=strict)
    workflow = fields.id("workflowId")
    fields.check()
    return Say(content or "", model, user, workflow)


def read_workflow(body: bytes, *, strict: bool) -> MakeWorkflow:
    """Raises `Failed`."""
    fields = Fields("create workflow", body)
    user = fields.text("userId", needed=strict)
    name = fields.text("name", needed=True, most=LONGEST_NAME)
    description = fields.text("description", most=LONGEST_DESCRIPTION, empty=True)
    steps = fields.array("steps")
    fields.check()
    return MakeWorkflow(name or "", description, user, steps)


def read_workflow_patch(body: bytes) -> PatchWorkflow:
    """Raises `Failed`."""
    fields = Fields("update workflow", body)
    name = fields.text("name", most=LONGEST_NAME)
    description = fields.text("description", most=LONGEST_DESCRIPTION, empty=True)
    steps = fields.array("steps")
    fields.check("name", "description", "steps")
    return PatchWorkflow(name, description, steps)


def read_preference(body: bytes) -> str:
    """Raises `Failed`."""
    fields = Fields("model preference", body)
    model = fields.text("modelId", needed=True, most=LONGEST_WORD)
    fields.check()
    return model or ""


def query_of(call: Call) -> dict[str, str]:
    """The query; of a name that comes twice the last counts."""
    query: bytes = call.scope.get("query_string", b"")
    found = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    return {name: values[-1] for name, values in found.items()}


def read_page(call: Call) -> tuple[int, int]:
    """`limit` and `offset`. Raises `Failed`."""
    query, faults = query_of(call), list[str]()
    limit = _number(query, "limit", DEFAULT_CHATS, faults)
    offset = _number(query, "offset", 0, faults)
    if limit < 1:
        faults.append('"query.limit" must be a positive number')
    elif limit > MOST_CHATS:
        faults.append(f'"query.limit" must be less than or equal to {MOST_CHATS}')
    if offset < 0:
        faults.append('"query.offset" must be greater than or equal to 0')
    if faults:
        raise invalid("user chats", faults)
    return limit, offset


def no_query(call: Call) -> None:
    """Raise `Failed` for any query at all."""
    if query_of(call):
        raise invalid("workflow runs", ['"query" is not allowed'])


def _number(query: dict[str, str], name: str, default: int, faults: list[str]) -> int:
    if name not in query:
        return default
    try:
        value = float(query[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        faults.append(f'"query.{name}" must be a number')
        return default
    if value != int(value):
        faults.append(f'"query.{name}" must be an integer')
        return default
    return int(value)


def _object(what: str, body: bytes) -> Object:
    if not body.strip():
        raise invalid(what, ['"body" is required'])
    try:
        value = msgspec.json.decode(body)
        json_gate.check(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(what, ['"body" must be valid JSON']) from error
    except InvalidJson as error:
        raise invalid(what, [error.message.replace("$", "body", 1)]) from error
    if not isinstance(value, dict):
        raise invalid(what, ['"body" must be of type object'])
    return value

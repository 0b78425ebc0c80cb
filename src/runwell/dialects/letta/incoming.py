"""The messages of a request: new words for the agent, or an answer to what a run asks."""

from typing import Any, NamedTuple

import msgspec

from runwell.dialects.letta import ids
from runwell.dialects.letta.errors import Faulty, invalid_argument
from runwell.dialects.letta.origin import Brought, Given
from runwell.dialects.letta.questions import APPROVAL, WORDS, Asked
from runwell.dialects.letta.requests import SendMessages
from runwell.domain.prompt import text_of

NEITHER = "Must specify either 'input' or 'messages'."
BOTH = "Cannot specify both 'input' and 'messages'. Use one or the other."
EMPTY = "Messages must not be empty"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says to one call: it may be made (or not, and why), or what it brought."""

    call_id: str | None
    approve: bool | None = None
    reason: str | None = None
    brought: str | None = None
    failed: bool = False


class Incoming(NamedTuple):
    """`replies` when the request answers a run; else `messages`, of which `text` is what the agent is
    told. `otid` is the client's name for the request."""

    messages: tuple[Brought, ...]
    replies: tuple[Reply, ...]
    otid: str | None

    @property
    def text(self) -> str:
        """All the request's messages, joined: one run, one input, written at once or not at all."""
        return "\n\n".join(text_of(message.content) or "" for message in self.messages)


def incoming(wanted: SendMessages, *, may_be_empty: bool = False) -> Incoming:
    """Raises `Faulty`."""
    if wanted.messages is None and wanted.input is None:
        raise _fault((), NEITHER)
    if wanted.messages is not None and wanted.input is not None:
        raise _fault((), BOTH)
    given = wanted.messages
    if given is None:
        given = [{"role": "user", "content": wanted.input}]
    if not given and not may_be_empty:
        raise _fault(("messages",), EMPTY)
    if len(given) > ids.MOST_PARTS:
        raise _fault(("messages",), f"must be at most {ids.MOST_PARTS} messages")
    messages: list[Brought] = []
    replies: list[Reply] = []
    for place, each in enumerate(given):
        kind = each.get("type") or _kind_of(each)
        if kind == "message":
            messages.append(_message(each, place))
        elif kind == "approval":
            replies += _approvals(each, place)
        elif kind == "tool_return":
            replies += [_tool_return(one, place) for one in _list(each, "tool_returns", place)]
        else:
            raise _fault(("messages", place, "type"), "must be message, approval or tool_return")
    if messages and replies:
        raise _fault(("messages",), "new messages and answers to a run cannot be sent together")
    otids = [text for each in given if isinstance(text := each.get("otid"), str)]
    return Incoming(tuple(messages), tuple(replies), otids[-1] if otids else None)


def _kind_of(each: dict[str, Any]) -> str:
    if "tool_returns" in each:
        return "tool_return"
    return "approval" if "approvals" in each or "approve" in each else "message"


def _message(each: dict[str, Any], place: int) -> Brought:
    role, content = each.get("role"), each.get("content")
    if role not in ("user", "system", "assistant"):
        raise _fault(("messages", place, "role"), "Input should be 'user', 'system' or 'assistant'")
    if not isinstance(content, str | list) or (text_of(content) is None and content != []):
        raise _fault(("messages", place, "content"), "must be a string, or parts with text among them")
    return Brought(role, content, _text(each, "otid"), _text(each, "name"), _text(each, "sender_id"))


def _text(each: dict[str, Any], key: str) -> str | None:
    value = each.get(key)
    return value if isinstance(value, str) else None


def _list(each: dict[str, Any], key: str, place: int) -> list[dict[str, Any]]:
    value = each.get(key)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _fault(("messages", place, key), "must be a list of objects")
    return value


def _approvals(each: dict[str, Any], place: int) -> list[Reply]:
    if each.get("approvals") is None:
        # The form of old clients: one yes or no for whatever is asked.
        if not isinstance(each.get("approve"), bool):
            raise _fault(("messages", place, "approvals"), "must be a list of approvals")
        return [Reply(call_id=None, approve=each["approve"], reason=_text(each, "reason"))]
    replies = []
    for one in _list(each, "approvals", place):
        if one.get("type") == "tool" or "tool_return" in one:
            replies.append(_tool_return(one, place))
            continue
        if not isinstance(one.get("approve"), bool):
            raise _fault(("messages", place, "approvals"), "an approval says approve: true or false")
        replies.append(
            Reply(call_id=_call_id(one, place), approve=one["approve"], reason=_text(one, "reason"))
        )
    if not replies:
        raise _fault(("messages", place, "approvals"), "must not be empty")
    return replies


def _tool_return(one: dict[str, Any], place: int) -> Reply:
    text = text_of(one.get("tool_return"))
    if text is None:
        raise _fault(("messages", place, "tool_return"), "must be a string, or parts with text")
    return Reply(call_id=_call_id(one, place), brought=text, failed=one.get("status") == "error")


def _call_id(one: dict[str, Any], place: int) -> str:
    call_id = one.get("tool_call_id")
    if not isinstance(call_id, str):
        raise _fault(("messages", place, "tool_call_id"), "Field required")
    return call_id


def _fault(where: tuple[Any, ...], fault: str) -> Faulty:
    return Faulty([{"type": "value_error", "loc": ("body", *where), "msg": f"Value error, {fault}"}])


def answer(asked: Asked, replies: tuple[Reply, ...], otid: str | None) -> tuple[Any, Given]:
    """The value that the run is answered with, and what its continuation shows of it.

    Raises a refusal (400) for answers to other calls, or of a kind that the call cannot take.
    """
    given = [reply.call_id for reply in replies if reply.call_id is not None]
    if len(replies) != 1 or (given and given != [asked.call_id]):
        raise invalid_argument(
            f"Invalid tool call IDs. Expected '{[asked.call_id]}', but received '{given}'."
        )
    reply = replies[0]
    shown = Given(asked.call_id, asked.tool, reply.brought, reply.failed, otid)
    if asked.kind == APPROVAL:
        if reply.approve is None:
            raise invalid_argument(
                f"The call {asked.call_id} waits for an approval. Send approve: true or false."
            )
        if reply.approve:
            return {"approved": True}, shown
        value = {"approved": False, **({"message": reply.reason} if reply.reason else {})}
        return value, _denied(shown, reply)
    if reply.brought is not None:
        return reply.brought, shown
    if asked.kind == WORDS:
        words = reply.reason or ("yes" if reply.approve else "no")
        return words, msgspec.structs.replace(shown, text=words)
    if reply.approve:
        raise invalid_argument(f"The call {asked.call_id} is made by the client. Send what it brought.")
    denied = _denied(shown, reply)
    return denied.text, denied


def _denied(shown: Given, reply: Reply) -> Given:
    why = f" User reason: {reply.reason}" if reply.reason else ""
    text = f"Error: request to call tool denied.{why}"
    return msgspec.structs.replace(shown, text=text, failed=True)

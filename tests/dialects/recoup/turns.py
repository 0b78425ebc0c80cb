"""Streams of one turn: taken apart, and held against the rules that every one of them keeps."""

import json
from collections.abc import Iterable
from typing import Any

from runwell.dialects.recoup.frames import TurnFrames
from runwell.domain.events import LoggedEvent

RUN = "0190c3b100004000800000000000000a"
Chunk = dict[str, Any]


def frames_of(log: Iterable[LoggedEvent], run_id: str = RUN) -> list[bytes]:
    writer = TurnFrames(run_id)
    return [frame for line in log for frame in writer.write(line)]


def chunk_of(frame: bytes) -> Chunk:
    assert frame.startswith(b"data: ")
    assert frame.endswith(b"\n\n")
    assert frame.count(b"\n") == 2, "a frame is one line"
    chunk: Chunk = json.loads(frame[6:])
    return chunk


def chunks_of(log: Iterable[LoggedEvent]) -> list[Chunk]:
    return [chunk_of(frame) for frame in frames_of(log)]


def stream_chunks(body: bytes, *, done: bool = True) -> list[Chunk]:
    """Those of a whole answer, which ends with `[DONE]` or, cut off, does not."""
    frames = [frame + b"\n\n" for frame in body.split(b"\n\n") if frame and not frame.startswith(b":")]
    if done:
        assert frames.pop() == b"data: [DONE]\n\n"
    return [chunk_of(frame) for frame in frames]


def check_turn(chunks: list[Chunk], *, ended: bool) -> None:
    """One start; parts, calls and steps opened once and closed in turn; one bare finish, if it has ended."""
    types = [chunk["type"] for chunk in chunks]
    assert types.count("start") == 1
    assert types[0] == "start"
    open_parts: dict[str, str] = {}
    calls: dict[str, bool] = {}
    used: set[str] = set()
    in_step = False
    for place, chunk in enumerate(chunks):
        kind, _, what = chunk["type"].rpartition("-")
        match chunk["type"]:
            case "start-step":
                assert not in_step
                in_step = True
            case "finish-step":
                assert in_step
                assert not open_parts, "the client forgets parts at the end of a step"
                in_step = False
            case "text-start" | "reasoning-start":
                assert in_step
                assert chunk["id"] not in used
                used.add(chunk["id"])
                open_parts[chunk["id"]] = kind
            case "text-delta" | "reasoning-delta" | "text-end" | "reasoning-end":
                assert open_parts[chunk["id"]] == kind
                if what == "end":
                    del open_parts[chunk["id"]]
            case "tool-input-available":
                assert in_step
                assert chunk["toolCallId"] not in calls
                calls[chunk["toolCallId"]] = True
            case "tool-output-available" | "tool-output-error":
                assert calls[chunk["toolCallId"]]
                calls[chunk["toolCallId"]] = False
            case "error":
                assert types[place + 1 :] == ["finish"]
            case "finish":
                assert chunk == {"type": "finish"}
                assert (in_step, open_parts, any(calls.values())) == (False, {}, False)
                assert place == len(chunks) - 1
            case "start" | "message-metadata":
                assert set(chunk) - {"type"} in ({"messageId"}, {"messageMetadata"})
            case other:
                raise AssertionError(f"{other} is no frame of ours")
    assert (types[-1] == "finish") == ended

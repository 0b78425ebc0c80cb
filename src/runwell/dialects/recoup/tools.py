"""Tool calls of one turn: which are open, and what each is called on the wire.

On the wire an id is one call for ever. In a log it may come again: some model servers number the calls
of each response anew, and after a restart the agent may make a call that is void once more.
"""

from typing import NamedTuple


class OpenCall(NamedTuple):
    step: str | None
    call_id: str
    wire_id: str


class Tools:
    def __init__(self) -> None:
        self._open: list[OpenCall] = []
        self._used: set[str] = set()

    def call(self, step: str | None, call_id: str) -> str:
        """A new call; its id on the wire."""
        wire_id, use = call_id, 1
        while wire_id in self._used:
            use += 1
            wire_id = f"{call_id}#{use}"
        self._used.add(wire_id)
        self._open.append(OpenCall(step, call_id, wire_id))
        return wire_id

    def answer(self, step: str | None, call_id: str) -> str | None:
        """The open call that a result belongs to, which is open no more: the newest of its step, else
        the newest of any; None when none is open."""
        named = [call for call in self._open if call.call_id == call_id]
        found = next((call for call in reversed(named) if call.step == step), named[-1] if named else None)
        if found is None:
            return None
        self._open.remove(found)
        return found.wire_id

    def take_open(self, standing: set[str] | None = None) -> list[str]:
        """The ids of all open calls, in order, but for those made in `standing` steps; they are open no
        more."""
        kept = [call for call in self._open if standing is not None and call.step in standing]
        taken = [call.wire_id for call in self._open if call not in kept]
        self._open = kept
        return taken

"""What a run has said, as far as it takes to tell whether its output has been said with it."""

from collections import deque
from typing import Any

from runwell.domain.json_gate import Json, decode

MOST_KEPT = 65_536
"""Characters; of a longer text only the end is compared."""


class Spoken:
    """The end of the text that stands, piece by piece, each with the step it was said in.

    A run is a function that may stream, return, or both. What is returned is shown at the end unless it
    was streamed; that is a question about text, because most agents return what they have streamed.
    """

    def __init__(self) -> None:
        self._pieces: deque[tuple[str | None, str]] = deque()
        self._size = 0

    def say(self, step: str | None, text: str) -> None:
        self._pieces.append((step, text))
        self._size += len(text)
        while len(self._pieces) > 1 and self._size - len(self._pieces[0][1]) >= MOST_KEPT:
            self._size -= len(self._pieces.popleft()[1])

    def void(self, finished: set[str]) -> None:
        """Forget what was said outside these steps."""
        self._pieces = deque(piece for piece in self._pieces if piece[0] in finished)
        self._size = sum(len(text) for _, text in self._pieces)

    def unsaid(self, output: Json) -> str | None:
        """The output as text, when it still has to be shown; None when it was said, or is nothing.

        Data that is no text is shown only where nothing else was said.
        """
        value: Any = decode(output)
        said = "".join(text for _, text in self._pieces).strip()
        if not isinstance(value, str):
            return None if value is None or said else bytes(output).decode()
        wanted = value.strip()
        if not wanted or said.endswith(wanted):
            return None
        if self._size >= MOST_KEPT and wanted.endswith(said):
            return None
        return value

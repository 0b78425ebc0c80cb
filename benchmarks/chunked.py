"""Taking HTTP/1.1 chunks apart."""


class Chunked:
    """Fed what comes from the socket, gives back what the chunks hold. `over` after the last one."""

    __slots__ = ("_left", "_rest", "over")

    def __init__(self) -> None:
        self.over = False
        self._rest = b""
        self._left = 0
        """Bytes of the chunk under way that are still to come, its end of line among them."""

    def take(self, data: bytes) -> bytes:
        """What `data` adds to the body, empty when it only holds framing."""
        data = self._rest + data
        self._rest = b""
        parts: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                # The last two bytes of a chunk are its end of line.
                parts.append(piece[: max(self._left - 2, 0)])
                self._left -= len(piece)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._rest = data[at:]
                break
            size = int(data[at:end], 16)
            at = end + 2
            self._left = size + 2
            if size == 0:
                self.over = True
                break
        return b"".join(parts)

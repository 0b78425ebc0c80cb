"""PNG files made small: at most 256 colours, the most frequent ones, which is what a page of text has."""

import struct
import zlib
from collections import Counter
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 256


def shrink(path: Path) -> None:
    """Rewrite a picture of red, green and blue, 8 bits each, with or without alpha, as one with a palette."""
    width, height, depth, rows = _read(path.read_bytes())
    pixels = [bytes(row[at : at + 3]) for row in rows for at in range(0, len(row), depth)]
    counted = Counter(pixels)
    palette = [colour for colour, _ in counted.most_common(COLOURS)]
    numbers = {colour: number for number, colour in enumerate(palette)}
    for colour in counted:
        if colour not in numbers:
            numbers[colour] = min(range(len(palette)), key=lambda number: _far(palette[number], colour))
    indexed = bytes(numbers[pixel] for pixel in pixels)
    lines = b"".join(b"\0" + indexed[at : at + width] for at in range(0, width * height, width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    path.write_bytes(SIGNATURE + b"".join(_chunk(*each) for each in chunks))


def _far(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _read(data: bytes) -> tuple[int, int, int, list[bytearray]]:
    """Width, height, bytes of a pixel, and the rows with their filters undone."""
    at, packed, width, height, depth = len(SIGNATURE), b"", 0, 0, 3
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", body[:10])
            depth = 4 if colour == 6 else 3
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    raw, size = zlib.decompress(packed), width * depth
    rows: list[bytearray] = []
    before = bytearray(size)
    for start in range(0, height * (size + 1), size + 1):
        before = _unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + size]), before, depth)
        rows.append(before)
    return width, height, depth, rows


def _unfilter(kind: int, row: bytearray, above: bytearray, depth: int) -> bytearray:
    if kind == 2:
        return bytearray((a + b) & 255 for a, b in zip(row, above, strict=True))
    for at in range(len(row) if kind else 0):
        left = row[at - depth] if at >= depth else 0
        corner = above[at - depth] if at >= depth else 0
        if kind == 1:
            row[at] = (row[at] + left) & 255
        elif kind == 3:
            row[at] = (row[at] + (left + above[at]) // 2) & 255
        else:
            row[at] = (row[at] + _nearest(left, above[at], corner)) & 255
    return row


def _nearest(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda each: abs(guess - each))

"""One table of all routes of all mounts: which place a path is, and whose.

A path is walked segment by segment; a literal segment wins over a parameter. The time does not grow
with the number of routes, which a list of patterns would make it do.
"""

from runwell.dialects.dialect import Dialect, HotHandler


class Mount:
    """A dialect at a prefix: empty for the root, `/native` below its name."""

    __slots__ = ("dialect", "prefix")

    def __init__(self, dialect: Dialect, prefix: str) -> None:
        self.dialect = dialect
        self.prefix = prefix


class Place:
    """A path template: who answers which method there, and what answers without a framework."""

    __slots__ = ("hot", "methods", "owner", "param", "template")

    def __init__(self, template: str, owner: Mount) -> None:
        self.template = template
        self.owner = owner
        """Refuses the methods that nobody has."""
        self.methods: dict[str, Mount] = {}
        self.hot: dict[str, HotHandler] = {}
        segments = template.split("/")
        wild = [index for index, segment in enumerate(segments) if segment.startswith("{")]
        self.param = wild[0] if wild else 0
        """The index of the first parameter among the path's segments; 0 for none, which is the empty
        text before the first slash."""


class _Node:
    __slots__ = ("literals", "owner", "place", "rest", "wild")

    def __init__(self, owner: Mount) -> None:
        self.literals: dict[str, _Node] = {}
        self.wild: _Node | None = None
        self.rest: Place | None = None
        """A parameter that takes all that is left of the path."""
        self.place: Place | None = None
        self.owner = owner


class Paths:
    """The table. `fallback` refuses what is nobody's."""

    def __init__(self, fallback: Mount) -> None:
        self._root = _Node(fallback)
        self.places: list[Place] = []

    def add(self, template: str, method: str, mount: Mount) -> Place:
        """Claim a method at a path. Raises `ValueError` when it is another mount's already."""
        place = self._place(template, mount)
        other = place.methods.setdefault(method, mount)
        if other is not mount:
            raise ValueError(
                f"{method} {template} is claimed by {other.dialect.name} and {mount.dialect.name}"
            )
        return place

    def find(self, segments: list[str], method: str) -> Place | None:
        """The place of a path, split at its slashes, that has the method; else one that has others."""
        partial: list[Place] = []
        found = _find(self._root, segments, 1, method, partial)
        if found is not None:
            return found
        return partial[0] if partial else None

    def nearest(self, segments: list[str]) -> Mount:
        """Whose refusal a path without a place gets: whoever claimed the longest part of it first."""
        node = self._root
        for segment in segments[1:]:
            following = node.literals.get(segment, node.wild)
            if following is None:
                break
            node = following
        return node.owner

    def _place(self, template: str, mount: Mount) -> Place:
        node = self._root
        for segment in template.split("/")[1:]:
            if segment.startswith("{") and segment.endswith(":path}"):
                node.rest = node.rest or self._new(template, mount)
                return node.rest
            if segment.startswith("{"):
                node.wild = node.wild or _Node(mount)
                node = node.wild
            else:
                node = node.literals.setdefault(segment, _Node(mount))
        node.place = node.place or self._new(template, mount)
        return node.place

    def _new(self, template: str, mount: Mount) -> Place:
        place = Place(template, mount)
        self.places.append(place)
        return place


def _find(node: _Node, segments: list[str], at: int, method: str, partial: list[Place]) -> Place | None:
    """Depth first, literals before parameters. Places without the method are kept in `partial`."""
    if at == len(segments):
        place = node.place
        if place is not None:
            if method in place.methods:
                return place
            partial.append(place)
        return None
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None:
        found = _find(literal, segments, at + 1, method, partial)
        if found is not None:
            return found
    # A parameter is never empty: /runs/ is not a run.
    if node.wild is not None and segment:
        found = _find(node.wild, segments, at + 1, method, partial)
        if found is not None:
            return found
    if node.rest is not None:
        if method in node.rest.methods:
            return node.rest
        partial.append(node.rest)
    return None

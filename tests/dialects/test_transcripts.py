"""Every dialect's transcripts, at the root and under its name."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.house import House
from tests.support.placeholders import faults
from tests.support.transcripts import play

HERE = Path(__file__).parent
TRANSCRIPTS = sorted(HERE.glob("*/transcripts/*.json"))
ELSEWHERE = {"native"}
"""Dialects whose routes each have tests of their own instead."""


def _named(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.stem}"


@pytest.mark.parametrize("named", [False, True], ids=["at the root", "under its name"])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=_named)
async def test_transcripts_come_out_as_they_are_written(path: Path, named: bool, tmp_path: Path) -> None:
    mount = f"/{path.parent.parent.name}" if named else ""
    await play(path, mount, tmp_path / "house")
    assert json.loads(path.read_text(encoding="utf-8"))["exchanges"], "a transcript that exchanges nothing"


async def test_every_endpoint_has_a_transcript(house: House) -> None:
    """A path with and without a slash at its end is one endpoint."""
    played: dict[str, set[tuple[str, str]]] = {}
    for path in TRANSCRIPTS:
        for step in json.loads(path.read_text(encoding="utf-8"))["exchanges"]:
            if request := step.get("request"):
                segments = urlsplit(request["path"].removeprefix("{{mount}}")).path.split("/")
                place = house.app.paths.find(segments, request["method"])
                if place is not None:
                    name = path.parent.parent.name
                    played.setdefault(name, set()).add((request["method"], place.template.rstrip("/")))
    lacking = [
        f"{mount.dialect.name}: {method} {place.template}"
        for place in house.app.paths.places
        for method, mount in place.methods.items()
        if not mount.prefix and mount.dialect.name not in ELSEWHERE and method not in ("HEAD", "OPTIONS")
        and (method, place.template.rstrip("/")) not in played.get(mount.dialect.name, ())
    ]  # fmt: skip
    assert not lacking, "no transcript of " + ", ".join(lacking)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({"status": 201}, "status 200"),
        ({"status": 200, "headers": {"cache-control": "public"}}, "header cache-control is 'private"),
        ({"status": 200, "json": {"runs": []}}, "$ has 'next_cursor' too"),
        ({"status": 200, "text": "{}"}, "the text is"),
        ({"status": 200, "keys_in_order": ["next_cursor", "runs"]}, "the keys are ['runs', 'next_cursor']"),
        ({"status": 200, "jsn": {}}, "an answer has no {'jsn'}"),
    ],
)
async def test_a_transcript_that_is_not_so_fails(tmp_path: Path, answer: object, fault: str) -> None:
    path = tmp_path / "wrong.json"
    exchange = {"request": {"method": "GET", "path": "/runs"}, "answer": answer}
    path.write_text(json.dumps({"name": "wrong", "exchanges": [exchange]}), encoding="utf-8")
    with pytest.raises(AssertionError, match=re.escape(fault)):
        await play(path, "", tmp_path / "house")


@pytest.mark.parametrize(
    ("expected", "got", "fault"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, "$ has 'b' too: 2"),
        ({"a": 1, "b": 2}, {"a": 1}, "$ lacks 'b'"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "$.a[1] is 3, not 2"),
        ([1], [1, 2], "$ has 2 items, not 1"),
        (1, True, "$ is True, not 1"),
        (None, False, "$ is False, not None"),
        ("<int>", True, "$ is True, not <int>"),
        ("<id>", "run_12", "$ is 'run_12', not <id>"),
        ("<time>", "2026-01-01T00:00:00", "$ is '2026-01-01T00:00:00', not <time>"),
        ("<str>", None, "$ is None, not <str>"),
        ("a <int> b", "a x b", "$ is 'a x b', not a <int> b"),
    ],
)
def test_what_differs_is_told(expected: object, got: object, fault: str) -> None:
    assert faults(expected, got) == [fault]


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ({"a": "<any>", "b": ["<int>", "<float>"]}, {"a": None, "b": [1, 2.5]}),
        ("<time>", "2026-01-01T00:00:00.000001Z"),
        ("run_<id> at <time>", f"run_{'a' * 32} at 2026-01-01T00:00:00+01:00"),
        ('{"n":<int>}\n<any>', '{"n":-3}\nand\nmore'),
        (1, 1.0),
    ],
)
def test_what_fits_has_no_fault(expected: object, got: object) -> None:
    assert faults(expected, got) == []

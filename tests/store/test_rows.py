"""What stands in rows.py twice agrees with itself, with the domain and with the schema."""

import re

import apsw
import msgspec
import pytest

from runwell.domain.events import EVENT_TYPES
from runwell.domain.run import Run, RunStatus
from runwell.ports.store import RunFilter
from runwell.store.sqlite import paging, queue, rows, runs
from runwell.store.sqlite.migrations import migrate, migrations

ONCE_STORED = {
    "run.created": 1, "run.waiting": 2, "run.resumed": 3, "run.cancel_requested": 4, "run.succeeded": 5,
    "run.failed": 6, "run.cancelled": 7, "attempt.started": 8, "attempt.failed": 9, "attempt.lost": 10,
    "attempt.handed_back": 11, "step.started": 12, "step.finished": 13, "step.failed": 14,
    "output.text_delta": 15, "output.reasoning_delta": 16, "output.message_added": 17,
    "output.tool_called": 18, "output.tool_returned": 19, "output.progress_noted": 20,
    "output.usage_counted": 21, "output.restarted": 22,
}  # fmt: skip
"""What files in the world hold. Only add to this."""


def test_every_event_type_has_a_number_of_its_own() -> None:
    assert set(rows.EVENT_KINDS) == {event.type for event in EVENT_TYPES}
    assert len(set(rows.EVENT_KINDS.values())) == len(rows.EVENT_KINDS)


def test_a_number_once_stored_keeps_its_meaning() -> None:
    assert ONCE_STORED.items() <= rows.EVENT_KINDS.items()


def columns_of(select: str) -> list[str]:
    return [name.strip() for name in select.replace(rows.LAST_SEQ, "last_seq").split(",")]


def test_every_field_of_a_run_is_read_and_inserted_in_one_order() -> None:
    read = columns_of(rows.RUN_FIELDS)
    assert sorted(read) == sorted(msgspec.structs.fields(Run)[i].name for i in range(len(read)))
    inserted = re.search(r"\((.*?)\)", rows.INSERT_RUN, re.DOTALL)
    assert inserted is not None
    assert columns_of(inserted[1]) == [*read, "behind"]


@pytest.fixture
def db() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    migrate(db, migrations())
    return db


HOT = {
    "get": (runs._GET, (b"",)),
    "ready": (queue._READY, (0, "a")),
    "ready, defined": (queue._READY_DEFINED, (0, "[]", "[]")),
    "position": (queue._BEFORE, (0, 0, 0)),
    "next key": (queue._NEXT_KEY, ("", "")),
    "next owner": (queue._NEXT_OWNER, ("",)),
    "lane": (queue._LANE_HEAD, (0, "[]", "[]", "", "")),
    "next due": (queue._NEXT_DUE, (0,)),
}


@pytest.mark.parametrize("name", HOT)
def test_hot_statements_walk_an_index_and_sort_nothing(db: apsw.Connection, name: str) -> None:
    sql, values = HOT[name]
    plan = " | ".join(str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values))
    assert "INDEX" in plan
    assert not re.search(r"SCAN runs(?! USING INDEX runs_ready)", plan), plan
    assert "TEMP B-TREE" not in plan, plan


@pytest.mark.parametrize("where", [RunFilter(), RunFilter(agent="a"), RunFilter(since=1)])
@pytest.mark.parametrize("cursor", [(None, None), ("0" * 32, None), (None, "0" * 32)])
def test_lists_walk_one_range_per_status(db: apsw.Connection, where: RunFilter, cursor) -> None:
    before, after = cursor
    sql, values = paging.page_query("o", where, before, after, 20)
    plan = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    walks = [step for step in plan if "runs_by_" in step]
    assert len(walks) == len(RunStatus)
    assert all(step.startswith("SEARCH") and "status=?" in step for step in walks), plan

"""Kill -9 under load: nothing acknowledged is lost, no step is done twice, no run ends twice."""

from pathlib import Path

import pytest

from tests.e2e.kills import campaign
from tests.support.backends import on_postgres


@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_kills_lose_nothing(tmp_path: Path) -> None:
    # On PostgreSQL each kill costs a lapse, of 2 s; `tests/e2e/fleet` does more of them there.
    report = await campaign(tmp_path, cycles=4 if on_postgres() else 10)
    assert report.faults == []
    assert report.acknowledged > (50 if on_postgres() else 100), "too few runs to mean anything"
    assert report.watched > (5 if on_postgres() else 10)
    assert report.rescued_within < (3.0 if on_postgres() else 1.0)

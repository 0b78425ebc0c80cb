"""Kill -9 under load: nothing acknowledged is lost, no step is done twice, no run ends twice."""

from pathlib import Path

import pytest

from tests.e2e.kills import campaign


@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_ten_kills_lose_nothing(tmp_path: Path) -> None:
    report = await campaign(tmp_path, cycles=10)
    assert report.faults == []
    assert report.acknowledged > 100, "too few runs to mean anything"
    assert report.watched > 10
    assert report.rescued_within < 1.0

"""Ten blows to a fleet under load: nothing acknowledged is lost, no step is done twice, no run ends twice."""

import pytest

from tests.e2e.fleet.campaign import campaign
from tests.support.live_fleet import Fleet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_ten_blows_lose_nothing(fleet: Fleet) -> None:
    report = await campaign(fleet, cycles=10)
    print("\n".join(report.lines()))
    assert report.faults == []
    assert report.blows.total() == 10
    assert report.acknowledged > 50, "too few runs to mean anything"
    assert report.watched > 5

"""Houses in both forms of the API, and people in them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runwell.dialects.dialect import Options
from tests.dialects.hardwire.people import Person, a_person
from tests.support.house import House, a_house


@pytest.fixture
async def app_house(tmp_path: Path) -> AsyncIterator[House]:
    """A house that speaks the web client's form."""
    async with a_house(tmp_path / "app", options=Options(hardwire_wire="app")) as house:
        yield house


@pytest.fixture
async def ann(house: House) -> Person:
    return await a_person(house)


@pytest.fixture
async def bob(house: House) -> Person:
    return await a_person(house, "bob")


@pytest.fixture
async def app_ann(app_house: House) -> Person:
    return await a_person(app_house)

"""The scripted model, one server per test module."""

from collections.abc import Iterator

import pytest

from runwell.agents.scripted import ScriptedModel


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model

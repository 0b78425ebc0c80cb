"""The guide about callbacks says what is so."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from runwell.callbacks import sign
from runwell.callbacks.schedule import DELAYS, HOUR, JITTER, MINUTE, MOST_POSTS
from runwell.callbacks.sender import PER_RECEIVER
from runwell.domain.callback import TELLABLE
from runwell.engine.callbacks import MOST_STANDING, OVERLAP
from runwell.engine.submit import MOST_CALLBACKS
from tests.support.asgi import AsgiClient
from tests.support.house import House, a_house

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "callbacks.md"
UNITS = {"s": 1.0, "min": MINUTE, "h": HOUR}


@pytest.fixture(scope="module")
def guide() -> str:
    return GUIDE.read_text(encoding="utf-8")


async def test_the_receiver_in_it_takes_what_is_signed_and_nothing_else(
    guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    secret = sign.new_secret()
    monkeypatch.setenv("HOOK_SECRET", secret)
    namespace: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(code, "receiver", "exec"), namespace)
    async with a_house(tmp_path) as house:
        body = await _a_body(house)
    client = AsgiClient(namespace["app"])
    headers = _signed(secret, body)
    assert (await client.request("POST", "/hooks", body=body, headers=headers)).status == 200
    assert capsys.readouterr().out.startswith("run.succeeded run_")
    for wrong in (
        {"body": body + b" ", "headers": headers},
        {"body": body, "headers": _signed(sign.new_secret(), body)},
        {"body": body},
    ):
        assert (await client.request("POST", "/hooks", **wrong)).status == 401


async def _a_body(house: House) -> bytes:
    run = await house.a_finished_run()
    (line,) = await house.store.events.read(run.id, run.last_seq - 1, 1)
    return await house.app.callback_bodies["native"](run, line)


def _signed(secret: str, body: bytes) -> dict[str, str]:
    now = time.time_ns() // 1_000
    return sign.headers([sign.parse_secret(secret)], "msg_1", now, body)


def test_the_pauses_between_posts_are_those_that_are_made(guide: str) -> None:
    (row,) = re.findall(r"^\| after \| – \|(.*)\|$", guide, re.MULTILINE)
    pauses = [cell.split() for cell in row.split("|")]
    assert tuple(float(number) * UNITS[unit] for number, unit in pauses) == DELAYS
    assert MOST_POSTS == 11
    assert f"up to {JITTER:.0%}".replace("%", " %") in guide


def test_its_words_and_numbers_are_those_of_the_code(guide: str) -> None:
    for event in TELLABLE:
        assert f"`{event}`" in guide
    assert (MOST_CALLBACKS, MOST_STANDING, PER_RECEIVER, OVERLAP) == (10, 100, 4, 24 * HOUR)
    for phrase in ("at most ten callbacks", "at most a hundred", "At most four posts", "(24 hours unless"):
        assert phrase in guide

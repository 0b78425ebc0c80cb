"""What is posted to `webhook_url`: for every end of a job, and always the same keys."""

import json

import pytest

from runwell.dialects.praisonai.dialect import build_praisonai
from runwell.domain.callback import ENDINGS, Callback
from runwell.domain.commands import Cancel
from tests.support.house import House

KEYS = ["job_id", "status", "result", "error", "completed_at", "duration_seconds"]
HOOK = "https://public.test/hook"


async def a_job(house: House, **body):
    headers = {"content-type": "application/json"}
    answer = await house.client.post(
        "/api/v1/runs", {"prompt": "x", "webhook_url": HOOK, **body}, headers=headers
    )
    return await house.store.runs.get(answer.json["job_id"].removeprefix("run_"))


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("succeeded", ("succeeded", {"a": 1}, None)),
        ("error", ("failed", None, "it broke")),
        ("timed_out", ("failed", None, "Job timed out after 7s")),
        ("cancelled", ("cancelled", None, None)),
    ],
)
async def test_every_end_is_told(house: House, end, told):
    run = await a_job(house, timeout=7)
    assert run.callbacks == (Callback(url=HOOK, format="praisonai"),)
    assert run.callbacks[0].events == ENDINGS
    if end == "cancelled":
        run = await house.do(run, Cancel(by="local"))
    else:
        run = await house.claim(run)
        house.clock.move(3)
        run = await house.succeed(run, {"a": 1}) if end == "succeeded" else await house.fail(run, end)
    deliveries = await house.store.deliveries.of(run.id)
    assert [(each.event, each.url, each.format) for each in deliveries] == [
        (f"run.{told[0]}", HOOK, "praisonai")
    ]
    line = (await house.store.events.read(run.id, run.last_seq - 1, 1))[0]
    body = json.loads(await build_praisonai(house.services).callback_bodies["praisonai"](run, line))
    assert list(body) == KEYS
    assert (body["status"], body["result"], body["error"]) == told
    assert body["completed_at"].endswith("+00:00")
    assert body["duration_seconds"] == (None if end == "cancelled" else 3.0)

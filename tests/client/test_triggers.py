"""`client.triggers` against the real server."""

import pytest

from runwell.client import AsyncClient, Client, NotFound
from tests.support.live_server import LiveServer


async def test_a_trigger_is_made_paused_renamed_and_deleted(live: LiveServer) -> None:
    async with AsyncClient(live.url) as client:
        made = await client.triggers.create("echo", name="news", secret="s3cret")
        assert made.url == f"{live.url}{made.path}"
        assert made.token is not None
        assert made.path == f"/webhooks/{made.token}"
        assert (made.agent, made.signed, made.paused, made.prefix) == ("echo", True, False, made.token[:10])
        shown = await client.triggers.get(made.id)
        assert (shown.id, shown.name, shown.token, shown.url) == (made.id, "news", None, None)
        assert (await client.triggers.pause(made.id)).paused
        assert (await client.triggers.rename(made.id, "other")).name == "other"
        resumed = await client.triggers.resume(made.id)
        assert not resumed.paused
        assert resumed in await client.triggers.list()
        await client.triggers.delete(made.id)
        with pytest.raises(NotFound):
            await client.triggers.get(made.id)


def test_the_plain_client_has_them_too(live: LiveServer) -> None:
    with Client(live.url) as client:
        made = client.triggers.create("echo")
        assert not made.signed
        assert made.id in [trigger.id for trigger in client.triggers.list()]
        client.triggers.delete(made.id)
        assert made.id not in [trigger.id for trigger in client.triggers.list()]

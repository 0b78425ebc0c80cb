"""One delivery: its body, its signatures, its post, and what the outbox keeps of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import assert_never

import httpx

from runwell.callbacks import sign
from runwell.callbacks.guard import AddressGuard
from runwell.callbacks.post import Posted, post
from runwell.callbacks.schedule import Again, Delivered, GivenUp, verdict
from runwell.domain.callback import Delivery, DeliveryStatus, Post
from runwell.domain.errors import (
    AddressFault,
    AddressRefused,
    DeliveryNotFound,
    LogPruned,
    NotFound,
    Unavailable,
)
from runwell.domain.events import LoggedEvent
from runwell.domain.ids import spell
from runwell.domain.instant import Instant
from runwell.domain.run import Run
from runwell.engine import callbacks
from runwell.engine.core import Core

LOG = logging.getLogger(__name__)

Body = Callable[[Run, LoggedEvent], Awaitable[bytes]]
"""Renders what is posted for an event of a run. May raise `NotFound` and `LogPruned`: there is nothing
left to tell from."""

CONTENT_TYPE = "application/json"
ID_PREFIX = "msg"


class _NothingToTell(Exception):
    """The run or its log is gone, or the callback is."""


class _NotRendered(Exception):
    """This process cannot write the body; another may, later."""


class Delivering:
    """Takes one delivery one step further: posted once, or given up. `timeout` and `rest` are the
    seconds for a post, and between two tries of what the store did not do."""

    def __init__(
        self,
        core: Core,
        guard: AddressGuard,
        bodies: Mapping[str, Body],
        chance: Callable[[], float],
        timeout: float,
        rest: float,
    ) -> None:
        self._core = core
        self._guard = guard
        self._bodies = bodies
        self._chance = chance
        self._timeout = timeout
        self._seconds = rest
        self._client: httpx.AsyncClient | None = None
        self.closing = False
        """Whether it should come to an end: nothing is waited for any more."""

    def open(self, client: httpx.AsyncClient) -> None:
        """Before the first delivery; the client is closed by `close`."""
        self._client, self.closing = client, False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def deliver(self, delivery: Delivery) -> None:
        """Never raises: what happens to one delivery is no other's business."""
        try:
            await self._deliver(delivery)
        except Unavailable as error:
            # Nothing was posted yet, so nothing is lost: it stays due.
            LOG.warning("delivery %s waits for the store: %s", delivery.id, error)
            await self._rest()
        except Exception:
            LOG.exception("delivery %s failed and is tried again", delivery.id)
            await self._rest()

    async def _deliver(self, delivery: Delivery) -> None:
        begun = self._core.clock.now()
        refused: AddressRefused | None = None
        try:
            posted = await self._post(delivery)
        except _NothingToTell as why:
            LOG.info("delivery %s is given up: %s", delivery.id, why)
            await self._record(delivery, None, DeliveryStatus.GIVEN_UP, None)
            return
        except _NotRendered as fault:
            posted = Posted(duration=0.0, error=str(fault))
        except AddressRefused as error:
            refused, posted = error, Posted(duration=0.0, error=error.message)
        # A kill from here until the record is written: the receiver has it, we do not know. The
        # delivery is still due, so the next process posts it once more, with the same id and body.
        made = Post(
            number=0,
            at=begun,
            duration=posted.duration,
            status_code=posted.status_code,
            error=posted.error,
        )
        status, next_at = self._outcome(delivery, posted, refused)
        await self._record(delivery, made, status, next_at)

    async def _post(self, delivery: Delivery) -> Posted:
        if self._client is None:
            raise RuntimeError("the sender has not been started")
        secrets = await callbacks.valid_secrets(self._core, delivery.owner, delivery.callback_id)
        if not secrets:
            raise _NothingToTell("its callback was deleted")
        body = await self._body(delivery)
        checked = await self._guard.resolve(delivery.url)
        # A fresh time for each post: receivers refuse what was signed long ago.
        now = self._core.clock.now()
        signed = sign.headers([each.secret for each in secrets], spell(ID_PREFIX, delivery.id), now, body)
        # A kill before or during the post: the receiver has it or not, the delivery is still due.
        headers = {"content-type": CONTENT_TYPE, **signed}
        return await post(self._client, checked, body, headers, now=now, timeout=self._timeout)

    async def _body(self, delivery: Delivery) -> bytes:
        """What was rendered for the first post, or what is now. A kill between rendering and keeping
        renders it again, before anybody has seen the first one."""
        if delivery.body is not None:
            return delivery.body
        render = self._bodies.get(delivery.format)
        if render is None:
            raise _NotRendered(f"this server knows no API that writes {delivery.format!r}")
        try:
            run = await self._core.store.runs.get(delivery.run_id)
            lines = await self._core.store.events.read(delivery.run_id, delivery.seq - 1, 1)
            if not lines:
                raise _NothingToTell("its event is not in the log")
            body = await render(run, lines[0])
        except (NotFound, LogPruned) as error:
            raise _NothingToTell(error.message) from error
        except (Unavailable, _NothingToTell):
            raise
        except Exception as error:
            LOG.exception("the body of delivery %s (%s) was not rendered", delivery.id, delivery.format)
            raise _NotRendered("the server could not write the body; its log says why") from error
        # The one that is kept counts: a body is the same in every post.
        return await self._core.store.deliveries.render(delivery.id, body)

    def _outcome(
        self, delivery: Delivery, posted: Posted, refused: AddressRefused | None
    ) -> tuple[DeliveryStatus, Instant | None]:
        if refused is not None and refused.fault is not AddressFault.UNRESOLVABLE:
            # It is the same tomorrow; and what is refused is not asked for eleven times.
            return DeliveryStatus.GIVEN_UP, None
        now = self._core.clock.now()
        found = verdict(delivery.tries + 1, posted, now, self._chance())
        match found:
            case Delivered():
                return DeliveryStatus.DELIVERED, None
            case Again(at=at):
                return DeliveryStatus.PENDING, at
            case GivenUp():
                return DeliveryStatus.GIVEN_UP, None
            case _:
                assert_never(found)

    async def _record(
        self, delivery: Delivery, made: Post | None, status: DeliveryStatus, next_at: Instant | None
    ) -> None:
        """Until it is written: a post that is not recorded would be made again."""
        while True:
            try:
                await self._core.store.deliveries.record(delivery.id, made, status, next_at)
            except DeliveryNotFound:
                LOG.info("delivery %s was removed while it was posted", delivery.id)
            except Unavailable as error:
                LOG.warning("the post of delivery %s is not recorded yet: %s", delivery.id, error)
                await self._rest()
                if not self.closing:
                    continue
            return

    async def _rest(self) -> None:
        """Holds the delivery's place for a moment, so that it is not taken again at once."""
        if not self.closing:
            await asyncio.sleep(self._seconds)

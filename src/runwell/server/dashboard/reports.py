"""What browsers report when a page tried what its policy forbids: logged, bounded, and counted.

The count is in /metrics, as every answer is: `runwell_http_requests_total{route="/ui/csp-reports"}`.
"""

import logging

from runwell.auth.rate_limit import RateLimit
from runwell.dialects.exchange import Call, Reply
from runwell.domain.errors import RateLimited
from runwell.ports.clock import Clock

LOG = logging.getLogger("runwell.server.dashboard")

LARGEST = 8 * 1024
"""Bytes of a report; anybody may send one."""
LOGGED = 10
"""Reports that are written to the log in a minute; the rest are only counted."""


class Reports:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit = RateLimit(LOGGED, seconds=60)

    async def take(self, call: Call) -> Reply:
        """204, whatever it says. Raises `TooLarge`."""
        body = await call.body(LARGEST)
        try:
            self._limit.take("reports", self._clock.now())
        except RateLimited:
            return Reply(204, [])
        # A stranger may have written it: `ascii` leaves nothing in it that could fake a line of the log.
        LOG.warning("a page was kept from doing what its policy forbids: %s", ascii(body)[:2_000])
        return Reply(204, [])

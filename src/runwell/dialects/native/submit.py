"""POST /runs: queue a run and say so when it is durable. Served without a framework."""

from runwell.dialects.exchange import Call, Headers, Reply
from runwell.dialects.native.addresses import check_addresses
from runwell.dialects.native.native import Native, admit
from runwell.dialects.native.preferences import wait_of
from runwell.dialects.native.requests import SUBMIT_RUN, SubmitRun, fingerprint, parse
from runwell.dialects.native.responses import JSON, self_link
from runwell.domain.errors import InvalidInput, InvalidJson
from runwell.domain.principal import Scope
from runwell.domain.run import Run
from runwell.engine.submit import submit
from runwell.ports.store import Added, Idempotency
from runwell.stream.poll import wait_until
from runwell.stream.presence import Attended

SCOPE = "native"
"""Where this dialect's idempotency keys are unique, per owner."""
LONGEST_KEY = 255


class PostRun:
    """202 with the new run; 200 with its end when `Prefer: wait=N` allowed for it."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self._services = native.services

    async def __call__(self, call: Call) -> Reply:
        principal = await admit(self._services, call.scope, call.headers, Scope.RUNS_WRITE)
        body = await call.body()
        wanted = parse(body, SUBMIT_RUN)
        if wanted.callbacks:
            await check_addresses(self._native.services, [each.url for each in wanted.callbacks])
        added = await self._submit(wanted, principal.owner, _idempotency(call, body))
        headers: Headers = []
        if added.replayed:
            headers.append((b"idempotent-replayed", b"true"))
        wait = wait_of(call.headers)
        if wait is not None:
            headers.append((b"preference-applied", b"wait=%d" % wait))
            run = await self._end_of(call, added.run, wait)
            if run.final:
                location = (b"location", self_link(run.id, call.mount).encode())
                return self._native.seen_reply(200, run, None, call.mount, [*headers, location])
        return accepted(self._native, added.run, call.mount, headers)

    async def _submit(self, wanted: SubmitRun, owner: str, idempotency: Idempotency | None) -> Added:
        try:
            return await submit(self._native.core, wanted.submission(owner, idempotency))
        except InvalidJson:
            wanted.check()
            raise

    async def _end_of(self, call: Call, run: Run, seconds: int) -> Run:
        core, closing = self._native.core, self._native.services.closing
        async with Attended(call.receive, closing, closing.polls):
            return await wait_until(
                core.store, core.signals, run.id, run.owner, lambda run: run.final, seconds
            )
        return run


def accepted(native: Native, run: Run, mount: str, headers: Headers | None = None) -> Reply:
    """202: the run is queued, and what it is called."""
    location = (b"location", self_link(run.id, mount).encode())
    return Reply(202, [JSON, location, *(headers or ())], native.render.submitted(run, mount))


def _idempotency(call: Call, body: bytes) -> Idempotency | None:
    key = call.header(b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY:
        raise InvalidInput("header.Idempotency-Key", f"must have 1 to {LONGEST_KEY} characters")
    return Idempotency(SCOPE, key, fingerprint(body))

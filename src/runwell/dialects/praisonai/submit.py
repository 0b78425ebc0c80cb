"""POST /api/v1/runs: queue a job, or find the one that this request made before."""

from runwell.dialects.exchange import Headers, Reply
from runwell.dialects.praisonai.choice import choose
from runwell.dialects.praisonai.errors import webhook_refused
from runwell.dialects.praisonai.jobs import Jobs
from runwell.dialects.praisonai.requests import JobSubmitRequest, session_label
from runwell.dialects.praisonai.responses import FLOOR, seconds
from runwell.dialects.praisonai.words import SOURCE, JobStatus, Kept
from runwell.domain.agent import Refused
from runwell.domain.callback import Callback
from runwell.domain.errors import AddressRefused, IdempotencyMismatch, RunNotFound
from runwell.domain.run import Run
from runwell.engine.submit import Submission, submit
from runwell.ports.store import Idempotency

FORMAT = "praisonai"
"""The word for this dialect's callback bodies in a delivery."""
MISMATCH = (b"idempotency-mismatch", b"true")


async def submit_job(
    jobs: Jobs, owner: str, wanted: JobSubmitRequest, header_key: str | None, base: str
) -> Reply:
    """202 with the job. Raises `OutsideRoot`, `QueueFull`, `RequestValidationError` for the webhook …"""
    wanted.check()
    await _check_webhook(jobs, wanted.webhook_url)
    run, headers = await _add(jobs, owner, wanted, wanted.idempotency(header_key))
    wait = seconds(run, await jobs.position(run), jobs.core.clock.now())
    return jobs.render.submitted(run, base, wait or FLOOR[JobStatus.QUEUED], headers)


async def _add(
    jobs: Jobs, owner: str, wanted: JobSubmitRequest, key: Idempotency | None
) -> tuple[Run, Headers]:
    """The job of this request: a known key's, whatever else is in the body, or a new one."""
    core = jobs.core
    while True:
        try:
            earlier = await core.store.runs.earlier(owner, key) if key is not None else None
            if earlier is not None:
                return earlier, []
            return (await submit(core, await _submission(jobs, owner, wanted, key))).run, []
        except IdempotencyMismatch as error:
            # The original does not compare bodies; whoever wants to know can see it in the header.
            try:
                return await core.store.runs.get(error.run_id, owner), [MISMATCH]
            except RunNotFound:
                continue  # deleted this moment, and its key with it


async def _submission(
    jobs: Jobs, owner: str, wanted: JobSubmitRequest, key: Idempotency | None
) -> Submission:
    core, options = jobs.core, jobs.services.options
    choice = await choose(core, owner, wanted, options.praisonai_agent_root)
    allowed = wanted.seconds(core.limits.longest_timeout)
    session = wanted.session_id
    refused = isinstance(choice.definition, Refused)
    kept = Kept(session, choice.agent_id, choice.recipe, refused, allowed)
    webhook = wanted.webhook_url
    return Submission(
        owner=owner,
        input=wanted.prompt,
        agent=choice.agent,
        definition=choice.definition,
        source=SOURCE,
        metadata=wanted.metadata,
        timeout=allowed if allowed > 0 else None,
        idempotency=key,
        label=session_label(session) if session else None,
        extra=kept.encoded(),
        callbacks=(Callback(url=webhook, format=FORMAT),) if webhook else (),
    )


async def _check_webhook(jobs: Jobs, url: str | None) -> None:
    """Raise `RequestValidationError` with the original's sentence for an address not posted to."""
    if not url:
        return
    try:
        await jobs.services.check_address(url)
    except AddressRefused as error:
        raise webhook_refused(url, error) from error

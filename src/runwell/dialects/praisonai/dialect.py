"""The PraisonAI dialect, assembled."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from runwell.auth.local_mode import allowed_origins
from runwell.dialects.dialect import Dialect, HotRoute, Services
from runwell.dialects.praisonai import errors, openapi
from runwell.dialects.praisonai.jobs import Jobs
from runwell.dialects.praisonai.load import Load
from runwell.dialects.praisonai.responses import Renderer
from runwell.dialects.praisonai.routes import ReadJob
from runwell.dialects.praisonai.submit import FORMAT
from runwell.domain.events import LoggedEvent
from runwell.domain.run import Run

ORIGINS = (
    "http://localhost:3000", "http://localhost:8000", "http://127.0.0.1:3000", "http://127.0.0.1:8000",
)  # fmt: skip
"""Web origins that the original lets in without being told to: where people develop."""
LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"


def build_praisonai(services: Services) -> Dialect:
    jobs = Jobs(services, Renderer())
    app = FastAPI(
        title="PraisonAI Jobs API",
        version="1.0.0",
        description="Async Jobs API for long-running agent tasks, served by Runwell.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.jobs = jobs
    app.state.load = Load(jobs)
    openapi.add_routes(app)
    errors.install(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[*ORIGINS, *allowed_origins(services.options.origins)],
        # Local mode lets pages of this machine do anything, so they may read the answers too.
        allow_origin_regex=LOOPBACK if services.authenticator.local_mode else None,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "Origin", "Accept", "Idempotency-Key", "X-API-Key"],
        expose_headers=["Location", "Retry-After", "Idempotency-Mismatch"],
        max_age=600,
    )
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]

    async def webhook(run: Run, line: LoggedEvent) -> bytes:
        return jobs.render.webhook(run)

    hot = (HotRoute("GET", "/api/v1/runs/{job_id}", ReadJob(jobs)),)
    bodies = {FORMAT: webhook}
    return Dialect("praisonai", app, hot, errors.refuse_outside, own_cors=True, callback_bodies=bodies)

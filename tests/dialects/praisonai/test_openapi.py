"""The document, held against the facts of the original's (praisonai 4.7.19)."""

import pytest
from openapi_spec_validator import validate

from runwell.dialects.praisonai.dialect import build_praisonai
from tests.support.house import House

OPERATIONS = {
    "submit_job_api_v1_runs_post", "list_jobs_api_v1_runs_get", "get_job_status_api_v1_runs__job_id__get",
    "get_job_result_api_v1_runs__job_id__result_get", "cancel_job_api_v1_runs__job_id__cancel_post",
    "delete_job_api_v1_runs__job_id__delete", "stream_job_api_v1_runs__job_id__stream_get",
    "health_check_health_get", "get_stats_stats_get",
}  # fmt: skip
SCHEMAS = {
    "JobSubmitRequest": [
        "prompt", "agent_file", "agent_yaml", "recipe_name", "recipe_config", "framework", "config",
        "webhook_url", "timeout", "session_id", "idempotency_key", "idempotency_scope",
    ],
    "JobSubmitResponse": ["job_id", "status", "created_at", "poll_url", "stream_url"],
    "JobProgress": ["percentage", "current_step", "steps_completed", "steps_total"],
    "JobStatusResponse": [
        "job_id", "status", "progress", "created_at", "started_at", "completed_at", "agent_id", "run_id",
        "session_id", "error", "retry_after",
    ],
    "JobResultResponse": [
        "job_id", "status", "result", "result_url", "metrics", "created_at", "started_at", "completed_at",
        "duration_seconds", "error",
    ],
    "JobListResponse": ["jobs", "total", "page", "page_size"],
}  # fmt: skip


@pytest.fixture
def document(house: House):
    return build_praisonai(house.services).app.openapi()


async def test_it_is_valid(document):
    validate(document)
    assert document["openapi"].startswith("3.1")


async def test_operations_are_called_as_in_the_original(document):
    ids = {each["operationId"] for item in document["paths"].values() for each in item.values()}
    assert ids == OPERATIONS


@pytest.mark.parametrize("name", SCHEMAS)
async def test_bodies_have_the_originals_fields_in_its_order(document, name):
    assert list(document["components"]["schemas"][name]["properties"]) == SCHEMAS[name]


@pytest.mark.parametrize("name", ["JobSubmitResponse", "JobStatusResponse", "JobResultResponse"])
async def test_times_are_known_as_times(document, name):
    fields = document["components"]["schemas"][name]["properties"]
    for field in (each for each in fields if each.endswith("_at")):
        kinds = fields[field].get("anyOf", [fields[field]])
        assert {"type": "string", "format": "date-time"} in kinds, field


async def test_it_is_served_under_the_name(house: House):
    answer = await house.client.get("/praisonai/openapi.json")
    assert answer.status == 200
    assert answer.json["info"]["title"] == "PraisonAI Jobs API"

"""What a frame may be, written down from the contract and not from the code."""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
UUID: Schema = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
TIME: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}


def null_or(schema: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, schema]}


def exactly(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def frame(type: str, **properties: Schema) -> Schema:
    return exactly(type={"const": type}, **properties)


def one_of(*schemas: Schema) -> Schema:
    return {"oneOf": list(schemas)}


DOCS_RUN = one_of(
    frame("run_started", runId=UUID, workflowId=UUID),
    frame("step_started", stepId=TEXT, toolId=TEXT),
    frame(
        "step_progress", stepId=TEXT, progress={"type": "integer", "minimum": 0, "maximum": 100}, message=TEXT
    ),
    frame("step_completed", stepId=TEXT, result={"type": "object"}),
    frame("step_failed", stepId=TEXT, error=TEXT),
    frame("run_completed", runId=UUID, status={"const": "completed"}),
    frame("run_failed", runId=UUID, error=TEXT),
)
_RUN_STATUS: Schema = {"enum": ["RUNNING", "PASSED", "FAILED", "CANCELLED"]}
_STEP_STATUS: Schema = {"enum": ["QUEUED", "RUNNING", "PASSED", "FAILED", "CANCELLED"]}
_MESSAGE = exactly(id=UUID, role={"enum": ["user", "assistant", "system"]}, content=TEXT, createdAt=TIME)
APP_STEP = exactly(
    id=TEXT, stepId=TEXT, name=TEXT, status=_STEP_STATUS, output=null_or(TEXT), error=null_or(TEXT),
    logs={"type": "null"}, toolCalls=null_or({"type": "array", "items": {"type": "object"}}),
    startedAt=null_or(TIME), completedAt=null_or(TIME),
)  # fmt: skip
APP_RUN = one_of(
    frame(
        "snapshot",
        workflowRun=exactly(id=UUID, status=_RUN_STATUS, startedAt=TIME, completedAt=null_or(TIME)),
        steps={"type": "array", "items": APP_STEP},
        message=null_or(_MESSAGE),
    ),
    frame("complete", workflowRunId=UUID, status=_RUN_STATUS),
)
DOCS_MESSAGE = one_of(
    frame("start", messageId=UUID),
    frame("content", delta=TEXT),
    frame("tool_call", toolName=TEXT, toolArgs={}),
    frame("tool_result", toolName=TEXT, result={}),
    frame("end", messageId=UUID),
    frame("error", error=TEXT, message=TEXT),
)
APP_MESSAGE = one_of(
    frame("user_message", message=_MESSAGE),
    frame("token", token=TEXT),
    frame(
        "complete",
        message=exactly(**_MESSAGE["properties"], sources={"type": "array"}),
        chatId=UUID,
    ),
    frame(
        "error",
        error=exactly(message={"const": "Streaming failed"}, code={"const": "STREAMING_ERROR"}),
        chatId=UUID,
    ),
)
DOCS_STATUSES = ["pending", "running", "completed", "failed", "cancelled"]
DOCS_RUNS = exactly(
    data=exactly(
        workflowRuns={
            "type": "array",
            "items": exactly(
                id=UUID, chatId=UUID, workflowId=UUID, status={"enum": DOCS_STATUSES},
                startedAt=null_or(TIME), completedAt=null_or(TIME),
                steps={
                    "type": "array",
                    "items": exactly(
                        id=TEXT, status={"enum": DOCS_STATUSES}, startedAt=null_or(TIME),
                        completedAt=null_or(TIME),
                    ),
                },
            ),
        }
    )
)  # fmt: skip
"""The seed."""

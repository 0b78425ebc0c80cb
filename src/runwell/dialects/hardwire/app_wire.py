"""The form that the product's own web client speaks."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.types import Scope

from runwell.dialects.exchange import Reply
from runwell.dialects.hardwire import bodies
from runwell.dialects.hardwire.bodies import AppWorkflow
from runwell.dialects.hardwire.errors import NO_MESSAGES, NO_RUN, Failed, app_body, app_error
from runwell.dialects.hardwire.message_frames import AppMessageFrames
from runwell.dialects.hardwire.messages import MessageView, ending
from runwell.dialects.hardwire.run_frames import AppRunFrames, frame
from runwell.dialects.hardwire.runs import Facts, Plan, RunView, StepView, tool_word
from runwell.dialects.hardwire.wire import MessageFrames, RunFrames, SentView
from runwell.dialects.hardwire.words import (
    app_run_word,
    app_step_word,
    text_of_output,
    time_or_null,
    time_word,
)
from runwell.dialects.hardwire.workflows import Workflow
from runwell.domain.agent import AgentSpec, WorkflowStep
from runwell.domain.ids import spell_uuid
from runwell.domain.instant import Instant
from runwell.domain.thread import Thread

_ENCODE = msgspec.json.Encoder().encode


ANSWERS: Mapping[str, Any] = {
    "liveness": None,
    "list_models": bodies.Models,
    "list_chats": bodies.AppChats,
    "list_workflows": bodies.AppWorkflowList,
    "get_preference": bodies.AppPreference,
    "set_preference": bodies.AppPreferenceSet,
    "delete_chat": bodies.Success,
    "list_messages": bodies.AppMessages,
    "send_message": bodies.AppSent,
    "list_workflow_runs": bodies.AppWorkflowRuns,
    "create_workflow": AppWorkflow[bodies.AppMadeWorkflow],
    "get_workflow": AppWorkflow[bodies.AppReadWorkflow],
    "update_workflow": AppWorkflow[bodies.AppChangedWorkflow],
    "delete_workflow": bodies.Success,
    "list_tools": bodies.Tools,
    "search_tools": bodies.Tools,
    "get_tool": bodies.AppTool,
}
"""The types of the bodies, by the name of the route's handler."""


class AppWire:
    strict = True
    snapshots = True
    answers = ANSWERS

    def error(self, error: Exception, scope: Scope) -> Reply:
        return app_error(error, scope)

    def deleted(self) -> tuple[int, msgspec.Struct | None]:
        return 200, bodies.Success()

    def liveness(self, now: Instant) -> msgspec.Struct | None:
        return None

    def models(self, models: list[bodies.Model]) -> msgspec.Struct:
        return bodies.Models(models=models)

    def chats(self, user: str, page: Sequence[Thread], total: int) -> msgspec.Struct:
        listed = [
            bodies.AppChat(id=spell_uuid(chat.id), title=chat.title, updated_at=time_word(chat.updated_at))
            for chat in page
        ]
        return bodies.AppChats(chats=listed)

    def workflows(self, user: str, workflows: Sequence[Workflow]) -> msgspec.Struct:
        listed = [
            bodies.AppListedWorkflow(
                id=spell_uuid(each.id),
                name=each.note.name,
                description=each.note.description,
                version=each.note.version,
                updated_at=time_word(each.note.updated_at),
            )
            for each in workflows
        ]
        return bodies.AppWorkflowList(workflows=listed)

    def workflow(self, user: str, workflow: Workflow) -> msgspec.Struct:
        note = workflow.note
        body = bodies.AppReadWorkflow(
            id=spell_uuid(workflow.id),
            name=note.name,
            description=note.description,
            version=note.version,
            steps=[_planned(step, place) for place, step in enumerate(workflow.steps, start=1)],
            created_at=time_word(note.created_at),
            updated_at=time_word(note.updated_at),
        )
        return AppWorkflow(body)

    def workflow_made(self, user: str, workflow: Workflow) -> msgspec.Struct:
        note = workflow.note
        body = bodies.AppMadeWorkflow(
            id=spell_uuid(workflow.id),
            name=note.name,
            description=note.description,
            version=note.version,
            created_at=time_word(note.created_at),
            updated_at=time_word(note.updated_at),
        )
        return AppWorkflow(body)

    def workflow_changed(self, user: str, workflow: Workflow) -> msgspec.Struct:
        note = workflow.note
        body = bodies.AppChangedWorkflow(
            id=spell_uuid(workflow.id),
            name=note.name,
            description=note.description,
            updated_at=time_word(note.updated_at),
        )
        return AppWorkflow(body)

    def preference(self, user: str, model: str | None) -> msgspec.Struct:
        return bodies.AppPreference(model_id=model)

    def preference_set(self, user: str, model: str) -> msgspec.Struct:
        return bodies.AppPreferenceSet(model_id=model)

    def messages(self, messages: Sequence[MessageView]) -> msgspec.Struct:
        if not messages:
            raise Failed(NO_MESSAGES)
        return bodies.AppMessages(messages=[_message(each) for each in messages])

    def sent(self, sent: SentView) -> msgspec.Struct:
        return bodies.AppSent(
            user_message=_message(sent.question),
            assistant_message=_message(sent.answer) if sent.answer is not None else None,
            chat_id=spell_uuid(sent.question.chat),
            workflow_run_id=spell_uuid(sent.run) if sent.run is not None else UNSET,
            error=sent.error if sent.error is not None else UNSET,
        )

    def tools(self, tools: Sequence[AgentSpec]) -> msgspec.Struct:
        listed = [
            bodies.Tool(id=spell_uuid(tool.id), name=tool.name, description=tool.description or None)
            for tool in tools
        ]
        return bodies.Tools(tools=listed)

    def tool(self, tool: AgentSpec) -> msgspec.Struct:
        return bodies.AppTool(
            tool=bodies.ToolRead(
                id=spell_uuid(tool.id),
                name=tool.name,
                description=tool.description or None,
                schema=tool.input_schema,
            )
        )

    def run(self, run: RunView) -> msgspec.Struct:
        return bodies.AppWorkflowRun(
            **msgspec.structs.asdict(_run(run.id, run.facts)),
            trigger_message_id=run.trigger,
            steps=[_step(step) for step in run.steps],
        )

    def runs(self, runs: Sequence[bytes]) -> bytes:
        return b'{"workflowRuns":[%b]}' % b",".join(runs)

    def run_frames(self, run: RunView, plan: Plan) -> RunFrames:
        return AppRunFrames(
            plan,
            lambda facts, steps: snapshot(run.id, run.chat, facts, steps),
            lambda facts: complete(run.id, facts),
        )

    def run_frames_without_log(self, run: RunView, plan: Plan) -> bytes:
        return snapshot(run.id, run.chat, run.facts, run.steps) + complete(run.id, run.facts)

    def run_deleted(self, writer: RunFrames, scope: Scope) -> bytes:
        return error_frame(Failed(NO_RUN), scope)

    def message_frames(self, run_id: str, chat: str, *, workflow: bool) -> MessageFrames:
        return AppMessageFrames(run_id, chat, workflow=workflow)


def snapshot(run_id: str, chat: str, facts: Facts, steps: Sequence[StepView]) -> bytes:
    message = None
    if facts.finished_at is not None:
        message = _message(
            ending(run_id, chat, facts.status, facts.output, facts.error, facts.finished_at, workflow=True)
        )
    body = bodies.Snapshot(
        workflow_run=_run(run_id, facts), steps=[_step(step) for step in steps], message=message
    )
    return b"data: %b\n\n" % _ENCODE(body)


def complete(run_id: str, facts: Facts) -> bytes:
    return frame("complete", workflowRunId=spell_uuid(run_id), status=app_run_word(facts.status))


def error_frame(error: Exception, scope: Scope) -> bytes:
    """A refusal as the stream of a workflow run tells it."""
    return frame("error", error=app_body(error, scope))


def _run(run_id: str, facts: Facts) -> bodies.AppRun:
    return bodies.AppRun(
        id=spell_uuid(run_id),
        status=app_run_word(facts.status),
        started_at=time_word(facts.created_at),
        completed_at=time_or_null(facts.finished_at),
    )


def _step(step: StepView) -> bodies.AppRunStep:
    tools = [
        bodies.AppToolUse(id=tool.id, name=tool.name, status=app_step_word(tool.state), output=tool.output)
        for tool in step.tools
    ]
    return bodies.AppRunStep(
        id=step.id,
        step_id=step.id,
        name=step.name,
        status=app_step_word(step.state),
        output=text_of_output(step.output) if step.output is not None else None,
        error=step.error,
        tool_calls=tools or None,
        started_at=time_or_null(step.started_at),
        completed_at=time_or_null(step.completed_at),
    )


def _planned(step: WorkflowStep, order: int) -> bodies.AppWorkflowStep:
    named = list(step.tools) or ([tool_word(step)] if step.agent is not None else [])
    return bodies.AppWorkflowStep(
        id=step.id,
        name=step.name,
        prompt=step.prompt,
        tools=[bodies.AppStepTool(id=name, name=name) for name in named],
        order=order,
    )


def _message(message: MessageView) -> bodies.AppMessage:
    return bodies.AppMessage(
        id=message.id, role=message.role, content=message.content, created_at=time_word(message.at)
    )

"""The documented form."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.types import Scope

from runwell.dialects.exchange import Reply
from runwell.dialects.hardwire import bodies
from runwell.dialects.hardwire.bodies import Data
from runwell.dialects.hardwire.errors import NO_PREFERENCE, Failed, docs_error
from runwell.dialects.hardwire.message_frames import DocsMessageFrames
from runwell.dialects.hardwire.messages import MessageView
from runwell.dialects.hardwire.run_frames import DocsRunFrames, docs_frames_without_log
from runwell.dialects.hardwire.runs import Plan, RunView, StepView, tool_word
from runwell.dialects.hardwire.wire import MessageFrames, RunFrames, SentView
from runwell.dialects.hardwire.words import run_state, time_or_null, time_word
from runwell.dialects.hardwire.workflows import Workflow
from runwell.domain.agent import AgentSpec, WorkflowStep
from runwell.domain.ids import spell_uuid
from runwell.domain.instant import Instant
from runwell.domain.thread import Thread

ANSWERS: Mapping[str, Any] = {
    "liveness": bodies.Liveness,
    "list_models": Data[bodies.Models],
    "list_chats": Data[bodies.Chats],
    "list_workflows": Data[bodies.WorkflowList],
    "get_preference": Data[bodies.Preference],
    "set_preference": Data[bodies.Preference],
    "delete_chat": None,
    "list_messages": Data[bodies.Messages],
    "send_message": Data[bodies.Sent],
    "list_workflow_runs": Data[bodies.WorkflowRuns],
    "create_workflow": Data[bodies.Workflow],
    "get_workflow": Data[bodies.Workflow],
    "update_workflow": Data[bodies.Workflow],
    "delete_workflow": None,
    "list_tools": Data[bodies.Tools],
    "search_tools": Data[bodies.Tools],
    "get_tool": Data[bodies.ToolRead],
}
"""The types of the bodies, by the name of the route's handler."""


class DocsWire:
    strict = False
    snapshots = False
    answers = ANSWERS

    def error(self, error: Exception, scope: Scope) -> Reply:
        return docs_error(error, scope)

    def deleted(self) -> tuple[int, msgspec.Struct | None]:
        return 204, None

    def liveness(self, now: Instant) -> msgspec.Struct | None:
        return bodies.Liveness(timestamp=time_word(now))

    def models(self, models: list[bodies.Model]) -> msgspec.Struct:
        return Data(bodies.Models(models=models))

    def chats(self, user: str, page: Sequence[Thread], total: int) -> msgspec.Struct:
        listed = [
            bodies.Chat(
                id=spell_uuid(chat.id),
                user_id=user,
                created_at=time_word(chat.created_at),
                updated_at=time_word(chat.updated_at),
            )
            for chat in page
        ]
        return Data(bodies.Chats(chats=listed, total=total))

    def workflows(self, user: str, workflows: Sequence[Workflow]) -> msgspec.Struct:
        listed = [
            bodies.ListedWorkflow(
                id=spell_uuid(each.id),
                user_id=user,
                name=each.note.name,
                description=each.note.description,
                created_at=time_word(each.note.created_at),
                updated_at=time_word(each.note.updated_at),
            )
            for each in workflows
        ]
        return Data(bodies.WorkflowList(workflows=listed))

    def workflow(self, user: str, workflow: Workflow) -> msgspec.Struct:
        note = workflow.note
        body = bodies.Workflow(
            id=spell_uuid(workflow.id),
            user_id=user,
            name=note.name,
            description=note.description,
            steps=[_planned(step) for step in workflow.steps],
            created_at=time_word(note.created_at),
            updated_at=time_word(note.updated_at),
        )
        return Data(body)

    workflow_made = workflow_changed = workflow

    def preference(self, user: str, model: str | None) -> msgspec.Struct:
        if model is None:
            raise Failed(NO_PREFERENCE)
        return self.preference_set(user, model)

    def preference_set(self, user: str, model: str) -> msgspec.Struct:
        return Data(bodies.Preference(user_id=user, model_id=model))

    def messages(self, messages: Sequence[MessageView]) -> msgspec.Struct:
        return Data(bodies.Messages(messages=[_message(each) for each in messages]))

    def sent(self, sent: SentView) -> msgspec.Struct:
        question = _message(sent.question)
        body = bodies.Sent(
            **msgspec.structs.asdict(question),
            response=_message(sent.answer) if sent.answer is not None else None,
            workflow_run_id=spell_uuid(sent.run) if sent.run is not None else UNSET,
            error=sent.error if sent.error is not None else UNSET,
        )
        return Data(body)

    def tools(self, tools: Sequence[AgentSpec]) -> msgspec.Struct:
        listed = [
            bodies.Tool(id=tool.name, name=tool.name, description=tool.description or None) for tool in tools
        ]
        return Data(bodies.Tools(tools=listed))

    def tool(self, tool: AgentSpec) -> msgspec.Struct:
        return Data(
            bodies.ToolRead(
                id=tool.name,
                name=tool.name,
                description=tool.description or None,
                schema=tool.input_schema,
            )
        )

    def run(self, run: RunView) -> msgspec.Struct:
        facts = run.facts
        return bodies.WorkflowRun(
            id=spell_uuid(run.id),
            chat_id=spell_uuid(run.chat),
            workflow_id=spell_uuid(run.workflow),
            status=run_state(facts.status).value,
            started_at=time_or_null(facts.started_at),
            completed_at=time_or_null(facts.finished_at),
            steps=[_step(step) for step in run.steps],
        )

    def runs(self, runs: Sequence[bytes]) -> bytes:
        return b'{"data":{"workflowRuns":[%b]}}' % b",".join(runs)

    def run_frames(self, run: RunView, plan: Plan) -> RunFrames:
        return DocsRunFrames(run.id, run.workflow, plan)

    def run_frames_without_log(self, run: RunView, plan: Plan) -> bytes:
        return docs_frames_without_log(run, plan)

    def run_deleted(self, writer: RunFrames, scope: Scope) -> bytes:
        return b"".join(writer.give_up()) if isinstance(writer, DocsRunFrames) else b""

    def message_frames(self, run_id: str, chat: str, *, workflow: bool) -> MessageFrames:
        return DocsMessageFrames(run_id, chat, workflow=workflow)


def _planned(step: WorkflowStep) -> bodies.WorkflowStep:
    return bodies.WorkflowStep(
        id=step.id,
        tool_id=tool_word(step),
        inputs={"prompt": step.prompt} if step.prompt else {},
        outputs=[],
        name=step.name,
        tools=list(step.tools),
    )


def _step(step: StepView) -> bodies.RunStep:
    return bodies.RunStep(
        id=step.id,
        status=step.state.value,
        started_at=time_or_null(step.started_at),
        completed_at=time_or_null(step.completed_at),
    )


def _message(message: MessageView) -> bodies.Message:
    return bodies.Message(
        id=message.id,
        chat_id=spell_uuid(message.chat),
        role=message.role,
        content=message.content,
        created_at=time_word(message.at),
    )

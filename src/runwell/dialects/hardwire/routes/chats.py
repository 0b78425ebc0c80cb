"""/api/chats: what is said in a chat."""

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.hardwire import stream
from runwell.dialects.hardwire.bodies import StartError
from runwell.dialects.hardwire.errors import NO_ANSWER, Failed, told_of
from runwell.dialects.hardwire.hardwire import Answer, Asked, Hardwire, json_reply
from runwell.dialects.hardwire.messages import MessageView, asked, ending_of, history
from runwell.dialects.hardwire.requests import Say, read_say
from runwell.dialects.hardwire.routes.workflows import deleted
from runwell.dialects.hardwire.sending import Chosen
from runwell.dialects.hardwire.wire import SentView
from runwell.dialects.hardwire.words import DELETED
from runwell.domain.errors import AgentNotFound, Invalid, RunNotFound
from runwell.domain.json_gate import encode
from runwell.domain.run import Run, RunStatus
from runwell.domain.thread import IfBusy
from runwell.stream.poll import wait_until
from runwell.stream.presence import Attended

ANSWER_WITHIN = 60.0
"""Seconds that a message is answered in; later, the answer is in the chat."""
NOT_YET = "The answer is not there yet. It will be among the messages of the chat."
ASKS = (
    "The agent waits for a person, whom this API cannot ask. The run goes on when it is answered elsewhere."
)


class ChatRoutes:
    def __init__(self, hardwire: Hardwire) -> None:
        self._hardwire = hardwire
        self._core = hardwire.core
        self._wire = hardwire.wire
        self._sending = hardwire.sending

    async def delete_chat(self, asked_for: Asked) -> Reply:
        """Delete a chat and its messages. Its runs stay, outside of it."""
        owner, chat = asked_for.visit.owner, asked_for.ids["chatId"]
        await self._hardwire.chats.check(owner, chat)
        await self._hardwire.chats.delete(owner, chat)
        return deleted(self._wire.deleted())

    async def list_messages(self, asked_for: Asked) -> Reply:
        """List what was said in a chat, oldest first, also how failed runs ended."""
        owner, chat = asked_for.visit.owner, asked_for.ids["chatId"]
        chats, plans = self._hardwire.chats, self._hardwire.plans
        await chats.check(owner, chat)
        messages, runs = await chats.messages(chat), await chats.runs(owner, chat)
        failed = [run for run in runs if run.status is RunStatus.FAILED]
        workflows = frozenset([run.id for run in failed if await plans.of(run) is not None])
        return json_reply(self._wire.messages(history(chat, messages, runs, workflows)))

    async def send_message(self, asked_for: Asked) -> Reply:
        """Say something in a chat, which the first message makes.

        With `workflowId` a run of that workflow is started, and answered at once: watch it, or look at the
        chat's workflow runs. Without, the answer waits for the agent's, up to a minute.
        """
        owner, chat = asked_for.visit.owner, asked_for.ids["chatId"]
        said, new = await self._read(asked_for)
        await self._sending.check_free(owner, chat)
        try:
            chosen = await self._sending.choose(owner, said)
            run = await self._start(owner, chat, said, chosen, new, IfBusy.REFUSE)
        except (Failed, Invalid, AgentNotFound) as error:
            if not self._wire.strict or said.workflow is None:
                raise
            return await self._not_started(owner, chat, said, error)
        question = asked(run.id, chat, encode(said.content), run.created_at)
        if chosen.workflow is not None:
            return json_reply(self._wire.sent(SentView(question, run=run.id)), 201)
        return await self._answered(asked_for.call, run, question, new)

    async def stream_message(self, asked_for: Asked) -> Answer:
        """Say something in a chat, and watch the answer.

        The run outlives this connection; its answer is among the chat's messages. A chat in which something
        runs takes it in turn.
        """
        visit, chat = asked_for.visit, asked_for.ids["chatId"]
        said, new = await self._read(asked_for)
        if self._wire.strict:
            said = said._replace(workflow=None)  # as in the original, which reads and ignores it
        # Before the run is there: one that cannot be watched must not be started.
        self._hardwire.services.closing.admit_stream(visit.principal.who)
        chosen = await self._sending.choose(visit.owner, said)
        run = await self._start(visit.owner, chat, said, chosen, new, IfBusy.QUEUE)
        workflow = await self._hardwire.plans.of(run) is not None
        writer = self._wire.message_frames(run.id, chat, workflow=workflow)
        return stream.watch_message(self._hardwire.services, visit.principal.who, run, writer)

    async def _read(self, asked_for: Asked) -> tuple[Say, bool]:
        """What is said, and whether the chat is new. Whose it is comes before what is wrong with the body."""
        visit, chat = asked_for.visit, asked_for.ids["chatId"]
        await self._hardwire.chats.check(visit.owner, chat, missing=False)
        said = read_say(await asked_for.call.body(), strict=self._wire.strict)
        return said, await self._sending.admit(visit.owner, visit.user_id, chat, said)

    async def _start(
        self, owner: str, chat: str, said: Say, chosen: Chosen, new: bool, if_busy: IfBusy
    ) -> Run:
        return await self._sending.start(owner, chat, said, chosen, new=new, if_busy=if_busy)

    async def _not_started(self, owner: str, chat: str, said: Say, error: Exception) -> Reply:
        """The web client is told within the answer, and both messages stay in the chat."""
        told = told_of(error)
        question = await self._sending.note_failure(owner, chat, said.content, told.app)
        failed = StartError(message=told.app, code="WORKFLOW_RUN_FAILED")
        return json_reply(self._wire.sent(SentView(question, error=failed)), 201)

    async def _answered(self, call: Call, run: Run, question: MessageView, new: bool) -> Reply:
        ended = await self._end_of(call, run)
        if ended is not None and ended.status is RunStatus.SUCCEEDED:
            answer = ending_of(ended, question.chat, workflow=False)
            if answer is not None:
                return json_reply(self._wire.sent(SentView(question, answer)), 201)
        if ended is not None and ended.final and self._wire.strict and not new:
            raise Failed(NO_ANSWER)
        failed = StartError(message=self._why(ended), code="LLM_ERROR")
        return json_reply(self._wire.sent(SentView(question, error=failed)), 201)

    def _why(self, run: Run | None) -> str:
        """Why there is no answer in the answer."""
        if run is None:
            return DELETED
        if run.final:
            return (
                f"LLM request failed: {run.error.message}" if run.error is not None else "LLM request failed"
            )
        return ASKS if run.status is RunStatus.WAITING else NOT_YET

    async def _end_of(self, call: Call, run: Run) -> Run | None:
        """The run when it has ended or waits, or as it is when the wait is over; None if it was deleted."""
        core, closing = self._core, self._hardwire.services.closing
        try:
            async with Attended(call.receive, closing, closing.polls):
                return await wait_until(
                    core.store, core.signals, run.id, run.owner,
                    lambda seen: seen.final or seen.status is RunStatus.WAITING, ANSWER_WITHIN,
                )  # fmt: skip
        except RunNotFound:
            return None
        return run

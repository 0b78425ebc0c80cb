"""From runs, chats and sessions to the bytes of `bodies`."""

import msgspec
from msgspec.structs import asdict

from runwell.dialects.exchange import Headers, Reply
from runwell.dialects.recoup import bodies
from runwell.dialects.recoup.chats import NEW_CHAT, Chat, SessionNote
from runwell.dialects.recoup.errors import CORS, JSON
from runwell.dialects.recoup.words import account_word, run_word, status_word, time_word
from runwell.domain.ids import spell_uuid
from runwell.domain.instant import Instant
from runwell.domain.run import Run
from runwell.stream.retry_after import retry_after

# Every answer depends on the caller and on the moment.
PRIVATE = (b"cache-control", b"private, no-cache")
_SHOWN: Headers = [JSON, PRIVATE, *CORS]


def json_reply(body: msgspec.Struct, status: int = 200, headers: Headers | None = None) -> Reply:
    return Reply(status, [*_SHOWN, *(headers or ())], msgspec.json.encode(body))


def empty(status: int) -> Reply:
    return Reply(status, CORS)


def run_status(run: Run, asked: str, now: Instant) -> Reply:
    """`asked` is the id as it stands in the path: the original sends it back unchanged. It was read as an
    id, so it is letters, digits and dashes, which JSON takes as they are. `Retry-After`, which the
    original has not, says when another look is worth it."""
    body = f'{{"runId":"{asked}","status":"{status_word(run.status)}"}}'.encode()
    seconds = retry_after(run, None, now)
    if seconds is None:
        return Reply(200, _SHOWN, body)
    return Reply(200, [*_SHOWN, (b"retry-after", b"%d" % seconds)], body)


def started(run: Run, session: str, mount: str) -> Reply:
    body = bodies.Started(
        run_id=run_word(run.id), chat_id=spell_uuid(run.thread_id or ""), session_id=spell_uuid(session)
    )
    place = f"{mount}/api/chat/runs/{body.run_id}".encode()
    return json_reply(body, 202, [(b"location", place)])


def session_body(owner: str, id: str, note: SessionNote) -> bodies.Session:
    return bodies.Session(
        id=spell_uuid(id),
        user_id=account_word(owner),
        artist_id=note.artist_id,
        title=note.title,
        status=note.status,
        last_activity_at=time_word(note.updated_at),
        lines_added=note.lines_added,
        lines_removed=note.lines_removed,
        created_at=time_word(note.created_at),
        updated_at=time_word(note.updated_at),
    )


def chat_body(chat: Chat) -> bodies.Chat:
    thread, note, live, last = chat
    answered_at = last.finished_at if last is not None else None
    return bodies.Chat(
        id=spell_uuid(thread.id),
        session_id=spell_uuid(note.session) if note is not None else None,
        title=thread.title or NEW_CHAT,
        model_id=note.model if note is not None else None,
        active_stream_id=run_word(live.id) if live is not None else None,
        last_assistant_message_at=time_word(answered_at) if answered_at is not None else None,
        created_at=time_word(thread.created_at),
        updated_at=time_word(thread.updated_at),
    )


def listed_chat(chat: Chat) -> bodies.ListedChat:
    answered_at = (chat.last.finished_at if chat.last is not None else None) or 0
    read_at = chat.note.read_at if chat.note is not None else 0
    return bodies.ListedChat(
        **asdict(chat_body(chat)), has_unread=answered_at > read_at, is_streaming=chat.live is not None
    )

"""People who sign in: users, their sessions, and what an e-mail address and a name may be.

What a password was made into is nowhere in these values: it stays between the store and `auth`.
"""

import re
import unicodedata
from typing import NamedTuple

import msgspec

from runwell.domain.errors import InvalidInput
from runwell.domain.instant import Instant
from runwell.domain.principal import Principal, Scope

LONGEST_EMAIL = 254
LONGEST_NAME = 200
LONGEST_AGENT = 300
"""Characters of a browser's description of itself that are kept; the rest is cut off."""
LONGEST_ADDRESS = 64

USER_SCOPES = frozenset({Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.AGENTS_WRITE})

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\Z")


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can sign in. `email` is as it was given, and unique without regard to case.

    `generation` grows when everything this user signed in before becomes void: with a new password,
    and when the user is disabled.
    """

    id: str
    email: str
    name: str
    created_at: Instant
    admin: bool = False
    generation: int = 1
    disabled_at: Instant | None = None

    @property
    def owner(self) -> str:
        """Whose the runs of this user are."""
        return f"user:{self.id}"

    @property
    def principal(self) -> Principal:
        scopes = USER_SCOPES | {Scope.ADMIN} if self.admin else USER_SCOPES
        return Principal(self.owner, scopes, "session")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A user who is signed in, in one browser. Its token is not here: the store has its SHA-256.

    `last_seen_at` is right to the day. `user_agent` and `address` are what the sign-in came from, as
    far as it was told.
    """

    id: str
    user_id: str
    created_at: Instant
    expires_at: Instant
    last_seen_at: Instant
    user_agent: str = ""
    address: str = ""


class SignedIn(NamedTuple):
    """A session and whose it is."""

    session: Session
    user: User


def read_email(text: str) -> str:
    """The address as it is shown: trimmed. Raises `InvalidInput` for what cannot be one."""
    email = text.strip() if len(text) <= 2 * LONGEST_EMAIL else text
    if len(email) > LONGEST_EMAIL:
        raise InvalidInput("$.email", f"must have at most {LONGEST_EMAIL} characters")
    if not _EMAIL.match(email) or not email.isprintable():
        raise InvalidInput("$.email", "must be an address such as ada@example.com")
    return email


def email_key(email: str) -> str:
    """What two spellings of one address have in common: no outer spaces, no case, composed letters."""
    folded = unicodedata.normalize("NFD", email.strip()).casefold()
    return unicodedata.normalize("NFC", folded)


def read_name(text: str) -> str:
    """A person's name, trimmed. Raises `InvalidInput`."""
    name = text.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidInput("$.name", f"must have 1 to {LONGEST_NAME} characters")
    if not name.isprintable():
        raise InvalidInput("$.name", "must be one line of printable characters")
    return name


def kept(text: str, most: int) -> str:
    """What a stranger says of itself, cut and cleaned, so that it can be stored and shown."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:most])

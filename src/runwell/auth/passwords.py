"""Passwords: made into argon2id hashes, beside the event loop, few at a time.

A hash takes about a twentieth of a second and 64 MiB on purpose. Two threads do them all, so that a
flood of sign-ins can take no more than that of the machine; who waits too long is told to come back.
No password is kept, logged or put into an error.
"""

import asyncio
import logging
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError

from runwell.domain.errors import InvalidInput, Unavailable

LOG = logging.getLogger(__name__)

SHORTEST = 8
LONGEST = 128
"""Characters of a password, composed (NFC). In UTF-8 that is at most 512 bytes."""
THREADS = 2
PATIENCE = 5.0
"""Seconds that somebody waits for a hash before being told to come back."""

T = TypeVar("T")


class Passwords:
    """Belongs to one event loop. Its threads begin with the first password and end with this object.

    Hashes hold their own parameters: a stored one can be checked after the parameters have changed,
    and `outdated` says that it should be made anew.
    """

    def __init__(self, hasher: PasswordHasher | None = None, *, patience: float = PATIENCE) -> None:
        self._hasher = hasher or PasswordHasher()
        self._patience = patience
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to store. Raises `InvalidInput` for a password that cannot be, `Unavailable`."""
        secret = _read(password)
        return await self._apart(lambda: self._hasher.hash(secret))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one behind the hash; `stored` None is nobody's.

        Nobody's takes as long as somebody's, so that time does not tell who has an account. Raises
        `Unavailable`.
        """
        try:
            secret = _read(password)
        except InvalidInput:
            # It can be nobody's; refusing it at once would tell nothing, but it should cost the same.
            stored, secret = None, b""
        return await self._apart(lambda: self._verify(stored, secret))

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than hashes are made with now."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """What waits is dropped, what is being hashed ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, secret: bytes) -> bool:
        # Before it is known whether anybody is asked for: the first sign-in takes twice as long either way.
        if self._nobodys is None:
            self._nobodys = self._hasher.hash(secrets.token_bytes(16))
        try:
            self._hasher.verify(stored or self._nobodys, secret)
        except VerifyMismatchError:
            return False
        except InvalidHashError:
            LOG.error("a password hash in the database cannot be read: set the user's password again")
            return False
        return stored is not None

    async def _apart(self, work: Callable[[], T]) -> T:
        """Do it on a thread; in time, or not at all unless it has begun."""
        future = self._threads.submit(work)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise Unavailable(
                "Too many sign-ins at once", "Try again in a few seconds.", self._patience
            ) from error
        except (HashingError, VerificationError) as error:
            # Nearly always memory: the machine has not enough left for one more hash.
            raise Unavailable(
                f"The password could not be hashed: {error}", "Free some memory on the server."
            ) from error


def _read(password: str) -> bytes:
    """The bytes that are hashed. Raises `InvalidInput`, which does not hold the password."""
    # Composed, so that the same keys are the same password on every system. Not for a text of megabytes.
    text = unicodedata.normalize("NFC", password) if len(password) <= 4 * LONGEST else password
    if len(text) < SHORTEST:
        raise InvalidInput("$.password", f"must have at least {SHORTEST} characters")
    if len(text) > LONGEST:
        raise InvalidInput("$.password", f"must have at most {LONGEST} characters")
    try:
        return text.encode()
    except UnicodeEncodeError:
        # `from None`: the error of the codec holds the text.
        raise InvalidInput("$.password", "must be text that every reader understands") from None

"""Signing, as Standard Webhooks have it (https://www.standardwebhooks.com), with a shared secret.

A receiver verifies with any of its libraries: HMAC-SHA256 over `id.timestamp.body`, and a timestamp
that is not old. During a rotation a post carries one signature for each secret that is valid.
"""

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Sequence

from runwell.domain.errors import InvalidInput
from runwell.domain.instant import SECOND, Instant

PREFIX = "whsec_"
NEW_BYTES = 32
FEWEST_BYTES = 24
MOST_BYTES = 64


def new_secret() -> str:
    """A new secret as it is shown: `whsec_` and 44 characters of base64, 256 random bits."""
    return secret_text(randomness.token_bytes(NEW_BYTES))


def secret_text(secret: bytes) -> str:
    """How people and libraries write a secret."""
    return PREFIX + base64.b64encode(secret).decode("ascii")


def parse_secret(text: str) -> bytes:
    """The bytes behind `whsec_…`. Raises `InvalidInput`, which does not repeat what was given."""
    hint = f"A secret is {PREFIX} and the base64 of {FEWEST_BYTES} to {MOST_BYTES} random bytes."
    if not text.startswith(PREFIX):
        raise InvalidInput("$.secret", f"must begin with {PREFIX}", hint)
    digits = text.removeprefix(PREFIX).rstrip("=")
    try:
        # Some tools leave the padding out; everything else has to be base64 to the last character.
        secret = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("$.secret", f"must be base64 after {PREFIX}", hint) from None
    if not FEWEST_BYTES <= len(secret) <= MOST_BYTES:
        raise InvalidInput("$.secret", f"holds {len(secret)} bytes", hint)
    return secret


def headers(secrets: Sequence[bytes], id: str, at: Instant, body: bytes) -> dict[str, str]:
    """The three headers of a post that is made now, at `at`. Every secret must be valid then.

    `id` is the same in every post of a delivery, the time is not: receivers refuse old ones. Raises
    `ValueError` without a secret, and for an id with a dot or a space, whose signature would be
    ambiguous.
    """
    if not secrets:
        raise ValueError("nothing is posted unsigned: there is no secret")
    if not id.isascii() or not id.isprintable() or not id or {".", " "} & set(id):
        raise ValueError(f"{id!r} cannot be the id of a signed message")
    timestamp = str(at // SECOND)
    signed = b".".join((id.encode("ascii"), timestamp.encode("ascii"), body))
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets),
    }


def _signature(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")

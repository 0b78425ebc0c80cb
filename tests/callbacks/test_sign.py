"""Signatures that the receivers' own library verifies."""

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from runwell.callbacks import sign
from runwell.domain.errors import InvalidInput
from runwell.domain.instant import SECOND

KNOWN_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The example of the standard's own documents, with its message and its signature."""
KNOWN_BODY = b'{"test": 2432232314}'
KNOWN_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
BODY = '{"name":"Ångström"}'.encode()


def test_signs_the_example_of_the_standard():
    headers = sign.headers(
        [sign.parse_secret(KNOWN_SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330 * SECOND, KNOWN_BODY
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": KNOWN_SIGNATURE,
    }


def test_a_receiver_verifies_with_the_library_of_the_standard():
    secret = sign.new_secret()
    headers = sign.headers([sign.parse_secret(secret)], "msg_1", time.time_ns() // 1000, BODY)
    assert Webhook(secret).verify(BODY, headers) == {"name": "Ångström"}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, {**headers, "webhook-id": "msg_2"})
    with pytest.raises(WebhookVerificationError):
        Webhook(sign.new_secret()).verify(BODY, headers)


def test_during_a_rotation_both_secrets_verify():
    new, old = sign.new_secret(), sign.new_secret()
    both = [sign.parse_secret(new), sign.parse_secret(old)]
    headers = sign.headers(both, "msg_1", time.time_ns() // 1000, BODY)
    for secret in (new, old):
        assert Webhook(secret).verify(BODY, headers) == {"name": "Ångström"}


def test_there_is_one_signature_for_each_secret_in_order():
    one, two = (sign.parse_secret(sign.new_secret()) for _ in range(2))
    both = sign.headers([one, two], "msg_1", 0, BODY)["webhook-signature"].split(" ")
    assert both == [sign.headers([s], "msg_1", 0, BODY)["webhook-signature"] for s in (one, two)]
    assert both[0] != both[1] and all(signature.startswith("v1,") for signature in both)


def test_the_time_is_in_whole_seconds_and_is_signed():
    secret = sign.parse_secret(KNOWN_SECRET)
    early, late = (sign.headers([secret], "msg_1", at, b"x") for at in (5 * SECOND, 6 * SECOND))
    assert early == sign.headers([secret], "msg_1", 6 * SECOND - 1, b"x")
    assert (early["webhook-timestamp"], late["webhook-timestamp"]) == ("5", "6")
    assert early["webhook-signature"] != late["webhook-signature"]


def test_the_body_is_signed_as_its_bytes():
    headers = sign.headers([sign.parse_secret(KNOWN_SECRET)], "msg_1", 0, b"\xff\x00\n")
    assert len(base64.b64decode(headers["webhook-signature"].removeprefix("v1,"))) == 32


def test_a_new_secret_has_256_bits_and_is_another_each_time():
    made = {sign.new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(text.startswith("whsec_") and len(sign.parse_secret(text)) == 32 for text in made)
    assert all(sign.secret_text(sign.parse_secret(text)) == text for text in made)


@pytest.mark.parametrize("size", [24, 25, 26, 64])
def test_a_secret_of_somebody_else_is_read_with_or_without_padding(size):
    text = sign.secret_text(bytes(range(size)))
    assert sign.parse_secret(text) == sign.parse_secret(text.rstrip("=")) == bytes(range(size))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwA",
        "whsec_MfKQ9r8GKYqr=TwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSé",
        sign.secret_text(b"x" * 23),
        sign.secret_text(b"x" * 65),
    ],
)
def test_a_bad_secret_is_refused_and_not_repeated(text):
    with pytest.raises(InvalidInput) as caught:
        sign.parse_secret(text)
    assert caught.value.path == "$.secret" and "24 to 64" in caught.value.hint
    assert "GKYqr" not in caught.value.message + caught.value.hint


def test_nothing_goes_out_unsigned():
    with pytest.raises(ValueError, match="unsigned"):
        sign.headers([], "msg_1", 0, BODY)


@pytest.mark.parametrize("id", ["", "a.b", "a b", "a\r\nb", "ä"])
def test_an_id_that_would_make_the_signature_ambiguous_is_refused(id):
    with pytest.raises(ValueError, match="id of a signed message"):
        sign.headers([b"x" * 32], id, 0, BODY)

"""Signing up, in and out, as the original's auth library words it."""

import json

import pytest

from runwell.auth.attempts import PER_EMAIL
from runwell.auth.sessions import LIFE, Accounts
from runwell.dialects.dialect import Dialect, Options
from runwell.dialects.hardwire.dialect import build_hardwire
from tests.dialects.hardwire.people import COOKIE, PASSWORD, Person, a_person, sign_in, sign_up
from tests.support.asgi import AsgiClient
from tests.support.house import House, a_house

FORGETFUL = "better-auth.dont_remember"


def check_told(answer, status: int, code: str, message: str | None = None) -> None:
    assert answer.status == status, answer.text
    assert list(answer.json) == ["code", "message"]
    assert answer.json["code"] == code
    if message is not None:
        assert answer.json["message"] == message


async def cookies(client: AsgiClient, path: str, body: object) -> dict[str, str]:
    """What the browser is told to keep: attributes by the cookie's name."""
    async with client.open("POST", path, body=json.dumps(body).encode()) as exchange:
        await exchange.started()
        return set_cookies(exchange)


def set_cookies(exchange) -> dict[str, str]:
    headers = [value.decode() for name, value in exchange.sends[0]["headers"] if name == b"set-cookie"]
    return {value.partition("=")[0]: value.partition("=")[2] for value in headers}


async def test_signing_up_signs_nobody_in_and_signing_in_does(house: House):
    answer = await sign_up(house, "ann@example.com")
    assert (answer.status, answer.json["token"]) == (200, None)
    assert "set-cookie" not in answer.headers
    user = answer.json["user"]
    assert user["emailVerified"] is True
    answer = await sign_in(house, "ANN@example.com ")
    assert answer.json == {"redirect": False, "token": answer.json["token"], "user": user}
    kept = f"{COOKIE}={answer.json['token']}; Path=/; HttpOnly; SameSite=Lax; Max-Age={LIFE}"
    assert answer.headers["set-cookie"] == kept


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"email": "ann"}, "INVALID_EMAIL", "Invalid email"),
        ({"password": "1234567"}, "PASSWORD_TOO_SHORT", "Password too short"),
        ({"password": "x" * 129}, "PASSWORD_TOO_LONG", "Password too long"),
        ({"password": "x" * 9_999}, "PASSWORD_TOO_LONG", "Password too long"),
        ({"name": 1}, "VALIDATION_ERROR", "[body.name] Invalid input: expected string, received number"),
        ({"name": " "}, "VALIDATION_ERROR", "[body.name] must have 1 to 200 characters"),
        ({"email": None}, "VALIDATION_ERROR", "[body.email] Invalid input: expected string, received null"),
        ({"password": "\ud800abcdefgh"}, "VALIDATION_ERROR", "[body] Invalid JSON"),
    ],
)
async def test_faults_of_a_sign_up(house: House, body, code, message):
    given = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD, **body}
    check_told(await house.client.post("/api/auth/sign-up/email", given), 400, code, message)
    assert await house.accounts.all() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff"])
@pytest.mark.parametrize("path", ["/api/auth/sign-up/email", "/api/auth/sign-in/email"])
async def test_bodies_that_are_no_objects(house: House, path, body):
    check_told(await house.client.post(path, body=body), 400, "VALIDATION_ERROR")


async def test_an_address_is_taken_once(house: House):
    await sign_up(house, "ann@example.com")
    answer = await sign_up(house, "Ann@Example.com")
    check_told(
        answer, 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL", "User already exists. Use another email."
    )


async def test_wrong_passwords_and_unknown_people_are_told_alike(house: House):
    await sign_up(house, "ann@example.com")
    for email, password in (
        ("ann@example.com", "wrong password"), ("ann@example.com", "x"), ("bob@example.com", PASSWORD),
    ):  # fmt: skip
        answer = await sign_in(house, email, password)
        check_told(answer, 401, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password")
        assert "set-cookie" not in answer.headers


async def test_too_many_attempts_are_told_when_to_come_back(house: House):
    for _ in range(PER_EMAIL):
        await sign_in(house, "ann@example.com", "wrong password")
    answer = await sign_in(house, "ann@example.com")
    assert answer.status == 429
    assert answer.json == {"message": "Too many requests. Please try again later."}
    assert int(answer.headers["x-retry-after"]) == int(answer.headers["retry-after"]) >= 1


async def test_closed_sign_ups(house: House, monkeypatch):
    monkeypatch.setattr(house.accounts, "signup_open", False)
    check_told(await sign_up(house, "ann@example.com"), 400, "EMAIL_AND_PASSWORD_SIGN_UP_IS_NOT_ENABLED")
    await house.accounts.create("ann@example.com", "Ann", PASSWORD)
    assert (await sign_in(house, "ann@example.com")).status == 200


async def test_a_server_that_is_open_to_its_machine_takes_nobody_from_behind_a_proxy(
    house: House, monkeypatch
):
    monkeypatch.setattr(house.accounts, "signup_open", False)
    monkeypatch.setattr(house.accounts, "_signup_here", True)
    body = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD}
    for name, value in (("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=::1"), ("x-real-ip", "::1")):
        answer = await house.client.post("/api/auth/sign-up/email", body, headers={name: value})
        check_told(answer, 400, "EMAIL_AND_PASSWORD_SIGN_UP_IS_NOT_ENABLED")
    assert await house.accounts.all() == []
    assert (await sign_up(house, "ann@example.com")).status == 200


async def test_a_session_that_is_not_remembered_ends_with_the_browser(house: House):
    await sign_up(house, "ann@example.com")
    body = {"email": "ann@example.com", "password": PASSWORD, "rememberMe": False}
    kept = await cookies(house.client, "/api/auth/sign-in/email", body)
    assert set(kept) == {COOKIE, FORGETFUL}
    assert not any("Max-Age" in value for value in kept.values())
    jar = "; ".join(f"{name}={value.partition(';')[0]}" for name, value in kept.items())
    house.clock.move(25 * 3600)
    async with house.client.open("GET", "/api/auth/session", headers={"cookie": jar}) as exchange:
        await exchange.started()
        again = set_cookies(exchange)
    assert set(again) == {COOKIE, FORGETFUL}
    assert "Max-Age" not in again[COOKIE]
    again_here = house.client.with_headers(cookie=jar)
    remembered = await cookies(again_here, "/api/auth/sign-in/email", {**body, "rememberMe": True})
    assert f"Max-Age={LIFE}" in remembered[COOKIE]
    assert "Max-Age=0" in remembered[FORGETFUL]


@pytest.mark.parametrize("path", ["/api/auth/session", "/api/models", "/api/chats/x/workflow-runs"])
async def test_a_session_that_is_used_is_kept_and_its_cookie_set_again(house: House, ann: Person, path):
    path = path.replace("x", "550e8400-e29b-41d4-a716-446655440000")
    await ann.start()
    assert "set-cookie" not in (await ann.client.get(path)).headers
    house.clock.move(25 * 3600)
    answer = await ann.client.get(path)
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}={ann.token}; ")
    house.clock.move(6 * 24 * 3600)
    assert (await ann.client.get(path)).status == 200


async def test_over_tls_the_cookie_is_secure_and_bound_to_its_host(house: House):
    await sign_up(house, "ann@example.com")

    async def over_tls(scope, receive, send):
        await house.app({**scope, "scheme": "https"}, receive, send)

    client = AsgiClient(over_tls)
    body = {"email": "ann@example.com", "password": PASSWORD}
    kept = await cookies(client, "/api/auth/sign-in/email", body)
    (value,) = kept.values()
    assert list(kept) == [f"__Host-{COOKIE}"]
    assert value.endswith("; Secure")
    token = value.partition(";")[0]
    secure = client.with_headers(cookie=f"__Host-{COOKIE}={token}")
    assert (await secure.get("/api/models")).status == 200
    assert (await client.with_headers(cookie=f"{COOKIE}={token}").get("/api/models")).status == 401


async def test_signing_out_ends_the_session_and_its_cookies(house: House, ann: Person):
    async with ann.client.open("POST", "/api/auth/sign-out") as exchange:
        await exchange.started()
        assert all("Max-Age=0" in value for value in set_cookies(exchange).values())
        assert json.loads(await exchange.read()) == {"success": True}
    assert (await ann.client.get("/api/auth/get-session")).json is None
    assert (await ann.client.post("/api/auth/sign-out")).json == {"success": True}


@pytest.mark.parametrize("path", ["sign-up/email", "sign-in/email", "sign-out"])
async def test_foreign_pages_sign_nobody_in_or_out(tmp_path, path):
    async with a_house(tmp_path, local_mode=False) as house:
        ann = await a_person(house)
        body = {"name": "Bob", "email": "ann@example.com", "password": PASSWORD}
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = await ann.client.post(f"/api/auth/{path}", body, headers=headers)
            check_told(answer, 403, "INVALID_ORIGIN", "Invalid origin")
            assert "set-cookie" not in answer.headers
        assert (await ann.client.get("/api/auth/session")).json["user"]["id"] == ann.id


@pytest.mark.parametrize("url", ["/chat", "/", "http://localhost:3000/chat"])
async def test_where_to_go_next_is_told_back(house: House, url):
    await sign_up(house, "ann@example.com")
    answer = await sign_in(house, "ann@example.com", callbackURL=url)
    assert (answer.json["redirect"], answer.json["url"]) == (True, url)


@pytest.mark.parametrize(
    "url", ["https://evil.example", "//evil.example", "/\\evil", "javascript:x", "/a\nb"]
)
async def test_no_page_is_sent_to_strangers(house: House, url):
    await sign_up(house, "ann@example.com")
    answer = await sign_in(house, "ann@example.com", callbackURL=url)
    check_told(answer, 403, "INVALID_CALLBACKURL", "Invalid callbackURL")
    assert "set-cookie" not in answer.headers


async def test_the_session_tells_where_it_came_from(house: House):
    await sign_up(house, "ann@example.com")
    client = house.client.with_headers(user_agent="Browser/1")
    body = {"email": "ann@example.com", "password": PASSWORD}
    token = (await client.post("/api/auth/sign-in/email", body)).json["token"]
    shown = (await client.with_headers(cookie=f"{COOKIE}={token}").get("/api/auth/get-session")).json
    assert shown["session"]["token"] == token
    assert (shown["session"]["ipAddress"], shown["session"]["userAgent"]) == ("127.0.0.1", "Browser/1")


async def test_a_server_without_accounts_has_no_such_api(house: House):
    services = type(house.services)(
        house.core, house.authenticator, house.closing, house.services.check_address, Options()
    )
    with pytest.raises(ValueError, match="accounts"):
        build_hardwire(services)
    assert isinstance(build_hardwire(house.services), Dialect)
    assert isinstance(house.accounts, Accounts)


@pytest.mark.parametrize("path", ["/api/auth/sign-up/email", "/api/auth/sign-in/email"])
async def test_a_stranger_cannot_have_a_large_body_read(house: House, path: str):
    """It would take the loop seconds, and nobody has said yet who asks."""
    body = json.dumps(
        {"email": "ann@example.com", "password": PASSWORD, "name": "Ann", "more": ["x"] * 40_000}
    )
    answer = await house.client.request("POST", path, body=body.encode())
    assert answer.status == 413, answer.text
    assert list(answer.json) == ["code", "message"]

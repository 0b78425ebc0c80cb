"""`runwell users`: accounts in the database of this machine."""

import asyncio
import io
import sys
from pathlib import Path

import click
import pytest

from runwell import config
from runwell.auth.sessions import Accounts, SignIn
from runwell.cli import users as module
from runwell.domain.errors import Unauthenticated
from runwell.wiring import SystemClock, open_store
from tests.cli.running import Ran, runwell

RIGHT = "correct horse"


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "runwell.db")


def create(db: str, email: str = "Ada@example.com", *args: str, stdin: str = RIGHT + "\n") -> Ran:
    return runwell("users", "create", email, *args, "--db", db, stdin=stdin)


def sign_in(db: str, email: str = "ada@example.com", password: str = RIGHT) -> SignIn:
    async def work() -> SignIn:
        async with open_store(config.read({"db": db}, environ={})) as store:
            return await Accounts(store, SystemClock(), signup_open=False).sign_in(email, password)

    return asyncio.run(work())


def known(db: str, token: str) -> bool:
    async def work() -> bool:
        async with open_store(config.read({"db": db}, environ={})) as store:
            return await Accounts(store, SystemClock(), signup_open=False).find(token) is not None

    return asyncio.run(work())


def test_an_account_from_birth_to_death(db: str) -> None:
    made = create(db, "Ada@example.com", "--name", "Ada Lovelace")
    id = made.out.split()[0]
    assert (made.code, made.out) == (0, f"{id} (Ada@example.com) can sign in\n")
    assert RIGHT not in made.out + made.err
    new = sign_in(db)
    assert known(db, new.token)

    root = create(db, "root@example.com", "--admin", "--json").json
    assert (root["name"], root["admin"], root["owner"]) == ("root", True, root["id"].replace("_", ":"))
    listed = runwell("users", "list", "--db", db)
    assert [row.split()[:3] for row in listed.out.splitlines()[1:]] == [
        [root["id"], "root@example.com", "root"],
        [id, "Ada@example.com", "Ada"],
    ]

    assert runwell("users", "disable", "ADA@example.com", "--db", db).out.endswith("is disabled\n")
    assert not known(db, new.token)
    with pytest.raises(Unauthenticated):
        sign_in(db)
    shown = runwell("users", "list", "--json", "--db", db).json["users"]
    assert [user["disabled_at"] is not None for user in shown] == [False, True]
    assert "disabled 20" in runwell("users", "list", "--db", db).out

    assert runwell("users", "enable", id, "--db", db).code == 0
    assert sign_in(db).user.name == "Ada Lovelace"


def test_a_new_password_signs_out_who_had_the_old_one(db: str) -> None:
    create(db)
    old = sign_in(db)
    changed = runwell("users", "password", "ada@example.com", "--db", db, stdin="another password\n")
    assert changed.code == 0
    assert "another password" not in changed.out + changed.err
    assert not known(db, old.token)
    with pytest.raises(Unauthenticated):
        sign_in(db)
    assert sign_in(db, password="another password").token


def test_somebody_can_be_signed_out_everywhere(db: str) -> None:
    create(db)
    tokens = [sign_in(db).token, sign_in(db).token]
    assert runwell("users", "sign-out", "ada@example.com", "--db", db).out == "2 sessions ended\n"
    assert [known(db, token) for token in tokens] == [False, False]
    sign_in(db)
    assert runwell("users", "sign-out", "ada@example.com", "--db", db).out == "1 session ended\n"


def test_the_password_is_one_line_of_standard_input_as_it_is(db: str) -> None:
    create(db, stdin="  spaces count  \r\nsecond line\n")
    assert sign_in(db, password="  spaces count  ").token
    create(db, "bob@example.com", stdin="without an end")
    assert sign_in(db, "bob@example.com", "without an end").token


def test_on_a_terminal_the_password_is_asked_for_twice_unseen(db: str, monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: dict[str, object] = {}

    def prompt(text: str, **how: object) -> str:
        asked.update(how)
        return RIGHT

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(click, "prompt", prompt)
    assert module._password() == RIGHT
    assert asked == {"hide_input": True, "confirmation_prompt": True, "err": True}


@pytest.mark.parametrize(
    ("args", "stdin", "code", "sentence"),
    [
        (["create", "nonsense"], RIGHT, 2, "$.email: must be an address"),
        (["create", "ada@example.com"], RIGHT, 1, "There is a user with the address ada@example.com already"),
        (["create", "b@x.org"], "", 2, "no password came on standard input"),
        (["create", "b@x.org"], "short\n", 2, "$.password: must have at least 8 characters"),
        (["create", "b@x.org", "--name", " "], RIGHT, 2, "$.name: must have 1 to 200 characters"),
        (["disable", "nobody@x.org"], "", 1, "There is no user nobody@x.org"),
        (["disable", "nonsense"], "", 2, "'nonsense' is not an id"),
        (["enable", "user_" + "0" * 12 + "4" + "0" * 3 + "8" + "0" * 15], "", 1, "There is no user user_0"),
        (["password", "nobody@x.org"], RIGHT, 1, "There is no user nobody@x.org"),
        (["sign-out", "a@b@c"], "", 2, "$.email: must be an address"),
    ],
)
def test_what_is_wrong_is_said(db: str, args: list[str], stdin: str, code: int, sentence: str) -> None:
    create(db)
    ran = runwell("users", *args, "--db", db, stdin=stdin)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.splitlines()[0].startswith(f"error: {sentence}")


def test_looking_makes_no_database(db: str) -> None:
    for args in (["list"], ["disable", "a@b.c"], ["enable", "a@b.c"], ["sign-out", "a@b.c"]):
        ran = runwell("users", *args, "--db", db)
        assert (ran.code, ran.err.splitlines()[0]) == (1, f"error: there is no database {db}")
    assert runwell("users", "password", "a@b.c", "--db", db, stdin=RIGHT).code == 1
    assert not Path(db).exists()


def test_an_empty_list_says_so(db: str) -> None:
    runwell("keys", "create", "k", "--db", db)
    ran = runwell("users", "list", "--db", db)
    assert (ran.code, ran.out, ran.err) == (0, "", "no users\n")
    assert runwell("users", "list", "--json", "--db", db).json == {"users": []}

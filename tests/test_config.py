"""Settings: which source wins, and what is said about a bad one."""

import traceback
from pathlib import Path

import pytest

from runwell import config
from runwell.config import BadSetting, Settings
from runwell.domain.prices import Price
from tests.house.source import ROOT


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "runwell.toml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def refusal(flags: dict[str, object] | None = None, **environ: str) -> BadSetting:
    with pytest.raises(BadSetting) as caught:
        config.read(flags, environ=environ)
    return caught.value


def test_defaults() -> None:
    settings = config.read(environ={})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.db, settings.concurrency) == (
        "127.0.0.1",
        8005,
        "runwell.db",
        100,
    )
    assert (settings.grace, settings.max_output, settings.keep_idempotency) == (5.0, 16 * 2**20, 172800.0)


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default() -> None:
    write("port = 1\nconcurrency = 2\ngrace = 3\n")
    settings = config.read(
        {"port": 30, "host": None, "load": ()}, environ={"RUNWELL_PORT": "20", "RUNWELL_CONCURRENCY": "21"}
    )
    assert (settings.port, settings.concurrency, settings.grace, settings.host) == (30, 21, 3.0, "127.0.0.1")


def test_reads_quantities_with_and_without_units() -> None:
    write('keep_idempotency = "7d"\ngrace = 2\nmax_output = "1.5MiB"\nmax_body = 2048\n')
    settings = config.read(environ={"RUNWELL_GRACE": "500ms"})
    assert (settings.keep_idempotency, settings.grace) == (7 * 86400.0, 0.5)
    assert (settings.max_output, settings.max_body) == (3 * 2**19, 2048)


def test_lists_come_from_everywhere() -> None:
    write('origins = ["https://a.example"]\n')
    assert config.read(environ={}).origins == ("https://a.example",)
    settings = config.read({"load": ("a.py", "b:c")}, environ={"RUNWELL_ORIGINS": "https://b, https://c,"})
    assert settings.origins == ("https://b", "https://c")
    assert settings.load == ("a.py", "b:c")


def test_agents_are_passed_on_as_they_are() -> None:
    write('load = ["x.py"]\n[agents.helper]\nmodel = "m"\nextra = [1, {a = 2}]\n')
    settings = config.read(environ={})
    assert settings.agents == {"helper": {"model": "m", "extra": [1, {"a": 2}]}}
    assert settings.load == ("x.py",)


def test_prices_are_read_from_the_file() -> None:
    write('[prices."gpt-5*"]\ninput = 1.25\noutput = 10\n[prices]\n"*" = {input = 0, output = 0}\n')
    assert config.read(environ={}).prices == {
        "gpt-5*": Price(input=1.25, output=10.0),
        "*": Price(input=0.0, output=0.0),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'port = 1\n\n[prices."gpt-5*"]\ninput = 1\noutputs = 2\n',
            "prices.gpt-5*: Object contains unknown field `outputs` (runwell.toml, line 3)",
        ),
        (
            "[prices.a]\ninput = 1\noutput = 1\n[prices.ab]\ninput = 1\n",
            "prices.ab: Object missing required field `output` (runwell.toml, line 4)",
        ),
        (
            '[prices]\n"m" = {input = 1, output = -2}\n',
            "prices.m: output: Expected `float` >= 0.0 (runwell.toml, line 1)",
        ),
        (
            "[prices]\ninput = 1\n",
            "prices.input: Expected `object`, got `int` (runwell.toml, line 1)",
        ),
        (
            "[prices.gpt-5.1]\ninput = 1\noutput = 1\n",
            "prices.gpt-5: Object contains unknown field `1` (runwell.toml, line 1)",
        ),
        (
            '[prices."a*b"]\ninput = 1\noutput = 1\n',
            "prices.a*b: 'a*b' is no model's name: a * stands only at the end (runwell.toml, line 1)",
        ),
    ],
)
def test_a_bad_price_names_its_model_its_line_and_what_to_write(text: str, message: str) -> None:
    write(text)
    error = refusal()
    assert error.message == message
    assert '[prices."MODEL"]' in error.hint


def test_prices_are_not_set_by_a_variable() -> None:
    assert refusal(RUNWELL_PRICES="x").message == "unknown setting RUNWELL_PRICES (the environment)"


def test_the_file_may_be_named() -> None:
    write("port = 7\n", "other.toml")
    assert config.read(config="other.toml", environ={}).port == 7
    assert config.read(environ={"RUNWELL_CONFIG": "other.toml"}).port == 7
    with pytest.raises(BadSetting, match=r"there is no file gone\.toml"):
        config.read(config="gone.toml", environ={})


def test_a_misspelt_key_is_named_with_its_line_and_its_likeness() -> None:
    write("# first\nport = 1\n\nconcurency = 2\n")
    error = refusal()
    assert error.message == "unknown setting concurency (runwell.toml, line 4)"
    assert error.hint == "Did you mean concurrency?"


def test_a_misspelt_variable_is_named_too() -> None:
    error = refusal(RUNWELL_PROT="1")
    assert error.message == "unknown setting RUNWELL_PROT (the environment)"
    assert error.hint == "Did you mean RUNWELL_PORT?"
    assert "There are: RUNWELL_HOST" in refusal(RUNWELL_QQQQ="1").hint


def test_variables_of_others_are_left_alone() -> None:
    environ = {
        "RUNWELL_URL": "http://x", "RUNWELL_KEY": "k", "HOME": "/",
        # A pod beside a Kubernetes service of this name:
        "RUNWELL_SERVICE_HOST": "10.0.0.1", "RUNWELL_PORT_8005_TCP": "tcp://10.0.0.1:8005", "RUNWELL_PORT": "tcp://x",
    }  # fmt: skip
    assert config.read(environ=environ) == Settings()


@pytest.mark.parametrize(
    ("file", "environ", "flags", "parts"),
    [
        ("port = 70000\n", {}, {}, ["port: ", "65535", "runwell.toml, line 1"]),
        ('port = "80"\n', {}, {}, ["port: Expected `int`, got `str`", "runwell.toml, line 1"]),
        ("", {"RUNWELL_PORT": "many"}, {}, ["port: ", "RUNWELL_PORT"]),
        ("", {"RUNWELL_GRACE": "-1"}, {}, ["grace: expected a number of seconds", "ms, s, m, h, d"]),
        ("", {"RUNWELL_MAX_BODY": "9 cm"}, {}, ["max_body: expected a number of bytes", "RUNWELL_MAX_BODY"]),
        ("grace = -1\n", {}, {}, ["grace: Expected `float` >= 0"]),
        ("", {}, {"durability": "half"}, ["durability: ", "half", "--durability"]),
        ("load = 1\n", {}, {}, ["load: Expected `array`, got `int`"]),
        ("port = \n", {}, {}, ["runwell.toml is no TOML", "line 1"]),
        ('agents = ["a.py"]\n', {}, {}, ["agents: Expected `object`, got `array`", "line 1"]),
        ("prices = 3\n", {}, {}, ["prices: Expected `object`, got `int`", "line 1"]),
        ("[agents]\nhelper = 1\n", {}, {}, ["agents: Expected `object`, got `int`", "line 1"]),
        ("", {}, {"db": "postgresql+asyncpg://u@h/d"}, ["of the kind postgresql+asyncpg"]),
        ("", {}, {"db": "mysql://u@h/d"}, ["of the kind mysql"]),
        ("", {}, {"db": "postgresql://u@h:many/d"}, ["db is no address", "port"]),
        ("", {}, {"worker": False}, ["worker is off", "SQLite file"]),
        ("", {"RUNWELL_LAPSE": "1s"}, {}, ["lapse: Expected `float` >= 2"]),
    ],
)  # fmt: skip
def test_a_bad_value_says_what_where_and_why(
    file: str, environ: dict[str, str], flags: dict[str, object], parts: list[str]
) -> None:
    if file:
        write(file)
    error = refusal(flags, **environ)
    missing = [part for part in parts if part not in error.message]
    assert not missing, error.message
    assert error.message
    assert error.hint or "TOML" in error.message


@pytest.mark.parametrize("rest", ["secret/x@h/d", "secret#@h/d", "\u2100secret@h/d", "[secret@h/d"])
def test_an_address_that_cannot_be_understood_is_not_quoted(rest: str) -> None:
    error = refusal({"db": f"postgresql://u:{rest}"})
    assert "secret" not in "".join(traceback.format_exception(error))


def test_agents_as_a_list_says_what_to_write_instead() -> None:
    write('agents = ["a.py"]\n')
    assert '`load = ["file.py"]`' in refusal().hint


def test_the_database_is_a_path_or_an_address_of_one() -> None:
    assert Settings(db="a/b.db").path == Path("a/b.db")
    assert Settings(db="sqlite:///a.db").path == Path("a.db")
    assert Settings(db="sqlite:////var/a.db").path == Path("/var/a.db")
    assert Settings(db="~/a.db").path == Path.home() / "a.db"


def test_the_page_is_fresh() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    assert page == config.reference(), "python -m runwell.config > docs/reference/settings.md"


def test_the_example_on_the_page_works() -> None:
    write(config.reference().partition("```toml\n")[2].partition("```")[0])
    settings = config.read(environ={})
    assert settings.keep_idempotency == 7 * 86400
    assert settings.agents["helper"]["model"] == "openai:gpt-5"
    assert settings.prices["gpt-5*"].output == 10


def test_a_log_is_kept_no_longer_than_its_run() -> None:
    error = refusal({"keep_runs": "1d", "keep_events": "36h"})
    assert "keep_events (129600 s) is longer than keep_runs (86400 s)" in error.message
    assert "Make keep_runs longer" in error.hint
    for kept in ({"keep_runs": "1d"}, {"keep_events": "1d"}, {"keep_runs": "1d", "keep_events": "24h"}):
        assert config.read(kept, environ={})


def test_a_postgresql_database_is_told_without_its_password() -> None:
    settings = config.read({"db": "postgresql://ada:secret@db.example:5433/runs?sslmode=require"}, environ={})
    assert settings.postgres == settings.db
    assert settings.database == "postgresql://ada@db.example:5433/runs"
    assert config.read({"db": "runs.db"}, environ={}).postgres is None

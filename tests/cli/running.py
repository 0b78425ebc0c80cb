"""Runs the command in this process, as a user would type it."""

import json
import os
from typing import Any, NamedTuple

from click.testing import CliRunner

from runwell.cli.main import cli


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def runwell(*args: str, stdin: str = "", **environ: str) -> Ran:
    tests_own = {name: None for name in os.environ if name.startswith("RUNWELL_TEST_")}
    env = {**tests_own, "RUNWELL_URL": None, "RUNWELL_KEY": None, "RUNWELL_DB": None, **environ}
    result = CliRunner().invoke(cli, args, input=stdin, env=env, prog_name="runwell")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)

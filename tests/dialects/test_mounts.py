"""All dialects of the catalogue side by side: whose a path is, and how each refuses."""

import inspect
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from runwell.dialects.dialect import Dialect
from runwell.domain import errors
from runwell.domain.errors import RunwellError
from tests.dialects.native.test_problems import ERRORS, MADE
from tests.support.house import House

LITERAL_WINS: frozenset[tuple[str, str, str]] = frozenset(
    {("POST", "/v1/agents/run/{agentId}", "/v1/agents/{agent_id}/messages")}
)
"""(method, template that wins, template of another dialect that it hides in part): a literal segment
there that the other would read as a parameter, which no client of the other ever sends."""


def _dialects(house: House) -> dict[str, Dialect]:
    """By name, in the order of the catalogue."""
    return {
        mount.dialect.name: mount.dialect
        for place in house.app.paths.places
        for mount in (place.owner, *place.methods.values())
    }


def _at_the_root(house: House) -> Iterator[tuple[str, str, str]]:
    """(dialect, method, template) of every route of every root mount."""
    for place in house.app.paths.places:
        for method, mount in place.methods.items():
            if not mount.prefix:
                yield mount.dialect.name, method, place.template


def _wild(template: str) -> str:
    return re.sub(r"\{[^{}]*\}", "{}", template)


def _meet(one: str, other: str) -> bool:
    """Whether some path fits both."""
    left, right = one.split("/"), other.split("/")
    if len(left) != len(right):
        return False
    return all(a == b or (a and b and "{" in a + b) for a, b in zip(left, right, strict=True))


def _fits(error: type[RunwellError]) -> RunwellError:
    words = ("a sentence", "a hint")[: len(inspect.signature(error).parameters)]
    given: tuple[Any, ...] = MADE.get(error, words)
    return error(*given)


async def test_no_two_dialects_claim_one_method_and_template(house: House) -> None:
    claims = defaultdict(set)
    for name, method, template in _at_the_root(house):
        claims[method, _wild(template)].add(name)
    assert claims
    assert {claim: names for claim, names in claims.items() if len(names) > 1} == {}


async def test_where_a_literal_hides_anothers_parameter_is_known(house: House) -> None:
    routes = sorted(_at_the_root(house))
    hidden = {
        (method, template, other)
        for name, method, template in routes
        for other_name, other_method, other in routes
        if name != other_name and method == other_method and _meet(template, other)
        and _wins(template, other)
    }  # fmt: skip
    assert hidden == LITERAL_WINS


def _wins(template: str, other: str) -> bool:
    """A literal comes before a parameter, at the first segment in which they differ so."""
    for left, right in zip(template.split("/"), other.split("/"), strict=True):
        if ("{" in left) != ("{" in right):
            return "{" not in left
    return False


async def test_every_root_route_is_found_as_its_own(house: House) -> None:
    for name, method, template in _at_the_root(house):
        path = re.sub(r"\{[^{}]*\}", "0190c3b1000040008000000000000001", template)
        place = house.app.paths.find(path.split("/"), method)
        assert place is not None, (name, method, template)
        assert place.methods[method].dialect.name == name, (name, method, template)


async def test_every_dialect_is_under_its_name_with_all_its_routes(house: House) -> None:
    everything = house.templates()
    own = {"/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/assets/{name}"}
    for name, method, template in _at_the_root(house):
        if template not in own and not template.startswith("/ui"):
            assert (f"/{name}{template}", method) in everything
    for name in _dialects(house):
        document = await house.client.get(f"/{name}/openapi.json")
        assert (document.status, document.json["openapi"][:2]) == (200, "3.")


SCOPES: tuple[dict[str, Any], ...] = tuple(
    {"type": "http", "method": method, "path": "/x", "headers": [], "query_string": b"", "root_path": ""}
    for method in ("GET", "POST")
)


@pytest.mark.parametrize("error", [each for each in ERRORS if hasattr(errors, each.__name__)])
async def test_every_error_renders_in_every_dialect(house: House, error: type[RunwellError]) -> None:
    for name, dialect in _dialects(house).items():
        for scope in SCOPES:
            reply = dialect.refuse(_fits(error), scope)
            assert 400 <= reply.status < 600, (name, error)
            assert json.loads(reply.body), (name, error)
            assert b"json" in dict(reply.headers)[b"content-type"], (name, error)


async def test_what_nobody_foresaw_is_500_without_a_word_of_it(house: House) -> None:
    for name, dialect in _dialects(house).items():
        reply = dialect.refuse(ZeroDivisionError("secret detail"), SCOPES[0])
        assert reply.status == 500, name
        assert b"secret" not in reply.body, name
        assert json.loads(reply.body), name

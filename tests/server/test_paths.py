"""The table of routes, without a server."""

import pytest
from fastapi import FastAPI

from runwell.dialects.dialect import Dialect
from runwell.dialects.exchange import Reply
from runwell.server.paths import Mount, Paths


def a_mount(name: str) -> Mount:
    return Mount(Dialect(name, FastAPI(), (), lambda error, scope: Reply(500, [])), "")


NATIVE, OTHER = a_mount("native"), a_mount("other")


@pytest.fixture
def paths() -> Paths:
    paths = Paths(NATIVE)
    for method, template, mount in (
        ("GET", "/runs", NATIVE),
        ("POST", "/runs", NATIVE),
        ("GET", "/runs/{id}", NATIVE),
        ("GET", "/runs/{id}/events", NATIVE),
        ("POST", "/api/chat/runs", OTHER),
        ("GET", "/api/chat/{chat}", OTHER),
        ("GET", "/api/{kind}/all/{id}", OTHER),
        ("GET", "/v1/runs/", OTHER),
        ("GET", "/files/{name:path}", OTHER),
    ):
        paths.add(template, method, mount)
    return paths


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/runs", "/runs"),
        ("GET", "/runs/x", "/runs/{id}"),
        ("GET", "/runs/x/events", "/runs/{id}/events"),
        ("POST", "/api/chat/runs", "/api/chat/runs"),
        # The literal has no GET, so the parameter has it.
        ("GET", "/api/chat/runs", "/api/chat/{chat}"),
        # Back from a literal that led nowhere.
        ("GET", "/api/chat/all/1", "/api/{kind}/all/{id}"),
        ("GET", "/v1/runs/", "/v1/runs/"),
        ("GET", "/files/a/b/c", "/files/{name:path}"),
        # Nobody has the method; the place still says who refuses it.
        ("PUT", "/runs/x", "/runs/{id}"),
    ],
)
def test_a_path_has_one_place(paths, method, path, template):
    place = paths.find(path.split("/"), method)
    assert place is not None
    assert place.template == template


@pytest.mark.parametrize(
    "path", ["/", "/run", "/runs/", "/runs//events", "/runs/x/y", "/v1/runs", "//runs", ""]
)
def test_a_path_without_a_place(paths, path):
    assert paths.find(path.split("/"), "GET") is None


@pytest.mark.parametrize(
    ("path", "owner"),
    [("/runs/x/y", "native"), ("/api/nothing", "other"), ("/v1", "other"), ("/x", "native")],
)
def test_a_path_without_a_place_is_refused_by_its_neighbour(paths, path, owner):
    assert paths.nearest(path.split("/")).dialect.name == owner


def test_the_parameter_is_known_by_its_place(paths):
    segments = ["", "runs", "abc", "events"]
    place = paths.find(segments, "GET")
    assert segments[place.param] == "abc"
    whole = ["", "runs"]
    assert whole[paths.find(whole, "GET").param] == ""


def test_two_mounts_may_share_a_path_but_not_a_method(paths):
    paths.add("/runs/{run}", "DELETE", OTHER)
    assert paths.find(["", "runs", "x"], "DELETE").methods["DELETE"] is OTHER
    with pytest.raises(ValueError, match="claimed by native and other"):
        paths.add("/runs/{anything}", "GET", OTHER)

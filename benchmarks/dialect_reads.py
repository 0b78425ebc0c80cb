"""How many status reads a second through each dialect, beside the native one: the same run, other words."""

from collections.abc import Callable

from benchmarks.client import request
from benchmarks.fill import fill
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.server_process import runwell
from benchmarks.status_reads import CONNECTIONS, FEW, WATCHED, Target, take_rounds
from runwell.domain.ids import parse_id, spell, spell_crockford, spell_uuid

DIALECTS: dict[str, Callable[[str], str]] = {
    "praisonai": lambda id: f"/api/v1/runs/{spell('run', id)}",
    "flowyble": lambda id: f"/v1/agents/run/{spell_uuid(id)}/status",
    "recoup": lambda id: f"/api/chat/runs/wrun_{spell_crockford(id)}",
    "letta": lambda id: f"/v1/runs/run-{spell_uuid(id)}",
}
"""The path of a run's status in each."""
ONE_CREDENTIAL = {"recoup"}
"""Who refuses two."""


async def measure(plan: Plan) -> list[Figure]:
    plan.tell(f"dialects: filling a database with {FEW:,} runs")
    database = plan.folder / "dialects.db"
    ids = [parse_id(id) for id in await fill(database, FEW, WATCHED)]
    # Flowyble's own limit would be what is measured.
    with runwell(plan.folder, database, flowyble_rate="0") as server:
        # Each reads one of the two, and all but one are asked with both.
        both = f"X-API-Key: {server.key}\r\n"

        def target(path_of: Callable[[str], str], also: str = both) -> Target:
            asked = [request("GET", path_of(id), key=server.key, extra=also) for id in ids]
            return Target(server.process, asked)

        native = target(lambda id: f"/runs/{spell('run', id)}")
        others = {
            name: target(path_of, "" if name in ONE_CREDENTIAL else both)
            for name, path_of in DIALECTS.items()
        }
        await take_rounds(plan, [native, *others.values()])
    return [
        Figure(
            name=f"reads.{name}",
            what=f"Status reads through {name}, {CONNECTIONS} connections, key checked",
            unit="/s",
            measured=other.rates,
            baseline=native.rates,
            beside="the native status read, in the same rounds",
            floor=Goal(ratio=0.9),
            note=f"{other.cost:.0f} µs of processor for each, the native one {native.cost:.0f} µs",
        )
        for name, other in others.items()
    ]

"""A second opinion: the same load from wrk, where it is installed. Nothing needs it."""

import asyncio
import re
import shutil

_RATE = re.compile(rb"Requests/sec:\s*([0-9.]+)")
_REFUSED = re.compile(rb"Non-2xx or 3xx responses: (\d+)")


def installed() -> bool:
    return shutil.which("wrk") is not None


async def rate(port: int, path: str, key: str, connections: int, seconds: int) -> float:
    """Answers per second. Raises `ValueError` when an answer was not a good one."""
    wrk = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Authorization: Bearer {key}",
        f"http://127.0.0.1:{port}{path}", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await wrk.communicate()
    found = _RATE.search(said)
    if found is None or _REFUSED.search(said):
        raise ValueError(f"wrk: {said.decode()}")
    return float(found[1])

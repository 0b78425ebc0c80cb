"""A plain function: it may block, because it runs in a thread of its own.

Serve it: runwell serve examples/sync_agent.py
"""

from pathlib import Path

from runwell import SyncContext, agent


@agent(timeout=60)
def count_words(ctx: SyncContext, folder: str, pattern: str = "*.md") -> dict[str, int]:
    """Count the words of the files in a folder."""
    counts: dict[str, int] = {}
    files = sorted(Path(folder).glob(pattern))
    for number, path in enumerate(files):
        ctx.progress(100 * number / len(files), path.name)
        counts[path.name] = len(path.read_text(errors="replace").split())
    return counts

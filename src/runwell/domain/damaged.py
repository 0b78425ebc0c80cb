"""What is there and cannot be read: a newer version's, perhaps, or a disk's fault."""

import msgspec


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """Stands for what it was to be. `what` is its kind, as ids are spelled (`schedule`, `callback`); `why` is
    what the reader said."""

    what: str
    id: str
    owner: str
    why: str

"""Which dialects there are. A new one is a folder here and a line in `DIALECTS`."""

from runwell.dialects.dialect import BuildDialect
from runwell.dialects.native.dialect import build_native

DIALECTS: tuple[BuildDialect, ...] = (build_native,)
"""The first is native: what no dialect knows is its to refuse."""

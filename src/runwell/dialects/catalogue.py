"""Which dialects there are. A new one is a folder here and a line in `DIALECTS`."""

from runwell.dialects.dialect import BuildDialect
from runwell.dialects.flowyble.dialect import build_flowyble
from runwell.dialects.hardwire.dialect import build_hardwire
from runwell.dialects.letta.dialect import build_letta
from runwell.dialects.native.dialect import build_native
from runwell.dialects.praisonai.dialect import build_praisonai
from runwell.dialects.recoup.dialect import build_recoup

DIALECTS: tuple[BuildDialect, ...] = (
    build_native, build_flowyble, build_praisonai, build_letta, build_recoup, build_hardwire,
)  # fmt: skip
"""The first is native: what no dialect knows is its to refuse."""

"""Settings: read once, at the start, and handed out as plain values.

Each comes from the first of these that names it: a flag of the command line, a `RUNWELL_*`
variable, `runwell.toml`, the default. What cannot be understood is an error that says where it was
read. `docs/reference/settings.md` is rendered from the struct (`python -m runwell.config`).
"""

from runwell.config.page import reference
from runwell.config.reading import read
from runwell.config.settings import BadSetting, Settings

__all__ = ["BadSetting", "Settings", "read", "reference"]

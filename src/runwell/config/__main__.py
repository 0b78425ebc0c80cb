"""Print the page of the settings."""

import sys

from runwell.config import reference

sys.stdout.write(reference())

"""What is searched for, as both databases' indexes of words take it."""

import re

MOST_WORDS = 20
"""Of one search; what comes after them is not looked for."""

LONGEST_WORD = 200
"""Characters; of a longer one the beginning is looked for."""

_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, in lower case: nothing that either query language would read as a sign."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(text.lower())[:MOST_WORDS]]

"""How long to wait before the next try. Policy in, seconds out."""

FIRST_DELAY = 1.0
LONGEST_DELAY = 300.0


def backoff(tries: int, chance: float) -> float:
    """Seconds before try number `tries + 1`: 1, 2, 4 … 300, shortened by up to a quarter.

    `tries` is how many have failed so far, at least 1; `chance` is a random number in 0..1, which
    keeps runs that failed together from coming back together.
    """
    full = min(FIRST_DELAY * 2.0 ** min(max(tries - 1, 0), 30), LONGEST_DELAY)
    return full * (1.0 - 0.25 * chance)

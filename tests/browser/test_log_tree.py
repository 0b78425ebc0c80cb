"""How the page puts a long log together: its own module, under Node."""

from tests.dialects.recoup import node

SHAPE = """\
queue queue 0
attempt 1
  step outer 1 0
    step inner 1 0
    call call 1 0
  step outer 1 1
    step inner 1 1
    call call 1 1
queue queue 1
attempt 2
  step outer 2 0
    step inner 2 0
    call call 2 0
  step outer 2 1
    step inner 2 1
    call call 2 1
  step lost"""


def test_ten_thousand_events_are_put_in_order_without_looking_at_each_again_for_each() -> None:
    told = node.ask("log_tree.mjs")
    assert told["shape"] == SHAPE.splitlines()
    small, large = told["small"], told["large"]
    assert (small["rows"], large["rows"]) == (2 * 3 * 200 + 5, 2 * 3 * 1_600 + 5)
    assert large["reads"] < 10 * small["reads"], (
        "eight times as long a log, and more than eight times the work"
    )

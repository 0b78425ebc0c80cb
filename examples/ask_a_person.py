"""An agent that asks a person and waits, for days if need be, without occupying a worker.

Serve it: runwell serve examples/ask_a_person.py
"""

from runwell import Context, agent


@agent
async def order_lunch(ctx: Context, people: int) -> str:
    """Propose a lunch and order it when somebody agrees."""
    proposal = f"{people} pizzas"
    answer = await ctx.ask(f"Order {proposal}?", schema={"type": "boolean"})
    if not answer:
        return "Nothing was ordered."
    number = await ctx.step("order", place_order, proposal)
    return f"Ordered {proposal}, number {number}."


def place_order(what: str) -> int:
    """Stands for a call that must not happen twice: a step is done once, whatever crashes."""
    return sum(map(ord, what))

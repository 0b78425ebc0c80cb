"""What can be wrong with a function that wants to be an agent."""


class UnusableFunction(TypeError):
    """The function cannot be an agent as it is written; the message says where and what to change."""


class InvalidOutput(TypeError):
    """A generator agent yielded something that is no text."""

    def __init__(self, agent: str, value: object) -> None:
        super().__init__(
            f"agent {agent!r} yielded {type(value).__name__}: yield str pieces of text; "
            "return a value for the run's output, or use ctx.message(...) for anything else"
        )

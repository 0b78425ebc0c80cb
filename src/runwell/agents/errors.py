"""What can go wrong before an agent runs."""

from runwell.domain.errors import Invalid


class CannotLoad(Invalid):
    """Agents cannot be served as asked; the message is the cause, the hint the next step."""

    code = "cannot_load_agents"

"""What every verb works with."""

from dataclasses import dataclass, field

from runwell.domain.agent import AgentSpec
from runwell.engine.counted import Counted
from runwell.engine.models import Models
from runwell.engine.queue_limit import QueueLimit
from runwell.ports.agent import AgentCatalog
from runwell.ports.clock import Clock
from runwell.ports.signals import Signals
from runwell.ports.store import Store


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for."""

    longest_timeout: float = 30 * 86_400.0
    """Seconds; the longest `timeout` and `expires_in`."""
    most_attempts: int = 100
    grace: float = 5.0
    """Seconds that a cancelled agent has to let go, for those who are told so."""
    model_keys: frozenset[str] = frozenset()
    """Environment variables that agents made through an API may name as their model's key."""


@dataclass(frozen=True, slots=True)
class Core:
    """The rooms a verb needs. `catalog` is None in a process that runs no agents itself."""

    store: Store
    signals: Signals
    clock: Clock
    catalog: AgentCatalog | None = None
    limits: Limits = field(default_factory=Limits)
    models: Models = field(default_factory=Models)
    queue: QueueLimit = field(default_factory=QueueLimit)
    counted: Counted = field(default_factory=Counted)

    @property
    def default_agent(self) -> AgentSpec | None:
        """The first agent served: it answers where a request names none."""
        specs = self.catalog.specs if self.catalog is not None else []
        return specs[0] if specs else None

"""Puts one process together. The only room that knows every other.

grounds.py ... what a machine stands on: one SQLite file, or a PostgreSQL database shared with others
machine.py ... a store with a worker over it
upkeep.py .... the small services beside it, and how often each has its turn
serving.py ... `runwell serve` and `runwell work`
operating.py . what `runwell migrate` and `runwell copy` need
orphans.py ... what the auditor asks of a fleet's queue
stores.py .... the store alone, for commands that look after a database
"""

from runwell.wiring.grounds import SystemClock
from runwell.wiring.machine import Machine, agents_of, machine
from runwell.wiring.serving import NoKeys, serve, work
from runwell.wiring.stores import audit_all, damaged, open_store

__all__ = [
    "Machine", "NoKeys", "SystemClock", "agents_of", "audit_all", "damaged", "machine", "open_store", "serve",
    "work",
]  # fmt: skip

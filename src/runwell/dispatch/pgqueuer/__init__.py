"""The dispatcher of a fleet: PgQueuer, a task queue on the database that the runs are in.

names.py ........ what PgQueuer's tables and our entrypoints are called
schema.py ....... its tables: made, and brought up to date
jobs.py ......... a job is an attempt that waits; put in with the commit that makes it due
driver.py ....... how PgQueuer reaches the database: over the store's connections
queue.py ........ what PgQueuer asks of the database, in the ways in which we differ
dispatcher.py ... keeps one process at work
repair.py ....... where its table and that of the runs disagree

The job table says who is trying a run, the run's row says what is true. A job is named after a run and the
attempt it waits for, so whoever is given one can tell at a glance of the row whether it is to be claimed,
was claimed by somebody who is gone, or has passed.
"""

from runwell.dispatch.pgqueuer.dispatcher import PgQueuerDispatcher
from runwell.dispatch.pgqueuer.jobs import Enlisting

__all__ = ["Enlisting", "PgQueuerDispatcher"]

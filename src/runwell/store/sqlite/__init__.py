"""The store on one SQLite file: one writer thread with group commit, readers on the event loops.

database.py ....... opens the file, its lock and its connections; makes stores
connections.py .... pragmas, each with its reason
migrations.py ..... brings the schema up to date; upgrading.py: when it may
writer.py ......... the writer thread: takes what is queued, commits it together, tells everybody
transaction.py .... what one such commit knows while it is being made
adding.py ......... a new run            committing.py .. a change of a run
rows.py ........... statements of runs, and what is SQLite's alone in rows
export.py ......... all that is in a file, for moving it
queue.py .......... who may start, and who goes before whom
runs.py events.py steps.py threads.py keys.py agents.py store.py ... `ports.store`
"""

from runwell.store.sqlite.database import Database

__all__ = ["Database"]

"""The store on PostgreSQL, for any number of processes on any number of machines.

database.py ....... opens the database, brings its schema up to date; makes stores
connections.py .... how connections are opened, every setting with its reason
migrations.py ..... the numbered scripts, under an advisory lock; late_indexes.py: beside commits
pool.py ........... reading; transactions, and what became of one whose COMMIT got no answer
desk.py turns.py .. writing: in turn for one run or thread, then telling everybody
lanes.py .......... what comes at once goes together: grouping.py writes, gathering.py questions
together.py ....... new runs and changes that share a transaction
signals.py ........ LISTEN/NOTIFY, one connection per process
adding.py ......... a new run            committing.py .. a change of a run
offers.py ......... who may start because of a change: the seam to a queue on the same database
rows.py ........... statements of runs, and names of what `store.rows` makes of them
queue.py .......... who may start, and who goes before whom
runs.py events.py steps.py threads.py keys.py agents.py store.py ... `ports.store`
apart.py condition.py export.py ... for whoever looks after a database: no store is opened

Everything is READ COMMITTED. Whoever writes takes locks in one order, so that nobody waits in a circle:
the idempotency key, then threads by id, then runs, and last the concurrency keys. Transactions of
together.py hold many runs, and wait for none of them.
"""

from runwell.store.postgres.database import Database

__all__ = ["Database"]

"""The stores behind `ports.store`, one package per database, and the signals of one process.

Migrations are in `migrations/<backend>/`, by number, never edited after a release.

rows.py ........ rows to values and back, the same for both
scripts.py ..... the numbered scripts, and what a database has had of them
upgrading.py ... what a database lacks, and bringing it up to date
copying.py ..... moving all that is in one into an empty PostgreSQL; batches.py: rows on their way
"""

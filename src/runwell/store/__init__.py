"""The stores behind `ports.store`, one package per database, and the signals of one process.

Migrations are in `migrations/<backend>/`, by number, never edited after a release.
"""

"""The bundled agent: summarises a document by picking its most central sentences. Offline, no key."""

from runwell.agents.summarize.agent import Document, Summary, summarize

__all__ = ["Document", "Summary", "summarize"]

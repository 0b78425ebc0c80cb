"""Watching runs: replay, then tail; long-poll; server-sent events. There is no other live path."""

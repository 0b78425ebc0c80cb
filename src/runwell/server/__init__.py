"""The ASGI app: a small front, the dialects behind it, health, metrics, the documentation page."""

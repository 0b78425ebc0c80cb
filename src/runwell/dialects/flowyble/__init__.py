"""The Flowyble API: start an agent or a tool, poll it, read what it did; and webhooks that start runs."""

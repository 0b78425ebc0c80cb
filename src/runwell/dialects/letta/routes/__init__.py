"""The endpoints, one module per kind of thing. Each parses, calls a verb and renders."""

"""The native routes, one file per thing. Each is parse, verb, render; decisions are the core's."""

"""The endpoints, by what they are about. Each is parse, verb, render; decisions are the core's."""

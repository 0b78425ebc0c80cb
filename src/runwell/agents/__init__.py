"""Agents: one folder per framework, each turns what its agents do into calls on a `Context`.

`loader` finds agents in the user's files, `catalogue` holds those that this process serves. Frameworks
are optional extras: their folders are imported when an agent of theirs is first met.
"""

"""Agents made of steps: who does them, in which order, with what input.

`domain.workflow` knows the order; here it is run. Each step is a durable step of the run, of the kind
`workflow`; what its agent does is within it. Written in Python (`code`), in runwell.toml (`table`), or
frozen on a run that came through an API.
"""

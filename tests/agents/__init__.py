"""Tests of the agents room: every kind of function, the loader, the scripted model, the adapters."""

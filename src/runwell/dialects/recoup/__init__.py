"""Recoup: headless and interactive chat runs, watched as the AI SDK's UI message stream."""

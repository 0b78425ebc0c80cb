"""Letta's runs API over Runwell: agents, their messages, runs, streams, steps and conversations."""

"""Runwell's own API. The README beside this file lists its endpoints."""

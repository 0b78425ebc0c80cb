"""The dashboard under /ui/: its pages, what they are made of, and signing in to them.

The pages are a client of the native API like any other: what they show and do goes through its public
routes. Python here only serves the shell, its files, the first rows and the sign-in.
"""

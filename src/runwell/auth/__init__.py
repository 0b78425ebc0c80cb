"""Who is calling, and what they may do: keys, scopes, and the local mode without keys."""

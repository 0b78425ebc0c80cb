"""What a fleet on PostgreSQL can do: everything is measured with the server on the same machine."""

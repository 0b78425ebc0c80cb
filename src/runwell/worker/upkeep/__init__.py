"""Small services beside the attempts: rescue, expiry, forgetting."""

"""Small services beside the attempts: rescue, expiry, retention, forgetting, firing."""

"""Who runs what when: `local`, for one process beside its own store; `pgqueuer`, for a fleet."""

"""What a run is: values, the transition table, event types, errors. Pure: no I/O and no async."""

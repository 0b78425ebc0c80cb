"""What the core asks of the outside: Store, Dispatcher, Signals, Agent, Clock. Protocols only."""

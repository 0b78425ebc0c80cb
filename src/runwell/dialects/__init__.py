"""One folder per HTTP API: translation only. `native` is one of them; none knows another."""

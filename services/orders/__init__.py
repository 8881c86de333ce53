"""Orders: what was bought, what it costs, and whether it is paid."""

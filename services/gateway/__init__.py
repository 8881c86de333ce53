"""The gateway: the only HTTP door."""

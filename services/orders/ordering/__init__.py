"""The order and its money."""

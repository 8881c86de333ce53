"""The readable API reference at `/docs`."""

"""Tickets of paid orders."""

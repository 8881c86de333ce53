"""The JSON API: one file per resource, each a table of `Operation`s."""

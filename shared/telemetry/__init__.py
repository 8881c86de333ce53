"""Seeing it: the ids of every log line, spans, metrics. Nothing here decides anything."""

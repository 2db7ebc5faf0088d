"""Alerts of other systems, as signals: read from what those systems send. Pure."""

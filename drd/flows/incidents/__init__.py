"""Incidents: opened, worked on and closed by entries in the chain of records."""

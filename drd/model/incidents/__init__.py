"""Incidents: what they consist of, and what follows from their entries in the records."""

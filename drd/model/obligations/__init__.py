"""Duties by law or contract to report an incident: regimes as data, and their deadlines."""

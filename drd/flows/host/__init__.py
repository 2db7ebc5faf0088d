"""This host: installation, the unit's limits, doctor, readiness."""

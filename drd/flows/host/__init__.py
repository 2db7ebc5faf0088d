"""What this host has to offer: installation, the unit's limits, doctor, readiness."""

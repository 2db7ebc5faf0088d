"""Playbooks: contain an incident, by the engine of runbooks."""

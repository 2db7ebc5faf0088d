"""The parts of a fence by name."""

FILES, SIGNALS, CALLS, NETWORK = "files", "signals", "calls", "network"
PARTS = (FILES, SIGNALS, CALLS, NETWORK)
"""Landlock's two, the filter of system calls, and the warden, who decides about what depends on
more than a call's number."""

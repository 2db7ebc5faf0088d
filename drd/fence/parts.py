"""The parts of a fence by name."""

FILES, SIGNALS, CALLS, NETWORK = "files", "signals", "calls", "network"
PARTS = (FILES, SIGNALS, CALLS, NETWORK)
"""Landlock's two parts, the filter of system calls, and the warden, which decides when a call's
number alone is not enough.
"""

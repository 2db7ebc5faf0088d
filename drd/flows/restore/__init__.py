"""Recover: choose a restore point, preflight, recovery, resume and undo."""

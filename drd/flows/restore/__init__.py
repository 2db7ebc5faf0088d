"""Bringing components back: choosing a restore point, preflight, recovery, resume and undo."""

"""Rehearse a recovery in a sandbox: the run, what fenced code may do, what the result covers."""

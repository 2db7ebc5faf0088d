"""Rehearse a recovery in a sandbox: the run in its phases, what the result covers."""

"""Rehearse a recovery in a sandbox: the phases of the run, and what the result covers."""

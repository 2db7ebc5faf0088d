"""Disasters that happened, replayed with real parts: what drd would have seen, survived,
measured."""

"""Exercises: what people say is recorded in the chain of records, and has no other effect."""

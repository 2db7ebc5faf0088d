"""Exercises: what people say becomes entries of the chain of records, and nothing else."""

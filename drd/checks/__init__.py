"""Assertions about restored data, written against the kinds' ports."""

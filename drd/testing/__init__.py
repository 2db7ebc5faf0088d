"""Test suites for authors of extensions: they check that a member of each family keeps its
promises. They are classes for pytest, which has to be installed beside drd. See docs/extending.md.
"""

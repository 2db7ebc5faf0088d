"""For who makes an extension of drd: the suites that hold each kind of member to its promises.

They are classes for pytest, which has to be installed beside drd. See docs/extending.md.
"""

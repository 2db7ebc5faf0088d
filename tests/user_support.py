"""Being somebody with fewer rights for a moment; needs root, as CI has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.warm import import_all

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="switches to another user")


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    """Rights on files as `user` has them, in the whole process."""
    import_all()  # Python may lie where `user` cannot read what is imported late
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)

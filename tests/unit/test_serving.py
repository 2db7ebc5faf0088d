"""A program that serves files of a repository to a mount, when it ends."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

from drd.repositories.restic.serving import Served


class Child:
    """Ends a moment after the first question, as a killed program whose mount is cut off."""

    def __init__(self, ends_s: float) -> None:
        self.started = time.monotonic()
        self._ends_s = ends_s

    @property
    def exit_code(self) -> int | None:
        return -9 if time.monotonic() - self.started > self._ends_s else None


@pytest.mark.parametrize(("ends_s", "found"), [(0.2, True), (600.0, False)])
def test_a_program_that_is_about_to_end_is_waited_for(ends_s: float, found: bool) -> None:
    runner: Any = SimpleNamespace(url="/srv/r")
    child: Any = Child(ends_s)
    said = os.memfd_create("said")
    served = Served(runner, child, said)
    assert served.why_ended() is None
    why = served.why_ended(5.0 if found else 0.1)
    os.close(said)
    assert (why is not None) == found
    if why is not None:
        assert "restic was killed" in why.message

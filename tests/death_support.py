"""A process that dies between two effects on the file system."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Died(BaseException):
    """Not an Exception: nothing of drd may catch it and tidy up, as nothing does after SIGKILL."""


class DiesBefore:
    """Dies just before the n-th rename, removal or change of mode or owner, counted from one."""

    def __init__(self, effect: int) -> None:
        self.effect = effect
        self.seen = 0

    def count(self) -> None:
        self.seen += 1
        if self.seen == self.effect:
            raise Died(self.effect)

    @contextmanager
    def active(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in (
                (Path, "rename"),
                (Path, "unlink"),
                (Path, "chmod"),
                (Path, "rmdir"),
                (shutil, "rmtree"),
                (os, "chown"),
            ):
                patch.setattr(owner, name, self._counted(getattr(owner, name)))
            yield

    def _counted(self, real: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count()
            return real(*args, **kwargs)

        return counted


def every_death(limit: int = 60) -> Iterator[DiesBefore]:
    """One for each effect; stops after the first that was survived. Fails when none was met."""
    for effect in range(1, limit):
        death = DiesBefore(effect)
        yield death
        if death.seen < effect:
            assert effect > 1, "nothing died: the test looks at nothing"
            return
    raise AssertionError(f"more than {limit} effects")

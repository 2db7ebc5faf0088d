"""Open a resource once for several questions, if it takes long to open: for example, a server on a
restored directory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Held(Generic[_T]):
    """A resource that the first question opens. Inside a block of `kept`, the resource stays open
    for the next questions, and is closed at the end of the block; without such a block, it is
    closed after each question. After an error, the resource is closed as soon as no question uses
    it, and the next question opens it again. Several threads can use it."""

    def __init__(self, opened: Callable[[], AbstractContextManager[_T]]) -> None:
        self._opened = opened
        self._lock = threading.RLock()
        self._users = self._keepers = 0
        self._open: ExitStack | None = None
        self._value: list[_T] = []

    @contextmanager
    def __call__(self) -> Iterator[_T]:
        """Use the resource for one question, and open it if it is closed."""
        with self._lock:
            if self._open is None:
                stack = ExitStack()
                self._value = [stack.enter_context(self._opened())]
                self._open = stack
            self._users += 1
        failed = True
        try:
            yield self._value[0]
            failed = False
        finally:
            with self._lock:
                self._users -= 1
                self._close(always=failed)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Let the resource stay open until the end of the block after a question has opened it."""
        with self._lock:
            self._keepers += 1
        try:
            yield
        finally:
            with self._lock:
                self._keepers -= 1
                self._close()

    def _close(self, *, always: bool = False) -> None:
        if self._open is not None and not self._users and (always or not self._keepers):
            stack, self._open = self._open, None
            self._value = []
            stack.close()

"""How the work of a function grows with its input, counted and not timed: a busy machine counts the
same."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls(work: Callable[[], object]) -> int:
    """The calls of functions, methods and generators that `work` makes in this thread, those of
    built-in ones included. The garbage collector rests: it would end objects of other tests.
    """
    count = 0

    def called(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    gc.collect()
    gc.disable()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count

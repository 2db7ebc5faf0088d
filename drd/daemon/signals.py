"""The signals that the daemon handles."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType


@dataclass
class SignalRequests:
    """The requests that signals have made."""

    stop: str = ""
    reload: bool = False


class SignalHandlers:
    """Signal handlers while the body runs."""

    _NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def __init__(self, handler: Callable[[int], None]) -> None:
        self._handler = handler
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        def handle(number: int, _: FrameType | None) -> None:
            self._handler(number)

        for number in self._NUMBERS:
            self._before[number] = signal.signal(number, handle)

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

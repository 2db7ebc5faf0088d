"""A request that was admitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from drd.api.caller import Caller
from drd.api.requests import Request
from drd.api.values import Document
from drd.bootstrap import App

R = TypeVar("R", bound=Request)


@dataclass(frozen=True, slots=True)
class AdmittedRequest:
    """One admitted request: `names` are the names in its path. `wake` makes the daemon's loop
    handle what was left for it. The connection is cut at `ends_at`, on the monotonic clock.
    """

    app: App
    caller: Caller
    names: Mapping[str, str]
    body: Request
    wake: Callable[[], None]
    ends_at: float

    def of(self, kind: type[R]) -> R:
        assert isinstance(self.body, kind)
        return self.body


AnswerFunction = Callable[[AdmittedRequest], Document]

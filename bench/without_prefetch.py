"""drd without its prefetch, for a recovery that is measured against one with it."""

from __future__ import annotations

from drd.__main__ import start
from drd.flows.components.prefetch import Prefetch

if __name__ == "__main__":
    setattr(Prefetch, "begin", lambda *_: None)  # noqa: B010  # mypy refuses the assignment
    start()

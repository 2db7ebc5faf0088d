"""What a component may use of the network and of the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limits:
    """What restic, and the program whose output it stores, may use for a component. Rates are in
    bytes per second. `ionice` is `idle`, or a level from 0 to 7 of the class best-effort. None
    means no limit.
    """

    upload: int | None = None
    download: int | None = None
    nice: int | None = None
    ionice: Literal["idle"] | int | None = None


UNLIMITED = Limits()

"""When a channel or a message that failed is tried again."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from drd.errors import DrdError, NotifyError
from drd.ports.notify import ChannelFacts, Waiting

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 900.0

PERMANENT_TRIES = 12
"""The number of attempts for a message that the other side refuses permanently: within the 75
minutes that these attempts take, a person may correct the cause.
"""


def pause_s(tries: int, key: str) -> float:
    """Return how long to wait after so many failures: doubling, up to a quarter of an hour, a fifth
    more or less by `key`, so that channels that failed together are not tried together.
    """
    grown = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE_S)
    number = int.from_bytes(hashlib.sha256(f"{key} {tries}".encode()).digest()[:4], "big")
    return grown * (0.8 + 0.4 * number / 2**32)


def is_due(facts: ChannelFacts, now: datetime) -> bool:
    """Return whether to try a channel now. A failing channel is tried after its pause, even if
    there are new messages."""
    if facts.failing_since is None or facts.last_tried_at is None:
        return True
    pause = timedelta(seconds=pause_s(facts.tries, facts.name))
    # A clock that was set back must not silence a channel.
    return not now - pause < facts.last_tried_at <= now


def next_try(row: Waiting, error: DrdError, now: datetime) -> datetime | None:
    """Return when to try a message again that failed just now; None: never."""
    tries = row.tries + 1
    if error.permanent and tries >= PERMANENT_TRIES:
        return None
    pause = pause_s(tries, f"{row.channel} {row.id}")
    asked = error.retry_after_s if isinstance(error, NotifyError) else None
    return now + timedelta(seconds=max(pause, asked or 0.0))

"""How far clocks may differ before drd distrusts one: all such limits, each with its own name."""

from __future__ import annotations

from datetime import timedelta

AGE_TOLERANCE_S = 5.0
"""A time further in the future than this has no age: verdicts and retention distrust it. Clocks of
two healthy hosts differ by less."""

SCHEDULE_TOLERANCE_S = 60.0
"""A time of a run further in the future than this is not believed, so that the next one is due;
less is a clock that was put right meanwhile."""

SERVER_SKEW_S = 60.0
"""By so much this host's clock may differ from that of a bucket's server without a warning; S3
refuses requests at 15 minutes."""

DATA_SKEW_S = 60.0
"""By so much the newest row of a database may be younger than the restore point: the clock of the
application that wrote it is another one."""

JUMP_S = 120.0
"""When the clock moved by more, or differs by more from another one, retention waits."""

SNAPSHOT_SKEW = timedelta(minutes=2)
"""A snapshot that is dated further in the future than this keeps retention from forgetting."""

FAR_AHEAD = timedelta(hours=1)
"""What is dated further in the future than this was made while a clock was wrong, and counts only
where nothing else does."""

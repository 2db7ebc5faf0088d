"""Which servers of this host a new plan contains."""

from __future__ import annotations

import pytest

from drd.kinds.redis.discovery import is_passing


@pytest.mark.parametrize(
    ("place", "passing"),
    [
        ("/var/lib/redis", False),
        ("/run/valkey/valkey.sock", False),
        ("127.0.0.1:6379", False),
        ("", False),  # nobody may see it
        ("/tmp/pytest/r0", True),
        ("/srv/gone (deleted)", True),
        ("/var/lib/drd/work/run-1a2b3c4d/sessions.redis/server/data", True),
    ],
)
def test_servers_that_will_soon_be_gone_are_in_no_new_plan(place: str, *, passing: bool) -> None:
    assert is_passing(place) is passing

"""Which servers of this host a new plan contains."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.errors import UsageError
from drd.kinds.redis.discovery import valkey_wishes, wishes
from drd.kinds.running_servers import is_passing
from tests.servers.child import free_ports
from tests.servers.redis import RedisServer


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


def test_a_server_that_is_named_gets_the_directory_that_the_search_would_find(
    short_tmp: Path,
) -> None:
    port = free_ports(1)[0]
    server = RedisServer(short_tmp / "data", "redis", "--port", str(port), "--bind", "127.0.0.1")
    try:
        (short_tmp / "link.s").symlink_to(server.socket)
        for url in (server.url, f"unix://{short_tmp}/link.s", f"redis://localhost:{port}"):
            (wish,) = wishes([url])
            keys = {key: value for key, value in wish.keys([], "") if key != "#"}
            assert keys == {"url": url, "dir": str(server.directory)}
    finally:
        server.kill()
    for url in (server.url, "redis://db1:6379"):
        (wish,) = wishes([url])
        assert "dir" not in dict(wish.keys([], "")), "nobody knows it"
    with pytest.raises(UsageError, match="--valkey http://h is not the address of a server"):
        valkey_wishes(["http://h"])

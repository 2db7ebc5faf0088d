"""A recovery replaces no files below a server that runs: also not in a container, or where drd may
not see what a process does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.errors import TargetError
from drd.kinds.mariadb.physical.target import running_in
from drd.kinds.postgres.physical.target import postmaster
from drd.kinds.redis.in_use import holder, require_unused
from drd.kinds.servers import servers_in
from tests.security.test_state_modes import as_member

NAMES = {
    "redis": "x-server",
    "postgres": "/usr/lib/postgresql/17/bin/postgres",
    "mariadb": "/usr/sbin/mariadbd",
}
FIND = {"redis": holder, "postgres": postmaster, "mariadb": running_in}


@pytest.fixture(params=NAMES)
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path, int]]:
    """A process with the name of a server, which works in a directory."""
    (place := tmp_path / "data").mkdir()
    words = ["bash", "-c", f"exec -a {NAMES[request.param]} sleep 1000"]
    with subprocess.Popen(words, cwd=place) as process:
        try:
            name = NAMES[request.param].encode()  # while it becomes the server, it has no name
            while not Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(name):
                os.sched_yield()
            yield request.param, place, process.pid
        finally:
            process.kill()


def test_a_server_that_knows_the_directory_by_another_name_is_noticed(
    running: tuple[str, Path, int], tmp_path: Path
) -> None:
    kind, place, pid = running
    (tmp_path / "other").symlink_to(place)  # as the mount of a container
    (tmp_path / "none").mkdir()
    assert FIND[kind](tmp_path / "other") == pid
    assert FIND[kind](tmp_path / "none") is None


@pytest.mark.parametrize("running", ["redis"], indirect=True)
def test_a_server_that_drd_may_not_see_does_not_count_as_none(
    running: tuple[str, Path, int],
) -> None:
    shared = Path("/tmp")

    def refusal() -> str:
        with pytest.raises(TargetError, match="perhaps works in /tmp") as raised:
            require_unused(shared)
        return raised.value.hint

    found = as_member(lambda: servers_in(shared, lambda words: b"x-server" in words))
    assert running[2] in found.perhaps
    assert found.here == []
    assert "as root" in as_member(refusal)

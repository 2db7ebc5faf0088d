"""Shared memory that a fenced process makes ends with its fence, and is nobody else's.

Segments of System V belong to no process: what a drill left would fill the host's memory until it
is booted. Those of the host, and of production's PostgreSQL, stay as they are.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import process
from drd.process import Command, FenceLimits, Fences
from tests.fence_support import PYTHON, fences, own_directory, python

pytestmark = fences

USER = "nobody" if os.geteuid() == 0 else None
LIBC = ctypes.CDLL(None, use_errno=True)
CALLS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
def get(size, key=0, flags=0o3600):
    found = libc.shmget(key, ctypes.c_size_t(size), flags)
    return found if found >= 0 else os.strerror(ctypes.get_errno())
def attach(segment):
    found = libc.shmat(segment, None, 0)
    return found if found != ctypes.c_void_p(-1).value else os.strerror(ctypes.get_errno())
def remove(segment):
    return libc.shmctl(segment, 0, None)
"""


@pytest.fixture
def box() -> Iterator[Fences]:
    made = Fences()
    yield made
    made.close()


@pytest.fixture
def own() -> Iterator[Path]:
    with own_directory() as place:
        place.chmod(0o777)
        yield place


def segments() -> dict[int, int]:
    """Those of the host, by id, with their sizes."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {int(f[1]): int(f[3]) for f in (line.split() for line in lines)}


def answers(box: Fences, own: Path, script: str, *arguments: str) -> list[str]:
    done = python(box, own, CALLS + script, *arguments, user=USER)
    assert done.exit_code == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.fixture
def size() -> int:
    """By which this worker's own are told from others'. Not a constant: workers are forks of a
    process that has imported this module."""
    return (1 << 20) + 4096 * (os.getpid() % 1000)


def left(size: int) -> list[int]:
    return [number for number, its in segments().items() if its == size]


def test_segment_is_used_at_once_and_ends_with_the_fence(box: Fences, own: Path, size: int) -> None:
    script = """
size = int(sys.argv[1]); one = get(size); at = attach(one); ctypes.memset(at, 120, size)
child = os.fork()
if child == 0:
    os._exit(ctypes.string_at(attach(one), 2) != b'xx')
print(os.waitpid(child, 0)[1])
"""
    for _ in range(12):  # also by a program that is faster than its warden
        assert answers(box, own, script, str(size)) == ["0"]
        assert left(size) == []


def test_segment_ends_also_when_the_warden_is_killed(box: Fences, own: Path, size: int) -> None:
    script = (
        f"{CALLS}\nattach(get({size})); get({size}); open('made', 'w'); import time; time.sleep(60)"
    )
    argv = (PYTHON, "-I", "-c", script)
    child = process.start(Command(argv, cwd=own, user=USER, fence=box.fence("it", [own])))
    limit = time.monotonic() + 60
    while not (own / "made").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    assert len(left(size)) == 2
    os.kill(child.pid, signal.SIGKILL)
    child.stop(signal.SIGKILL)
    while left(size) and time.monotonic() < limit:
        time.sleep(0.02)
    assert left(size) == []


def test_a_removed_segment_frees_its_memory_at_once(box: Fences, own: Path, size: int) -> None:
    script = (
        "print(sum(remove(get(int(sys.argv[1]))) for _ in range(50)), "
        "[line.split()[3] for line in open('/proc/sysvipc/shm')].count(sys.argv[1]))"
    )
    assert answers(box, own, script, str(size)) == ["0 0"]


def test_key_means_something_behind_the_fence_only(box: Fences, own: Path) -> None:
    key = 0x5A0000 + os.getpid() % 0xFFFF
    hosts = LIBC.shmget(key, ctypes.c_size_t(8192), 0o1666)
    assert hosts >= 0
    try:
        script = """
key, hosts = map(int, sys.argv[1:])
print(attach(hosts), remove(hosts)); print(get(4096, key, 0o600))
one = get(4096, key); print(one != hosts, one == get(0, key, 0o600),
      get(4096, key), get(8192, key, 0o600))
print(remove(one), get(4096, key, 0o600))
"""
        assert answers(box, own, script, str(key), str(hosts)) == [
            "Invalid argument -1",
            "No such file or directory",
            "True True File exists Invalid argument",
            "0 No such file or directory",
        ]
        assert hosts in segments()
    finally:
        LIBC.shmctl(hosts, 0, None)


def test_a_shared_memory_key_of_the_host_stays_free(box: Fences, own: Path, size: int) -> None:
    """The service that has it would not come up while the drill runs."""
    key = 0x5B0000 + os.getpid() % 0xFFFF
    argv = (
        PYTHON,
        "-I",
        "-c",
        f"{CALLS}\nprint(get({size}, {key}), flush=True)\nimport time; time.sleep(60)",
    )
    child = process.start(Command(argv, cwd=own, user=USER, fence=box.fence("it", [own])))
    try:
        limit = time.monotonic() + 60
        while not left(size) and time.monotonic() < limit:
            time.sleep(0.02)
        assert len(left(size)) == 1
        assert LIBC.shmget(key, ctypes.c_size_t(0), 0o600) == -1
    finally:
        child.stop(signal.SIGKILL)


def test_segments_count_for_the_drills_memory(own: Path) -> None:
    box = Fences(limits=FenceLimits(64 << 20, 64))
    try:
        script = (
            "print([isinstance(get(40 << 20), int), get(40 << 20), isinstance(get(20 << 20), int)])"
        )
        assert answers(box, own, script) == ["[True, 'Cannot allocate memory', True]"]
    finally:
        box.close()


@pytest.mark.parametrize(
    "keep", ["get(4096)", "isinstance(s := get(4096), int) and attach(s) and remove(s) or s"]
)
def test_segments_that_a_drill_keeps_leave_most_of_the_hosts(
    box: Fences, own: Path, keep: str
) -> None:
    script = f"print(sum(isinstance(({keep}), int) for _ in range(600)), get(4096))"
    assert answers(box, own, script) == ["256 No space left on device"]


def test_drill_is_what_the_kernel_ends_first_when_memory_runs_out(box: Fences, own: Path) -> None:
    assert answers(box, own, "print(open('/proc/self/oom_score_adj').read().strip())") == ["1000"]

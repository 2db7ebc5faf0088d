"""Only a drill writes into its record of what it tried, and no noise hides what it tried later."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import process
from drd.fence.record import DESTINATIONS, Record
from drd.process import Command, Fences
from tests.fence_support import PYTHON, fences, own_directory, python

pytestmark = fences

USER = "nobody" if os.geteuid() == 0 else None


@pytest.fixture
def box() -> Iterator[Fences]:
    made = Fences(reach=("localhost:5432",))
    yield made
    made.close()


@pytest.fixture
def own() -> Iterator[Path]:
    with own_directory() as place:
        place.chmod(0o777)
        yield place


def tried(box: Fences) -> list[str]:
    return [a.words for a in box.attempts()]


def unix_names() -> set[str]:
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    return {f[7] for f in (line.split() for line in lines) if len(f) > 7 and f[7].startswith("@")}


LOOKS_UP = """
import socket, time
def look(name):
    try: return [a[4][0] for a in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)]
    except OSError as error: return str(error)
"""


def test_nobody_else_can_ask_the_name_server_of_a_drill(box: Fences, own: Path) -> None:
    before = unix_names()
    script = f"{LOOKS_UP}\nlook('a.example.org'); open('asked', 'w'); time.sleep(60)"
    argv = (PYTHON, "-I", "-c", script)
    child = process.start(Command(argv, cwd=own, user=USER, fence=box.fence("it", [own])))
    try:
        limit = time.monotonic() + 20
        while not (own / "asked").exists() and time.monotonic() < limit:
            time.sleep(0.02)
        for name in unix_names() - before:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
                assert stranger.connect_ex("\0" + name[1:]) != 0
        assert tried(box) == ["dns a.example.org"]
    finally:
        child.stop(signal.SIGKILL)


def test_names_are_looked_up_as_often_and_by_as_many_as_wanted(box: Fences, own: Path) -> None:
    script = f"""{LOOKS_UP}
import threading
found = []
def many():
    for _ in range(60): found.append(look('localhost.'))
    found.append(look('localhost') != [])
all = [threading.Thread(target=many) for _ in range(8)]
[t.start() for t in all]; [t.join() for t in all]
print(len(found), look('gone.example.org'))
with open('/proc/%d/status' % __import__('os').getppid()) as status:
    print([line.split()[1] for line in status if line.startswith('Threads')])
"""
    done = python(box, own, script, user=USER)
    first, threads = done.stdout.splitlines()
    assert first.startswith("488 [Errno -3]"), done.stderr
    assert threads == "['2']"
    assert "dns gone.example.org" in tried(box)


def test_kept_resolver_sockets_use_no_threads(box: Fences, own: Path) -> None:
    script = """
import socket
kept = []
for _ in range(400):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); kept.append(s)
    try: s.connect(('192.0.2.53', 53))
    except OSError: pass
with open('/proc/%d/status' % __import__('os').getppid()) as status:
    print([line.split()[1] for line in status if line.startswith('Threads')])
"""
    assert python(box, own, script, user=USER).stdout.strip() == "['2']"


def test_many_tries_of_one_kind_hide_no_other_kind(box: Fences, own: Path) -> None:
    script = f"""{LOOKS_UP}
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.53', 53))
def ask(name):
    s.send(b'\\x12\\x34\\x01\\0\\0\\x01' + bytes(6)
           + bytes([len(name)]) + name + b'\\7example\\0\\0\\1\\0\\1')
    s.recv(512)
for n in range(5000): ask(b'%050d' % n)
for port in (25, 26):
    try: socket.create_connection(('192.0.2.9', port), timeout=2)
    except OSError: pass
"""
    assert python(box, own, script, user=USER).exit_code == 0
    names = [words for words in tried(box) if words.startswith("dns ")]
    assert len(names) == DESTINATIONS + 1
    assert names[-1] == "dns other places, at least 4096 times"
    assert {"tcp 192.0.2.9:25", "tcp 192.0.2.9:26"} <= set(tried(box))
    # Another command of the drill has room of its own, the same one none of its own each time.
    python(box, own, script.replace("5000", "5"), user=USER, by="another")
    assert [a.by for a in box.attempts()].count("another") == 7
    count = len(tried(box))
    python(box, own, script, user=USER)
    assert len(tried(box)) == count
    assert "dns other places, at least 8192 times" in tried(box)


def test_repeated_tries_take_no_space_in_the_record() -> None:
    descriptor = os.memfd_create("test")
    try:
        record = Record(descriptor, "it")
        for _ in range(1000):
            record.tried("tcp", "192.0.2.1:1")
        size = os.fstat(descriptor).st_size
        Record(descriptor, "it").tried("tcp", "192.0.2.1:1")
        assert os.fstat(descriptor).st_size == size
        for number in range(10_000):
            record.tried("tcp", f"192.0.2.1:{number}")
        record.tried("udp", "192.0.2.1:1")
        last = [e for e in record.read() if e["event"] == "tried"][-1]
        assert (last["what"], last["to"]) == ("udp", "192.0.2.1:1")
    finally:
        os.close(descriptor)

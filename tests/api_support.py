"""Asking the daemon's socket as somebody else: the kernel is what tells it who."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.site import Result, Site

READERS, OPERATORS, MAIL = 60, 9, 8
"""Groups that every Debian has: games, news, mail."""
GROUPS = "groups: {read: games, operate: news}\n"
ANNA, BERT, STRANGER = 1, 2, 3
"""Users that every Debian has: daemon, bin, sys."""


@contextmanager
def somebody(uid: int, groups: Sequence[int] = ()) -> Iterator[None]:
    """This process as that user, with these supplementary groups alone."""
    before = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(65534)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def connected(path: Path, uid: int, groups: Sequence[int] = ()) -> socket.socket:
    """A connection of that user's. What is asked through it counts as his, whoever we are then."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.settimeout(30)
    fd = os.open(path.parent, os.O_PATH)
    try:
        with somebody(uid, groups):
            found.connect(f"/proc/self/fd/{fd}/{path.name}")
    finally:
        os.close(fd)
    return found


def ask(
    path: Path,
    uid: int,
    groups: Sequence[int],
    address: str,
    body: Any = None,
    *,
    raw: bytes | None = None,
    method: str = "",
) -> tuple[int, dict[str, Any]]:
    """Status and document of one request."""
    connection = http.client.HTTPConnection("drd")
    connection.sock = connected(path, uid, groups)
    try:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        how = method or ("GET" if data is None else "POST")
        connection.request(how, address, data)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def as_user(
    site: Site, uid: int, groups: Sequence[int], *words: str, code: int | None = 0
) -> Result:
    """A command of drd as that user gives it."""
    how = ["setpriv", f"--reuid={uid}", "--regid=65534", "--inh-caps=-all"]
    how += [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
    env = {k: v for k, v in site.env().items() if k != "SUDO_USER"} | {"HOME": "/"}
    done = subprocess.run(
        [*how, "--", *site.argv(*words)],
        capture_output=True,
        env=env,
        timeout=120,
        check=False,
        cwd="/",
    )
    result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in result.err, result.err
    assert code is None or result.code == code, f"{words}: {result}"
    return result

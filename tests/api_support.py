"""Asking the daemon's socket as somebody else: the kernel is what tells it who."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from drd.api.server import ApiServer
from drd.bootstrap import App
from drd.model.actor import Actor
from drd.model.run import Run, RunKind, RunState
from drd.model.step_results import PersonStepResult
from drd.modes import make_public_directory
from drd.process import rights
from tests import warm
from tests.e2e.site import Result, Site

READERS, OPERATORS, MAIL = 60, 9, 8
"""Groups that every Debian has: games, news, mail."""
GROUPS = "groups: {read: games, operate: news}\n"
ANNA, BERT, STRANGER = 1, 2, 3
"""Users that every Debian has: daemon, bin, sys."""


@contextmanager
def somebody(uid: int, groups: Sequence[int] = ()) -> Iterator[None]:
    """This thread as that user, with these supplementary groups alone: a daemon's threads in this
    process keep their rights."""
    before = tuple(os.getgroups())
    _become(uid, 65534, tuple(groups))
    try:
        yield
    finally:
        _become(0, 0, before)


def _become(uid: int, gid: int, groups: tuple[int, ...]) -> None:
    if os.geteuid() != 0:
        rights._call("setresuid", -1, uid, 0)
    rights._call("setgroups", len(groups), rights._ids(groups))
    rights._call("setresgid", -1, gid, 0)
    if os.geteuid() != uid:
        rights._call("setresuid", -1, uid, 0)


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
    env = {k: v for k, v in site.env().items() if k != "SUDO_USER"} | {"HOME": "/"}
    done = warm.run(words, env=env, cwd=Path("/"), user=(uid, 65534, groups))
    result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in result.err, result.err
    assert code is None or result.code == code, f"{words}: {result}"
    return result


PLAN = """\
plan: shop
objectives: {rpo: 1h, rto: 1h}
components:
  conf: {kind: files, paths: [/etc/hostname]}
repositories:
  primary: {url: /srv/shop, password: {env: X}}
targets:
  standby: {conf: {path: /srv/standby}}
runbook:
  - {name: data, restore: [conf]}
  - {name: go-ahead, approve: {by: commander, two_person: true}}
  - {name: plug, manual: plug it in}
"""
PEOPLE = """\
people:
  - {name: Anna, user: daemon, roles: [commander]}
  - {name: Bert, user: bin, roles: [operator]}
  - {name: Carl, roles: [commander]}
"""


class House:
    """A socket that answers, as in a daemon, and how often its loop was woken."""

    made: ClassVar[list[bytes]] = []  # a catalogue that knows the plan, which takes a while to make

    def __init__(self, base: Path, more: str = "") -> None:
        (base / "plans").mkdir(exist_ok=True)
        (base / "plans/shop.yaml").write_text(PLAN)
        (base / "drd.yaml").write_text(
            f"state: sqlite:///{base}/state/drd.db\nplans: plans\nwork_dir: w\ncache_dir: c\n"
            f"public_dir: {base}/public\n{GROUPS}{more}"
        )
        database = base / "state/drd.db"
        database.parent.mkdir(0o700)
        if not House.made:
            with closing(App(str(base / "drd.yaml"))) as first:
                first.plans.load("shop")
            House.made.append(database.read_bytes())
        database.write_bytes(House.made[0])
        database.chmod(0o600)
        self.app = App(str(base / "drd.yaml"))
        self.woken = 0
        make_public_directory(base / "public", "games")
        self.path = base / "public/drd.sock"
        self.server = ApiServer.start(self.app, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def close(self) -> None:
        self.server.close()
        self.app.close()

    def waiting_recovery(self, starter: Actor) -> str:
        """A recovery that waits for an approval and for a pair of hands."""
        catalogue, now = self.app.catalogue, self.app.clock.now()
        pending = catalogue.queue.enqueue(
            Run("", "shop", RunKind.RECOVERY, "manual", RunState.PENDING, None, actor=starter)
        )
        plan = self.app.plans.in_force("shop")
        owned = catalogue.runs.begin(
            plan, RunKind.RECOVERY, trigger="manual", at=now, claim=pending.id
        )
        for name, kind in (("go-ahead", "approve"), ("plug", "manual")):
            catalogue.steps.begin(owned, name, kind, now)
            role = "commander" if kind == "approve" else None
            catalogue.steps.wait(owned, name, "x", PersonStepResult(role=role))
        return owned.run.id

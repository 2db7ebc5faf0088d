"""The worst day: a machine that has nothing but the kit, and the S3 server. The service comes back
by drd, and by the printed commands where drd is not.

With DRD_CLEAN_ROOT the machine is that directory instead of this one without drd: a root that
debootstrap made, in which the packages of the printed page (and for drd python3) are installed.
"""

from __future__ import annotations

import html
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from tests.e2e.kit_site import DATABASE, ROLES, TABLES, dumped
from tests.e2e.site import PASSWORD, make_sqlite, make_tree
from tests.light_repository import begin_in_bucket
from tests.servers import PostgresServer, S3Server, postgres_server, short_directory
from tests.servers.child import LOOPBACK
from tests.servers.empty_root import EmptyRoot, cannot_be_made, empty_root

pytestmark = [
    pytest.mark.faults,
    pytest.mark.xdist_group("empty-machine"),  # the host that is lost is made once
]

DRD = f"{sys.executable} -m drd"
CLEAN = Path(os.environ.get("DRD_CLEAN_ROOT", "/"))

PLAN = """
plan: shop
owner: shop team
description: The shop. Its orders, the sessions and the gateway.
objectives: {{rpo: 15m, rto: 30m}}
components:
  orders-db: {{kind: postgres, dsn: {{credential: orders-db}}}}
  sessions: {{kind: sqlite, path: /var/lib/shop/sessions.db}}
  gateway: {{kind: files, paths: [/etc/shop]}}
repositories:
  primary:
    url: {url}
    password: {{credential: restic}}
    s3: {{access_key: {{env: SHOP_S3_KEY}}, secret_key: {{command: [cat, /etc/shop-s3]}},
        region: us-east-1}}
checks:
  - {{name: orders are there, kind: sql, component: orders-db,
      query: "select count(*) from orders", expect: "> 0"}}
  - {{name: row counts, kind: rows, component: orders-db}}
  - {{name: sessions, kind: rows, component: sessions}}
  - {{name: gateway, kind: files, component: gateway}}
  - {{name: asks, kind: command, component: sessions, run: [/usr/local/bin/has-sessions]}}
runbook:
  - {{name: data, restore: [orders-db, sessions, gateway]}}
  - {{name: erasures, command: {{run: [replay-erasures, "${{target}}"], component: orders-db}},
      rehearse: skip, reason: it writes}}
  - {{name: look, check: all}}
targets:
  standby:
    orders-db: {{dsn: {{credential: standby-db}}}}
    sessions: {{path: /var/lib/standby/sessions.db}}
    gateway: {{path: /srv/restored}}
"""

REPLAY = """#!/bin/sh
echo "replayed in $PGDATABASE for $1" > /var/lib/replayed
"""
ASK = """#!/bin/sh
test "$(sqlite3 "$DRD_PATH" 'select count(*) > 0 from orders')" = 1
"""


@dataclass
class Lost:
    """What is left of the host: a kit in somebody's hand, and what its data was."""

    kit: bytes
    identity: bytes
    sessions: str
    tree: str
    s3: S3Server
    source: PostgresServer
    standby: PostgresServer


@pytest.fixture(scope="module")
def lost(s3: S3Server) -> Iterator[Lost]:
    if reason := cannot_be_made():
        pytest.skip(reason)
    with ExitStack() as stack:
        base = stack.enter_context(short_directory(Path(os.environ["DRD_TEST_RUN"])))
        source, standby = (
            stack.enter_context(postgres_server(base / name, password=f"{name} pw", tcp=True))
            for name in ("source", "standby")
        )
        source.execute(DATABASE)
        source.execute('create database shop owner "the owner"')
        source.execute(TABLES, "shop")
        (base / "host").mkdir()
        with empty_root(base / "host", with_drd=True) as host:
            yield _made(host, base, s3, source, standby)


def _made(
    host: EmptyRoot, base: Path, s3: S3Server, source: PostgresServer, standby: PostgresServer
) -> Lost:
    """The service on its host, with a restore point and a kit."""
    bucket = f"empty-{secrets.token_hex(4)}"
    s3.create_bucket(bucket)
    url = s3.repository(bucket, "shop")
    begin_in_bucket(s3, url, PASSWORD)
    make_tree(host.path("/etc/shop"))
    host.sh(
        "chown -R 1234:5678 /etc/shop/conf.d; chmod 750 /etc/shop/conf.d; chmod u+s "
        "/etc/shop/app.conf"
    )
    make_sqlite(base / "sessions.db")
    host.write("/var/lib/shop/sessions.db", (base / "sessions.db").read_bytes(), mode=0o640)
    host.write("/usr/local/sbin/replay-erasures", REPLAY.encode(), mode=0o755)
    host.write("/usr/local/bin/has-sessions", ASK.encode(), mode=0o750)
    host.write("/etc/shop-s3", s3.secret_key.encode())
    for name, value in {
        "restic": PASSWORD,
        "orders-db": source.dsn("shop", host=LOOPBACK),
        "standby-db": standby.dsn("back", host=LOOPBACK),
    }.items():
        host.write(f"/etc/drd/credentials/{name}", value.encode())
    host.write("/etc/drd/plans/shop.yaml", PLAN.format(url=url).encode(), mode=0o644)
    people = "people:\n  - {name: Ann Example, phone: '+49 30 1234', roles: [operator]}\n"
    host.write("/etc/drd/drd.yaml", people.encode(), mode=0o644)
    identity = pyrage.x25519.Identity.generate()
    key = {"SHOP_S3_KEY": s3.access_key}
    host.sh(f"{DRD} backup shop", env=key)
    told = host.sh(
        f"{DRD} kit export shop --to /root/shop.kit --recipient {identity.to_public()}", env=key
    )
    assert "but the kit does not contain them" not in told
    return Lost(
        host.path("/root/shop.kit").read_bytes(),
        f"{identity}\n".encode(),
        host.sh("sqlite3 /var/lib/shop/sessions.db .dump"),
        tree(host, "/etc/shop"),
        s3,
        source,
        standby,
    )


def tree(machine: EmptyRoot, path: str) -> str:
    """Every entry with its type, mode, owner, time and contents."""
    return machine.sh(
        f"cd {path}; find . -printf '%P %y %m %U %G %l ' -type f -printf '%s %T@ ' -o -printf "
        "'\\n' | sort;"
        " find . -type f -exec sha256sum {} + | sort"
    )


def assert_back(machine: EmptyRoot, lost: Lost) -> None:
    """By the tools of the databases and of the system."""
    there, here = dumped(lost.standby, "back"), dumped(lost.source, "shop")
    assert there == re.sub(r"\bshop\b", "back", here)
    assert lost.standby.execute(ROLES) == lost.source.execute(ROLES)
    assert machine.sh("sqlite3 /var/lib/standby/sessions.db .dump") == lost.sessions
    assert tree(machine, "/srv/restored/etc/shop") == lost.tree
    replayed = machine.path("/var/lib/replayed").read_text()
    assert replayed == "replayed in back for standby\n"


@pytest.fixture
def machine(request: pytest.FixtureRequest, lost: Lost) -> Iterator[EmptyRoot]:
    """A new one with the kit and what opens it, and an empty server in reach."""
    lost.standby.execute("drop database if exists back")
    for role in ('"the owner"', "reader"):
        lost.standby.execute(f"drop role if exists {role}")
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as place,
        empty_root(place, with_drd=request.param, below=CLEAN) as made,
    ):
        for path in ("/etc/drd", "/var/lib/drd", "/etc/shop", "/var/lib/shop"):
            assert not made.path(path).exists()
        made.write("/root/shop.kit", lost.kit)
        made.write("/root/me.txt", lost.identity)
        yield made


@pytest.mark.parametrize("machine", [True], indirect=True)
def test_a_host_is_recovered_from_its_kit_with_drd_on_an_empty_machine(
    machine: EmptyRoot, lost: Lost
) -> None:
    told = machine.sh(f"{DRD} bootstrap --kit /root/shop.kit --identity /root/me.txt")
    assert "needed to recover" not in told
    assert "needed later: /etc/drd/credentials/orders-db" in told
    told = machine.sh("stat -c '%a %n' /etc/drd/credentials/* /usr/local/bin/has-sessions")
    assert all(line.startswith("600 /etc/drd") for line in told.splitlines()[:-1])
    assert told.splitlines()[-1] == "750 /usr/local/bin/has-sessions"
    with pytest.raises(
        AssertionError, match="HINT: install -d -o root -g root -m 0755 /var/lib/standby\n"
    ):
        machine.sh(f"{DRD} recover shop --target standby --yes")
    machine.sh("install -d -o root -g root -m 0755 /var/lib/standby")
    assert "passed" in machine.sh(f"{DRD} recover shop --target standby --yes")
    assert_back(machine, lost)


@pytest.mark.parametrize("machine", [False], indirect=True)
def test_by_the_printed_commands_where_drd_is_not(machine: EmptyRoot, lost: Lost) -> None:
    assert not machine.path(sys.executable).exists() or sys.prefix.startswith("/usr")
    assert shutil.which("drd", path=str(machine.path("/usr/local/bin"))) is None
    first = lost.kit.split(b"\n", 1)[0].decode()
    match = re.search(r"open it without drd: (.* \| tar -x) ", first)
    assert match
    opening = match[1].replace("THIS-FILE", "shop.kit").replace("YOUR-IDENTITY-FILE", "me.txt")
    machine.sh(f"cd /root && {opening}")
    page = machine.path("/root/recovery-kit/runbooks/shop/runbook.html").read_text()
    blocks = re.findall(r'<pre class="bash">(.*?)</pre>', page, re.DOTALL)
    told = machine.sh("cd /root/recovery-kit\n" + html.unescape("".join(blocks)))
    assert "gateway: 2 files as at the backup" in told
    assert_back(machine, lost)

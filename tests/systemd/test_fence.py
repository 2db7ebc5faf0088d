"""Within its unit the service puts the whole fence up, and nothing gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.servers.nspawn import DRD, Machine

# On one system.
pytestmark = pytest.mark.xdist_group("systemd-fence")

PLAN = """
plan: shop
objectives: {rpo: 6h, rto: 1h}
components:
  conf: {kind: files, paths: [/etc/shop]}
repositories:
  primary: {url: /var/backups/shop, password: {credential: shop-restic}}
checks:
  - {name: files, kind: files, component: conf}
  - {name: steals, kind: command, component: conf, run: [/etc/shop/steal]}
backup: {every: 1h}
drill: {every: 1m, fence: required}
"""

STEAL = """#!/bin/sh
cat /run/credentials/drd.service/* /var/lib/drd/drd.db /etc/drd/drd.yaml >"$HOME/loot" 2>/dev/null
chmod 777 /var/lib/drd /var/backups/shop 2>/dev/null && echo chmod >>"$HOME/loot"
kill -9 -1 2>/dev/null
python3 - <<'X' >>"$HOME/loot"
import ctypes, glob, os, socket
libc = ctypes.CDLL(None)
if libc.inotify_add_watch(libc.inotify_init1(0), b'/var/lib/drd', 2) >= 0: print('watched')
for path in glob.glob('/proc/[0-9]*/environ'):
    try:
        if b'RESTIC_PASSWORD' in open(path, 'rb').read(): print('environ')
    except OSError: pass
for path in ('/run/dbus/system_bus_socket', '/run/systemd/private', '/run/systemd/journal/stdout',
             '/var/lib/drd-public/drd.sock', '/run/systemd/notify'):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try: socket.socket(socket.AF_UNIX, kind).connect(path); print(path)
        except OSError: pass
for address in (('192.0.2.7', 25), ('127.0.0.1', 9709)):
    try: socket.create_connection(address, timeout=2); print(address)
    except OSError: pass
X
! [ -s "$HOME/loot" ] || { head -c 200 "$HOME/loot"; exit 1; }
"""


def test_fence_is_whole_in_the_unit_and_holds(system: Machine) -> None:
    system.run(DRD, "install")
    system.begin_repository("/var/backups/shop", "correct horse")
    system.write("/etc/shop/steal", STEAL, mode=0o755)
    system.write("/etc/drd/credentials/shop-restic", "correct horse", mode=0o600)
    system.write("/etc/drd/plans/shop.yaml", PLAN)
    system.run("systemctl", "enable", "--now", "drd")
    system.run("systemctl", "restart", "drd")
    doctored = system.run(DRD, "doctor", "shop", "--as-service", "--json", check=False)
    (fence,) = [i for i in json.loads(doctored.stdout)["items"] if i["name"] == "fence"]
    assert fence["ok"], fence
    assert (
        "programs in a drill cannot use files, signals to processes, dangerous system calls, "
        "network of this host"
    ) in fence["detail"]

    def drilled() -> list[dict[str, Any]]:
        told = system.run(DRD, "runs", "shop", "--json", check=False)
        runs = json.loads(told.stdout)["runs"] if told.returncode == 0 else []
        return [r for r in runs if r["kind"] == "drill" and r["finished_at"]]

    system.wait_for_run("shop", "drill", 90)
    run = drilled()[0]["run"]
    shown = json.loads(system.run(DRD, "run", "show", run, "--json").stdout)
    assert shown["detail"]["result"] == "passed", shown
    tried = {f"{a['what']} {a['to']}" for a in shown["detail"]["fence"]["tried"]}
    here = system.run("cat", "/sys/fs/cgroup/cgroup.controllers").stdout.split()
    grouped = {"memory", "pids"} <= set(here)
    assert shown["detail"]["fence"]["limits"] == ("control group" if grouped else "rlimits")
    assert {"tcp 192.0.2.7:25", "socket /run/dbus/system_bus_socket"} <= tried
    assert system.run("systemctl", "is-active", "drd").stdout.strip() == "active"

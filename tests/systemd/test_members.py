"""People of a host work through the socket of the service under its shipped unit."""

from __future__ import annotations

import json

import pytest

from tests.servers.nspawn import DRD, Machine

pytestmark = pytest.mark.xdist_group("systemd-members")

PLAN = """
plan: conf
objectives: {rpo: 2h, rto: 1h}
components:
  conf: {kind: files, paths: [/etc/hostname]}
repositories:
  primary: {url: /srv/backups/conf, password: {credential: restic}}
backup: {every: 1h, jitter: none}
"""

USERS = """
useradd -M -G drd rita
useradd -M -G drd-operator olga
useradd -M anna
useradd -M sven
"""


def test_members_ask_the_service_and_strangers_get_nothing(system: Machine) -> None:
    system.run(DRD, "install")
    system.sh(USERS)
    system.write("/etc/drd/credentials/restic", "correct horse battery staple", mode=0o600)
    system.write("/etc/drd/plans/conf.yaml", PLAN)
    config = system.path("/etc/drd/drd.yaml").read_text()
    people = "people: [{name: Anna, user: anna, roles: [operator]}]\n"
    system.write("/etc/drd/drd.yaml", f"{config}\n{people}")
    system.sh("install -d -o drd -g drd -m 2770 /srv/backups")
    system.begin_repository("/srv/backups/conf", "correct horse battery staple")
    system.run("systemctl", "start", "drd")
    system.wait_for_run("conf", "backup", 90)
    assert "succeeded" in as_user(system, "rita", "runs")

    for user in ("olga", "anna"):
        assert "is complete" in as_user(system, user, "backup", "conf")
    assert "user rita may not do this: make a restore point" in as_user(
        system, "rita", "backup", "conf"
    )
    assert "user sven may not use the socket of the daemon" in as_user(system, "sven", "runs")
    asked = [r["actor"] for r in json.loads(as_user(system, "rita", "runs", "--json"))["runs"]]
    assert {(a["user"], a["came"]) for a in asked} == {
        ("olga", "socket"), ("anna", "socket"), ("drd", "schedule"),
    }  # fmt: skip
    for user in ("rita", "olga", "anna", "sven"):
        assert "Permission denied" in system.sh(
            f"runuser -u {user} -- ls /var/lib/drd 2>&1", check=False
        )
    assert "the daemon that runs on this host" in as_user(system, "root", "backup", "conf")


def as_user(system: Machine, user: str, *words: str) -> str:
    """What a command of drd says to that user, on both streams."""
    done = system.run(DRD, *words, check=False, user=user)
    return done.stdout + done.stderr

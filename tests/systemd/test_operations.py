"""The commands of docs/operations.md are carried out as they stand there, on one system."""

from __future__ import annotations

from tests.e2e.test_docs import commands
from tests.servers.nspawn import DRD, Machine

PAGE = "docs/operations.md"

PLAN = """
plan: orders-api
objectives: {rpo: 1h, rto: 1h}
components:
  conf: {kind: files, paths: [/etc/hostname]}
repositories:
  primary: {url: /srv/backups/orders-api, password: {credential: orders-api-restic}}
backup: {every: 10m}
"""


def test_page_is_true_from_install_to_uninstall(system: Machine) -> None:
    system.run("ln", "-sf", DRD, "/usr/local/bin/drd")
    install = commands(PAGE, "Install")
    before, after = install.split("systemctl enable", 1)
    system.sh(before)
    system.sh("install -d -o drd -g drd -m 2770 /srv/backups")
    system.write("/etc/drd/credentials/orders-api-restic", "correct horse battery", mode=0o600)
    system.write("/etc/drd/plans/orders-api.yaml", PLAN)
    said = system.sh(f"systemctl enable{after.replace('drd status', 'drd status || true')}")
    assert "active (running)" in said
    assert "orders-api  backup" in said
    assert "daemon.reloaded" in system.sh(commands(PAGE, "Change, reload, restart"))
    assert "NRestarts=0" in system.sh(commands(PAGE, "Look").replace("drd status", "true"))
    system.sh(commands(PAGE, "Take a plan out"))
    assert "is gone" in system.sh("drd status || true")
    system.sh(commands(PAGE, "Uninstall"))
    assert system.unit("ActiveState") == "inactive"

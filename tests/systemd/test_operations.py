"""The commands of docs/operations.md are carried out as they stand there, on one system."""

from __future__ import annotations

import json
from pathlib import Path

from tests.catalogue_support import of_the_first_version
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


def test_page_is_true_from_install_to_uninstall(system: Machine, tmp_path: Path) -> None:
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
    assert "NRestarts=0" in system.sh(
        commands(PAGE, "Check what drd does").replace("drd status", "true")
    )
    go_back(system, tmp_path)
    system.sh(commands(PAGE, "Remove a plan"))
    assert "is gone" in system.sh("drd status || true")
    system.sh(commands(PAGE, "Uninstall"))
    assert system.unit("ActiveState") == "inactive"


def go_back(system: Machine, tmp_path: Path) -> None:
    """To a copy that knows another plan's point, while the catalogue in use knows one of its
    own."""
    system.wait_for_run("orders-api", "backup", 60)
    before = points(system, "orders-api")
    assert before
    of_the_first_version(f"sqlite:///{tmp_path}/drd.db", tmp_path)
    system.path("/var/lib/drd/drd.db.before-9999").write_bytes((tmp_path / "drd.db").read_bytes())
    system.sh("chown drd:drd /var/lib/drd/drd.db.*; chmod 660 /var/lib/drd/drd.db.*")
    system.sh(commands(PAGE, "Go back"))
    assert points(system, "shop") == ["aaaaaaaa"]
    assert set(before) <= set(points(system, "orders-api"))
    assert system.unit("ActiveState") == "active"


def points(system: Machine, plan: str) -> list[str]:
    told = json.loads(system.run(DRD, "points", plan, "--json").stdout)
    return [p["point"] for p in told["points"]]

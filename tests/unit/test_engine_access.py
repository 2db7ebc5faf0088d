"""What the service lacks to use the engine of a container."""

from __future__ import annotations

import grp
import os
import socket
from pathlib import Path

import pytest

from drd.config.plan_file import plan_of_text
from drd.flows.host import engine_access, unit_limits
from drd.flows.host.engine_access import lack_of
from drd.process import Container
from drd.registry import KINDS

PODMAN, DOCKER = Container("podman", "shop-db"), Container("docker", "shop-db")


@pytest.fixture(autouse=True)
def _as_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTAINER_HOST", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(engine_access.os, "geteuid", lambda: 998)


def test_podman_needs_the_socket_of_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = lack_of(PODMAN)
    assert found is not None
    assert "NoNewPrivileges=" in found[0]
    assert found[1] == ("Environment=CONTAINER_HOST=unix:///run/podman/podman.sock",)
    assert "is root on this host" in found[2]
    place = tmp_path / "podman.sock"
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{place}")
    found = lack_of(PODMAN)
    assert found is not None
    assert found[:2] == (f"the service may not use {place}, the socket of podman", ())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        assert lack_of(PODMAN) is None
    monkeypatch.setenv("CONTAINER_HOST", "ssh://elsewhere/run/podman.sock")
    assert lack_of(PODMAN) is None


def test_docker_needs_the_group_of_its_socket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        place.chmod(0o660)
        if os.getuid() == 0:
            os.chown(place, -1, 4)  # Debian's group adm
        group = grp.getgrgid(place.stat().st_gid).gr_name
        monkeypatch.setattr(engine_access.os, "access", lambda *_, **__: False)
        found = lack_of(DOCKER)
    assert found is not None
    assert found[1] == (f"SupplementaryGroups={group}",)


def test_the_finding_has_the_drop_in() -> None:
    text = (
        "plan: shop\nobjectives: {rpo: 15m, rto: 30m}\ncomponents:\n"
        "  db: {kind: postgres, dsn: 'postgresql://u@/shop?host=/only-inside', "
        "in: {container: shop-db, engine: podman}}\n"
        "repositories:\n  primary: {url: /srv/repo, password: {credential: restic}}\n"
    )
    component = plan_of_text(text, Path("/x/shop.yaml")).components["db"]
    (finding,) = unit_limits._component([], component, KINDS["postgres"])
    assert (finding.code, finding.subject, finding.severity) == ("unit", "db", "error")
    assert "container shop-db of podman" in finding.text
    assert "systemctl edit podman.socket" in finding.remedy
    assert "[Service]\nEnvironment=CONTAINER_HOST=unix://" in finding.remedy

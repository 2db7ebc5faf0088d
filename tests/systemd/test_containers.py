"""`drd doctor --as-service` for a component in a container: it names what the unit lacks, and each
of its remedies leads on, until the service may use the engine's socket."""

from __future__ import annotations

import json

import pytest

from tests.servers.nspawn import DRD, Machine

pytestmark = pytest.mark.xdist_group("systemd-containers")

SOCKET = "/run/podman/podman.sock"
PLAN = """
plan: boxed
objectives: {rpo: 1h, rto: 1h}
components:
  sessions:
    kind: valkey
    url: unix:///tmp/s
    in: {container: shop-sessions, engine: podman}
repositories:
  primary: {url: /srv/boxed, password: {credential: boxed-restic}}
"""


@pytest.fixture(scope="module")
def installed(system: Machine) -> Machine:
    system.run(DRD, "install")
    system.write("/etc/drd/credentials/boxed-restic", "correct horse battery", mode=0o600)
    system.write("/etc/drd/plans/boxed.yaml", PLAN)
    return system


def lack(machine: Machine) -> dict[str, object] | None:
    done = machine.run(DRD, "doctor", "--as-service", "--json", "boxed", check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # no engine runs here
    found = {item["name"]: item for item in json.loads(done.stdout)["items"]}
    return found.get("sessions: unit")


def test_doctor_names_what_the_unit_lacks_for_a_container_until_nothing_is_lacking(
    installed: Machine,
) -> None:
    first = lack(installed)
    assert first is not None
    assert first["severity"] == "error"
    assert "shop-sessions" in str(first["detail"])
    assert "NoNewPrivileges=" in str(first["detail"])
    remedy = str(first["hint"])
    assert f"Environment=CONTAINER_HOST=unix://{SOCKET}" in remedy
    assert "root on this host" in remedy

    installed.write(
        "/etc/systemd/system/drd.service.d/override.conf",
        f"[Service]\nEnvironment=CONTAINER_HOST=unix://{SOCKET}\n",
    )
    installed.run("systemctl", "daemon-reload")
    # podman's own tmpfiles.d makes the directory so at each boot: the service enters it by
    # CAP_DAC_READ_SEARCH, but needs a group that may write to the socket.
    installed.sh("install -d -m 700 /run/podman")
    listens = f"""
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind({SOCKET!r})
os.chmod({SOCKET!r}, 0o660)
server.listen()
while True:
    server.accept()[0].close()
"""
    installed.write("/root/listens.py", listens)
    installed.sh(
        "systemd-run --quiet --unit=listens python3 /root/listens.py; "
        f"until [ -S {SOCKET} ]; do sleep 0.1; done"
    )
    second = lack(installed)
    assert second is not None
    assert f"the service may not use {SOCKET}, the socket of podman" in str(second["detail"])
    assert "SocketGroup=drd" in str(second["hint"])

    installed.sh(f"chgrp drd {SOCKET}")
    assert lack(installed) is None

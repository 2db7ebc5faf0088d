"""What the hardened service notices of credentials that come after its start."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.servers.nspawn import DRD, Machine

# In order, on one system.
pytestmark = pytest.mark.xdist_group("systemd-credentials")

CONF = """
plan: conf
objectives: {rpo: 1h, rto: 1h}
components:
  conf: {kind: files, paths: [/etc/hostname]}
repositories:
  primary: {url: /srv/backups/conf, password: {credential: restic}}
backup: {every: 1h, jitter: none}
"""

WITHOUT_THE_RIGHT = """
[Service]
CapabilityBoundingSet=
AmbientCapabilities=
"""

PASSWORD = "correct horse battery staple"
COPY = "/run/credentials/drd.service/drd_restic"
AT = r"at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture(scope="module")
def service(system: Machine) -> Machine:
    system.run(DRD, "install")
    system.write("/etc/drd/credentials/restic", PASSWORD, mode=0o600)
    system.write("/etc/drd/plans/conf.yaml", CONF)
    system.sh("install -d -o drd -g drd /srv/backups")
    system.begin_repository("/srv/backups/conf", PASSWORD)
    system.run("systemctl", "start", "drd")
    system.wait_for_run("conf", "backup", 60)
    return system


def alerts(machine: Machine, kind: str = "credentials") -> list[dict[str, Any]]:
    done = machine.run(DRD, "alerts", "--json", check=False)
    told = [a for a in json.loads(done.stdout)["alerts"] if a["kind"] == kind]
    return [a for a in told if a["state"] != "resolved"]


def test_a_changed_and_a_new_credential_are_reported_at_the_reload_until_the_restart(
    service: Machine,
) -> None:
    assert alerts(service) == []
    service.write("/etc/drd/credentials/restic", "another password", mode=0o600)
    service.write("/etc/drd/credentials/hook", "https://example.com/", mode=0o600)
    service.run("systemctl", "reload", "drd")
    service.wait_until(lambda: alerts(service) != [], 60, "the alert")
    [alert] = alerts(service)
    text = rf"before a restart: hook \(added {AT}\), restic \(changed {AT}\)\. A restart removes"
    assert re.search(text, alert["message"]), alert
    assert alert["command"] == "drd doctor && systemctl restart drd"
    shown = " ".join(service.run(DRD, "status", check=False).stdout.split())
    assert "drd doctor && systemctl restart drd" in shown, shown
    found = service.run(DRD, "doctor", check=False)
    assert found.returncode == 1, "so that nobody restarts it"
    back = f"install -m 600 {COPY} /etc/drd/credentials/restic"
    assert back in " ".join(found.stdout.split()), found
    service.run(*back.split())
    assert service.run("cat", "/etc/drd/credentials/restic").stdout == PASSWORD
    service.run("systemctl", "restart", "drd")
    service.wait_until(lambda: alerts(service) == [], 60, "the end of the alert")


def test_a_removed_credential_is_reported_with_its_file_and_since_when_until_it_is_back(
    service: Machine,
) -> None:
    """The service goes on with its copy, which a restart would take away."""
    file = "/etc/drd/credentials/restic"
    service.run("rm", file)
    service.run("systemctl", "reload", "drd")
    service.wait_until(lambda: alerts(service, "secret-missing") != [], 60, "the alert")
    [alert] = alerts(service, "secret-missing")
    assert re.search(
        rf"^secret file {file}, which .* is missing since {AT[3:]}: until the service stops, ",
        alert["message"],
    ), alert
    assert alert["command"] == f"cp -n {COPY} {file}"
    shown = " ".join(service.run(DRD, "status", check=False).stdout.split())
    assert f"secret file {file}" in shown, shown
    assert alert["command"] in shown, "also to root"
    found = service.run(DRD, "doctor", "conf", check=False)
    assert found.returncode == 1, found
    said = " ".join(found.stdout.split())
    assert re.search(
        rf"credential restic is not in /etc/drd/credentials .the directory changed last {AT}", said
    ), said
    service.run(*alert["command"].split())
    assert service.run("cat", file).stdout == PASSWORD
    service.run("systemctl", "reload", "drd")
    service.wait_until(lambda: alerts(service, "secret-missing") == [], 60, "its end")
    assert alerts(service) == [], "it has this text"


def test_a_service_without_the_right_to_read_them_sees_that_a_file_came(service: Machine) -> None:
    service.write("/etc/systemd/system/drd.service.d/rights.conf", WITHOUT_THE_RIGHT)
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", "drd")
    service.sh("sleep 2")
    assert alerts(service) == []
    service.write("/etc/drd/credentials/other", "a secret", mode=0o600)
    service.run("systemctl", "reload", "drd")
    service.wait_until(lambda: alerts(service) != [], 60, "the alert")
    [alert] = alerts(service)
    assert re.search(rf"before a restart: a file \(changed {AT}\)", alert["message"]), alert

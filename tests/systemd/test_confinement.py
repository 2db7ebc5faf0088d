"""`drd doctor` as the service names what its unit keeps a plan from, and is silent about the
rest."""

from __future__ import annotations

import json

import pytest

from drd.cli.as_service import restrictions
from drd.flows.host.unit_limits import hides
from drd.process.mounts import mount_of, parse_mounts
from tests.servers.nspawn import DRD, Machine

# On one system.
pytestmark = pytest.mark.xdist_group("systemd-confinement")

MOUNTS = r"""
22 1 254:0 / / ro,relatime shared:1 - ext4 /dev/vda rw
40 22 254:0 / /srv rw,relatime shared:1 - ext4 /dev/vda rw
41 40 0:50 / /srv/share ro,relatime - nfs4 server:/share ro
42 22 0:24 /systemd/inaccessible/dir /home ro,nosuid - tmpfs tmpfs rw
43 22 254:0 /tmp/systemd-private-1a-drd.service-x/tmp /tmp rw - ext4 /dev/vda rw
44 22 0:24 / /root ro,nosuid - tmpfs tmpfs ro
45 22 0:24 /systemd/inaccessible/dir /data/not\040for\040you ro - tmpfs tmpfs rw
46 22 254:0 / /etc/nested ro - ext4 /dev/vda rw
47 22 254:0 / /etc/nested rw - ext4 /dev/vda rw
"""


@pytest.mark.parametrize(
    ("path", "directive"),
    [
        ("/home/shop/data", "ProtectHome=yes"),
        ("/root/.config", "ProtectHome=tmpfs"),
        ("/tmp/shop.db", "PrivateTmp=yes"),
        ("/data/not for you/x", "InaccessiblePaths=/data/not for you"),
        ("/etc/shop", None),
        ("/data/not for us", None),
        ("/homework", None),
        ("/srv/share/x", None),
    ],
)
def test_the_mount_shows_which_directive_hides_a_path(path: str, directive: str | None) -> None:
    hidden = hides(parse_mounts(MOUNTS), path)
    assert (hidden[0] if hidden else None) == directive


def test_mount_is_the_last_of_the_nearest() -> None:
    mounts = parse_mounts(MOUNTS)
    shared = mount_of(mounts, "/srv/share/a")
    assert shared is not None
    assert (str(shared.place), shared.read_only, shared.file_system_read_only) == (
        "/srv/share",
        True,
        True,
    )
    nested = mount_of(mounts, "/etc/nested/file")
    assert nested is not None
    assert not nested.read_only


def test_restrictions_of_a_unit_are_taken_with_its_drop_ins() -> None:
    text = (
        "# /etc/systemd/system/drd.service\n[Unit]\nDescription=x\n[Service]\nType=notify-reload\n"
        "ExecStart=/opt/drd/bin/drd daemon\nRestartSec=2s\nUser=drd\nReadWritePaths=-/mnt \\\n "
        "-/srv\n"
        "RuntimeDirectory=drd\nWatchdogSec=30s\nTimeoutStopSec=60\n[Install]\nWantedBy=a.target\n"
        "# /etc/systemd/system/drd.service.d/override.conf\n[Service]\nProtectHome = yes\n"
        "; a comment\nReadWritePaths=\n"
    )
    assert restrictions(text) == [
        "User=drd",
        "ReadWritePaths=-/mnt   -/srv",
        "ProtectHome=yes",
        "ReadWritePaths=",
    ]


# --- in the service -----------------------------------------------------------------------------

PLAN = """
plan: shop
objectives: {rpo: 1h, rto: 1h}
components:
  conf: {kind: files, paths: [/etc/shop]}
  home: {kind: files, paths: [/home/shop]}
  temporary: {kind: files, paths: [/tmp/shop]}
  asks: {kind: files, paths: [/etc/hostname], before: {command: [sudo, systemctl, start, x]}}
repositories:
  primary: {url: /data/backups/shop, password: {credential: shop-restic}}
  temp: {url: /tmp/backups, password: {credential: shop-restic}, copy_of: primary}
"""


@pytest.fixture(scope="module")
def installed(system: Machine) -> Machine:
    system.run(DRD, "install")
    system.write("/etc/drd/credentials/shop-restic", "correct horse battery", mode=0o600)
    system.write("/etc/drd/plans/shop.yaml", PLAN)
    for secret in ("/etc/shop/secret.conf", "/home/shop/secret.conf", "/tmp/shop/secret.conf"):
        system.write(secret, "only root", mode=0o600)
    system.sh("chmod 700 /etc/shop /home/shop; mkdir -p /data/backups; chown drd: /data/backups")
    return system


def examined(machine: Machine, *, code: int = 1) -> dict[str, dict[str, object]]:
    done = machine.run(DRD, "doctor", "--as-service", "--json", "shop", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return {item["name"]: item for item in json.loads(done.stdout)["items"]}


def failed(item: dict[str, object]) -> bool:
    return item["severity"] == "error"


def drop_in(machine: Machine, *lines: str) -> None:
    text = "\n".join(["[Service]", *lines, ""])
    machine.write("/etc/systemd/system/drd.service.d/override.conf", text)
    machine.run("systemctl", "daemon-reload")


def test_doctor_names_the_directives_and_their_remedies_help(installed: Machine) -> None:
    found = examined(installed)
    assert {n for n in found if n.endswith(": unit")} == {
        "temporary: unit",
        "asks: unit",
        "repository primary: unit",
        "repository temp: unit",
    }
    assert "as soon as the service stops, because its unit has PrivateTmp=yes" in str(
        found["repository temp: unit"]["detail"]
    )
    assert "PrivateTmp=yes" in str(found["temporary: unit"]["detail"])
    assert "NoNewPrivileges=yes" in str(found["asks: unit"]["detail"])
    place = found["repository primary: unit"]
    assert "ProtectSystem=strict" in str(place["detail"])
    assert "ReadWritePaths=/data/backups/shop" in str(place["hint"])
    # One cause, one finding: what a missing right of the unit leads to is no news.
    twice = [found[n] for n in ("repository primary", "repository temp") if n in found]
    assert [item for item in twice if failed(item)] == []

    installed.sh("mkdir -p /data/backups/shop")  # by root
    hint = str(examined(installed)["repository primary: unit"]["hint"])
    assert hint.splitlines()[0] == "chown -R drd /data/backups/shop"

    installed.sh("install -d -o drd -g drd -m 2770 /data/backups/shop /tmp/backups")
    writable = "ReadWritePaths=/data/backups/shop /tmp/backups"
    drop_in(installed, "PrivateTmp=no", "NoNewPrivileges=no", writable)
    assert not {n for n in examined(installed, code=0) if n.endswith(": unit")}


def test_doctor_says_why_nothing_starts_under_the_unit(installed: Machine) -> None:
    """systemd-run itself prints nothing then."""
    drop_in(installed, "ReadWritePaths=/not-there")
    done = installed.run(DRD, "doctor", "--as-service", "shop", check=False)
    assert done.returncode == 1, done
    assert "systemd cannot start a command with the settings of drd.service: " in done.stderr
    assert "/not-there: No such file or directory" in " ".join(done.stderr.split())
    assert "systemctl edit drd" in done.stderr


def test_doctor_names_what_a_stricter_unit_forbids(installed: Machine) -> None:
    installed.sh("install -d /data/backups /tmp/backups")
    drop_in(
        installed,
        "ReadWritePaths=/data/backups /tmp/backups",
        "PrivateTmp=no",
        "InaccessiblePaths=/home",  # as ProtectHome=yes, but our interpreter may lie in /root
        "AmbientCapabilities=",
        "CapabilityBoundingSet=",
    )
    found = examined(installed)
    assert "ProtectHome=yes" in str(found["home: unit"]["detail"])
    assert "ProtectHome=read-only" in str(found["home: unit"]["hint"])
    assert "AmbientCapabilities=" in str(found["conf: unit"]["detail"])

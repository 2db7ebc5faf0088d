"""The service under its shipped unit stores at an SSH server, copies through rclone, and rehearses
from there."""

from __future__ import annotations

import json

import pytest

from tests.servers.nspawn import DRD, Machine

pytestmark = pytest.mark.xdist_group("systemd-far-repositories")

ANSWERS = "until ssh-keyscan -p 2222 127.0.0.1 2>/dev/null | grep -q .; do sleep 0.1; done"

SERVER = f"""
useradd -m -p '*' keeper
install -d -o keeper /srv/nas
install -d -o drd -g drd /srv/copies
install -d /etc/nas /run/sshd
cd /etc/nas
for name in host key; do ssh-keygen -q -t ed25519 -N '' -f $name; done
install -m 644 key.pub authorized
printf '%s\\n' 'Port 2222' 'ListenAddress 127.0.0.1' 'HostKey /etc/nas/host' 'UsePAM no' \
  'AuthorizedKeysFile /etc/nas/authorized' 'PidFile none' 'PasswordAuthentication no' \
  'Subsystem sftp internal-sftp' 'ForceCommand internal-sftp' >config
systemd-run -q --unit nas /usr/sbin/sshd -D -e -f /etc/nas/config
{ANSWERS}
ssh-keyscan -p 2222 127.0.0.1 >known 2>/dev/null
cd /etc/drd/credentials
install -m 600 /etc/nas/key nas-key
install -m 600 /etc/nas/known nas-known
echo 'a long password' >shop-restic
printf '[box]\\ntype = local\\n' >rclone-conf
chmod 600 *
"""

SHOP = """
plan: shop
objectives: {rpo: 1h, rto: 10m}
components:
  conf: {kind: files, paths: [/etc/shop]}
repositories:
  primary:
    url: sftp://keeper@127.0.0.1:2222//srv/nas/shop
    password: {credential: shop-restic}
    sftp: {key: {credential: nas-key}, known_hosts: {credential: nas-known}}
  second:
    url: rclone:box:/srv/copies/shop
    password: {credential: shop-restic}
    copy_of: primary
    rclone: {config: {credential: rclone-conf}}
backup: {every: 30m, jitter: none}
retention: {daily: 7}
checks:
  - {name: files, kind: files, component: conf}
drill: {every: 1h}
"""


def test_the_service_stores_copies_and_rehearses_with_secrets_in_no_file_and_no_command_line(
    system: Machine,
) -> None:
    system.run(DRD, "install")
    system.sh(SERVER)
    system.write("/etc/shop/conf", "a line")
    system.write("/etc/drd/plans/shop.yaml", SHOP)
    system.run("systemctl", "start", "drd")
    for kind in ("backup", "copy", "drill"):
        system.wait_for_run("shop", kind, 120)
    assert system.sh("stat -c %U /srv/nas/shop/config /srv/copies/shop/config").split() == [
        "keeper",
        "drd",
    ]
    done = system.run(DRD, "doctor", "--as-service", "--json", "shop", check=False)
    found = {item["name"]: item["severity"] for item in json.loads(done.stdout)["items"]}
    assert {name: s for name, s in found.items() if name.startswith("repository")} == dict.fromkeys(
        (name for name in found if name.startswith("repository")), "ok"
    )
    body = system.sh("sed -n 2p /etc/nas/key").strip()
    left = "grep -rlF -e '{}' /var/lib/drd /var/cache/drd /run/drd /tmp /var/tmp /dev/shm || true"
    assert system.sh(left.format(body)).split() == []
    assert body not in system.journal()
    # The server exchanged its key: nothing is stored there any more.
    system.sh("cd /etc/nas; rm host*; ssh-keygen -q -t ed25519 -N '' -f host; systemctl stop nas")
    system.sh("systemd-run -q --unit nas2 /usr/sbin/sshd -D -e -f /etc/nas/config")
    system.sh(ANSWERS)
    failed = system.run(DRD, "backup", "shop", check=False)
    assert failed.returncode != 0
    assert "does not have the key that `known_hosts` names" in failed.stdout + failed.stderr

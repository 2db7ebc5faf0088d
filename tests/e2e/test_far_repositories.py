"""A service whose repository only restic reaches, from the first backup to the loss of the host and
of the repository."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import light_repository
from tests.e2e.daemons import daemon, until
from tests.e2e.kit_site import Machine, printed_commands, run_bash
from tests.e2e.site import PASSWORD, Site, make_tree
from tests.e2e.test_kit_places import export, unpacked
from tests.repository_support import FAR
from tests.servers import RestServer, SshServer

pytestmark = pytest.mark.faults

BODY = """
components:
  conf: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: configuration, kind: files, component: conf}}
targets:
  standby:
    conf: {{path: {back}}}
"""


@dataclass
class FarSite:
    """`place` is the directory behind the repository; `access` are the options of a bootstrap, and
    `hidden` the secrets that nothing may show."""

    site: Site
    place: Path
    back: Path
    access: list[str]
    hidden: list[str]

    def drd(self, *words: str, code: int = 0) -> str:
        told = self.site.drd(*words, code=code)
        for secret in self.hidden:
            assert secret not in told.out + told.err
        return told.out + told.err

    def assert_back(self) -> None:
        etc = self.site.base / "etc"
        back = self.back / str(etc).lstrip("/")
        subprocess.run(["diff", "-r", "--no-dereference", etc, back], check=True)
        shutil.rmtree(self.back)


@pytest.fixture(params=FAR)
def far(request: pytest.FixtureRequest, short_tmp: Path) -> FarSite:
    base, scheme = short_tmp / "host", str(request.param)
    place, access, hidden = short_tmp / "repository", [], []
    if scheme == "sftp":
        ssh: SshServer = request.getfixturevalue("ssh")
        url, keys = ssh.url(place), {"key": ssh.key, "known_hosts": ssh.known_hosts()}
        hidden, plain = [ssh.key.splitlines()[1]], {}
    elif scheme == "rest":
        rest: RestServer = request.getfixturevalue("rest")
        place = rest.root / f"far-{secrets.token_hex(6)}"
        url, keys, plain = rest.url(place.name), {"password": rest.password}, {"user": rest.user}
        hidden = [rest.password]
    else:
        config = "[box]\ntype = local\npass = a-secret-of-rclone\n"
        url, keys, plain = f"rclone:box:{place}", {"config": config}, {}
        hidden = ["a-secret-of-rclone"]
    light_repository.begin(place, PASSWORD)
    site = Site(base, repository=url)
    settings = [f"{key}: {site.secret(key, value + chr(10))}" for key, value in keys.items()]
    settings += [f"{key}: {value}" for key, value in plain.items()]
    for name in keys:
        access += ["--access", f"{name}={site.base}/secrets/{name}"]
    for name, value in plain.items():
        access += ["--access", f"{name}={value}"]
    make_tree(site.base / "etc")
    body = BODY.format(base=site.base, back=short_tmp / "back")
    site.plan(body, s3=f"    {scheme}: {{{', '.join(settings)}}}\n")
    return FarSite(site, place, short_tmp / "back", access, hidden)


def test_service_comes_back_by_drd_by_hand_and_from_the_repository_alone(
    far: FarSite, short_tmp: Path
) -> None:
    far.drd("doctor", "shop")
    far.drd("backup", "shop")
    far.drd("drill", "shop")
    far.drd("recover", "shop", "--target", "standby", "--yes")
    far.assert_back()
    kit = export(far.site, "shop")
    assert "primary  the kit opens this repository; its newest restore point is" in far.drd(
        "kit", "verify", *kit[1:]
    )

    (short_tmp / "by-hand").mkdir()
    folder = unpacked(far.site, short_tmp / "by-hand")
    run_bash(printed_commands((folder / "runbooks/shop/runbook.md").read_text()), folder, {})
    far.assert_back()

    machine = Machine(short_tmp / "root")
    options = ("--password-file", f"{far.site.base}/secrets/restic", "--root", str(machine.root))
    words = ("bootstrap", "--repository", far.site.repository, *options)
    told = machine.drd(*words, *far.access, "--accept-commands")
    assert "shop: 1 restore point, newest" in told.out
    machine.after("recover", "shop", "--target", "standby", "--yes")
    far.assert_back()


def test_an_emptied_place_is_refused_and_makes_the_plan_breached(far: FarSite) -> None:
    far.drd("backup", "shop")
    shutil.rmtree(far.place)
    told = far.drd("backup", "shop", code=10)
    assert f"there is no repository at {far.site.repository}, but repository" in told
    assert not far.place.exists()
    with daemon(far.site) as running:
        until(lambda: "breached" in far.site.drd("status", code=None).out, "the verdict", running)
    far.site.assert_clean()

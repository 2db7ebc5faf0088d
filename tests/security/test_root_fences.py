"""Attack: the service's user puts a link where root is about to make a scratch directory for a
command of the plan. The fence lets the command write to where HOME leads, and the command runs as
root: so what it writes to lies where that user cannot put anything.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from drd import process
from drd.errors import SandboxUnavailable
from drd.flows.components.fence import for_command
from drd.ports import Inspector
from drd.process import Command, Fences
from drd.process.private import ROOTS_OWN, make_private
from tests.e2e.site import Site, make_tree
from tests.security.test_root_rights import owned, roots_files
from tests.user_support import as_root

pytestmark = as_root

OWNER = pwd.getpwnam("games")

PLAN = """
components:
  conf: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: configuration, kind: files, component: conf}}
  - {{name: looks, kind: command, component: conf, run: [sh, -c, "{writes}"]}}
runbook:
  - {{name: data, restore: all}}
  - {{name: prepares, command: {{run: [sh, -c, "{writes}"]}}}}
  - name: serves
    start: {{command: [sh, -c, "{writes}; exec sleep 60"], ready: {{command: [sh, -c,
        "{writes}"]}}}}
  - name: switches
    command: {{run: ["false"]}}
    rehearse: simulate
    with: [sh, -c, "{writes}"]
  - {{name: look, check: all}}
drill: {{every: 7d, read: [/var/lib]}}
"""

WRITES = (
    "echo $HOME; cd $HOME && pwd -P && touch written && test `id -u` = 0"
    " && test -e ../../stamp && ! cat ../../stamp && ! cat ../../../../of-another-state/note"
)
"""And what root has noted down there no command sees, whatever the plan lets it read: neither of
this state nor of another."""

LINKS = """
import os, sys
work, victim = sys.argv[1:]
while True:
    for name in os.listdir(work):
        for link in ("scratch", "started"):
            try:
                os.symlink(victim, f"{work}/{name}/{link}")
            except OSError:
                pass
"""


@pytest.fixture
def site(short_tmp: Path) -> Site:
    """Of a service user."""
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(PLAN.format(base=made.base, writes=WRITES))
    for name in ("state", "work", "cache", "repo"):
        owned(made.base / name)
    made.drd("backup", "shop")
    return made


@pytest.fixture(autouse=True)
def of_another_state() -> Iterator[None]:
    place = ROOTS_OWN / "of-another-state"
    make_private(ROOTS_OWN, 0o711)
    place.mkdir(exist_ok=True)
    (place / "note").write_text("note")
    yield
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def victim(short_tmp: Path) -> Path:
    place = short_tmp / "victim"
    place.mkdir(mode=0o755)
    return place


@contextmanager
def putting_links(site: Site, victim: Path) -> Iterator[None]:
    """In every directory of the work directory, by its owner."""
    user = [f"--reuid={OWNER.pw_uid}", f"--regid={OWNER.pw_gid}", "--clear-groups"]
    words = ["/usr/bin/python3", "-I", "-c", LINKS, str(site.base / "work"), str(victim)]
    loop = subprocess.Popen(["setpriv", *user, "--", *words])
    try:
        time.sleep(0.2)
        assert loop.poll() is None
        yield
    finally:
        loop.kill()
        loop.wait()


def drill(site: Site) -> list[Path]:
    """One that passes; the homes of its commands."""
    found = site.drd("drill", "shop", "--json").json
    assert found["result"] == "passed", found
    assert not [c for c in found["checks"] if c["verdict"] != "passed"], found["checks"]
    assert {"looks", "prepares", "serves", "switches"} <= set(found["fence"]["fenced"])
    told = site.catalogue("select result from steps where name in ('prepares', 'switches')")
    return [Path(p) for (text,) in told for p in re.findall(r"/[^\s\"\\]*scratch[^\s\"\\]*", text)]


def test_root_drills_a_plan_with_commands_of_every_kind(site: Site) -> None:
    homes = drill(site)
    assert len(homes) == 4, homes
    assert all(h.is_relative_to(ROOTS_OWN) for h in homes)
    assert roots_files(site, "state", "work", "cache", "repo") == []
    assert not [h for h in homes if h.parents[1].exists()]
    site.assert_clean()


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs the system's Python")
def test_link_of_the_owners_does_not_lead_a_command_of_roots(site: Site, victim: Path) -> None:
    with putting_links(site, victim):
        drill(site)
    assert list(victim.iterdir()) == []


def test_scratch_directory_that_is_a_link_is_refused(tmp_path: Path, victim: Path) -> None:
    box = Fences(wanted=())
    try:
        (tmp_path / "scratch").symlink_to(victim)
        with pytest.raises(SandboxUnavailable, match="because this drill did not make it"):
            for_command(box, "look", ["true"], [], tmp_path)
        (tmp_path / "scratch").unlink()
        fence = for_command(box, "look", ["true"], [], tmp_path)
        assert fence.home is not None
        assert fence.home.stat().st_uid == os.geteuid()
        os.chown(fence.home, OWNER.pw_uid, OWNER.pw_gid)
        with pytest.raises(SandboxUnavailable):
            for_command(box, "look", ["true"], [], tmp_path)
    finally:
        box.close()
    assert list(victim.iterdir()) == []


@pytest.mark.skipif(bool(Fences().missing), reason="this kernel has no whole fence to try")
def test_link_of_others_shows_a_command_of_the_plan_nothing(short_tmp: Path) -> None:
    """Whoever owns what is backed up can exchange what the plan's own words name."""
    shop, back, secret = short_tmp / "shop", short_tmp / "back", short_tmp / "secret"
    for place in (shop / "bin", back):
        place.mkdir(parents=True)
    secret.mkdir(mode=0o700)
    (secret / "key").write_text("key")
    (shop / "conf").write_text("conf")
    for name, target in {"own": "conf", "key": secret / "key", "ours": secret / "key"}.items():
        (shop / name).symlink_to(target)
    (shop / "pyvenv.cfg").touch()
    (shop / "bin/cat").symlink_to("/usr/bin/cat")
    for path in (shop, *shop.rglob("*")):
        if path.name != "ours":
            os.chown(path, OWNER.pw_uid, OWNER.pw_gid, follow_symlinks=False)
    (back / "db.sqlite").symlink_to(secret)

    def shows(*written: str) -> str:
        box = Fences()
        try:
            around = SimpleNamespace(places=[str(back / "db.sqlite")], sockets=())
            fence = for_command(box, "look", written, [cast("Inspector", around)], short_tmp)
            files = [*written[1:], str(secret / "key")]
            command = Command(("/usr/bin/cat", *files), cwd=short_tmp, fence=fence, deadline_s=30.0)
            return process.run(command).stdout
        finally:
            box.close()

    assert shows("cat", f"{shop}/key") == ""
    assert shows(f"{shop}/bin/cat", f"{shop}/own") == "conf"
    assert shows("cat", f"{shop}/ours") == "keykey"

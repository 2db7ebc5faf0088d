"""Attack: the service's user decides whether root acts for him.

Root asked once to whom the state's directory belongs, and followed links: with a link to a
directory of root's in its place, nothing that root holds against that user was held any more. Now
the whole way to the state is looked at, and links of others lead root to nobody's state but their
own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from drd.bootstrap import app
from drd.errors import DrdError
from drd.flows.root.trusted_rows import RootsRowTrust
from drd.process import rights
from drd.process.private import root_place
from drd.process.state_owner import owner_of
from tests.e2e.site import Site, make_tree
from tests.security.test_root_ledger import changes, output, stopped, with_runbook
from tests.user_support import NOBODY, as_root

pytestmark = as_root

OWNER = pwd.getpwnam("games")
NOGROUP = 65534


@pytest.fixture
def base(short_tmp: Path) -> Path:
    """Root's alone."""
    return short_tmp


def directory(place: Path, uid: int = 0, mode: int = 0o755) -> Path:
    place.mkdir()
    place.chmod(mode)
    os.chown(place, uid, -1)
    return place


def link(place: Path, to: Path, uid: int = 0) -> Path:
    place.symlink_to(to)
    os.lchown(place, uid, -1)
    return place


def whose(state: Path, work_dir: Path | None = None) -> int:
    return owner_of(state, work_dir or state).uid


def doubts(state: Path, work_dir: Path | None = None) -> str:
    """What is told of the way to it."""
    with mock.patch("drd.process.state_owner._warn") as told:
        whose(state, work_dir)
    return "".join(str(call.args) for call in told.call_args_list)


# --- where root acts for nobody -----------------------------------------------------------------


def test_a_state_in_a_directory_of_root_belongs_to_root(base: Path) -> None:
    assert whose(directory(base / "state", mode=0o700)) == 0
    assert whose(base / "missing/state") == 0


def test_link_of_root_is_followed(base: Path) -> None:
    data = directory(base / "data")
    assert whose(link(base / "lib", data)) == 0
    os.chown(data, OWNER.pw_uid, -1)
    assert whose(base / "lib") == OWNER.pw_uid
    mine = directory(base / "mine", OWNER.pw_uid)
    assert whose(link(mine / "work", data)) == OWNER.pw_uid


def test_directory_that_drd_shared_before_is_closed_by_drd(base: Path) -> None:
    assert whose(directory(base / "state", mode=0o2770)) == 0


def test_a_state_in_a_sticky_directory_belongs_to_its_own_owner(base: Path) -> None:
    tmp = directory(base / "tmp", mode=0o1777)
    assert whose(directory(tmp / "roots", mode=0o700)) == 0
    assert whose(directory(tmp / "theirs", OWNER.pw_uid)) == OWNER.pw_uid
    assert whose(base / "state", tmp) == 0
    assert whose(tmp / "new/state") == 0
    assert (tmp / "new").stat().st_uid == 0, "nobody else can make it any more"
    assert "other users can write" in doubts(tmp)


# --- where he decides ---------------------------------------------------------------------------


def test_first_owner_on_the_way_counts(base: Path) -> None:
    lib = directory(base / "lib", OWNER.pw_uid)
    assert whose(directory(lib / "state", OWNER.pw_uid)) == OWNER.pw_uid
    assert whose(lib / "missing") == OWNER.pw_uid
    assert whose(lib / "missing/../gone/state") == OWNER.pw_uid
    through = directory(base / "data", OWNER.pw_uid) / "state"
    assert whose(link(lib / "led", through)) == OWNER.pw_uid


def test_link_of_somebody_is_refused_by_name(base: Path) -> None:
    lib = directory(base / "lib", OWNER.pw_uid)
    for to in (Path("/usr"), Path("/var/tmp"), directory(base / "data", NOBODY), base / "missing"):
        led = link(lib / f"state-{to.name}", to, OWNER.pw_uid)
        with pytest.raises(DrdError) as caught:
            whose(led)
        assert str(led) in caught.value.message
        assert f"chown -h root: {led}" in caught.value.hint
    tmp = directory(base / "tmp", mode=0o1777)
    with pytest.raises(DrdError):
        whose(link(tmp / "state", Path("/usr"), OWNER.pw_uid))


def test_a_link_of_the_states_owner_is_followed(base: Path) -> None:
    """He has moved the state to a bigger disk. Whatever he makes of it, root acts as him."""
    lib, disk = directory(base / "lib", OWNER.pw_uid), directory(base / "disk")
    data = directory(disk / "state", OWNER.pw_uid)
    first = link(lib / "state", data, OWNER.pw_uid)
    assert whose(first) == OWNER.pw_uid
    assert whose(first / "missing") == OWNER.pw_uid
    assert not doubts(first)
    assert whose(link(lib / "over", first, OWNER.pw_uid)) == OWNER.pw_uid
    with pytest.raises(DrdError):
        whose(link(lib / "another", first, NOBODY))
    with pytest.raises(DrdError):
        whose(link(lib / "led", link(lib / "usr", Path("/usr")), OWNER.pw_uid))


def test_link_to_a_work_directory_beside_a_state_of_roots_is_refused(base: Path) -> None:
    """There root acts for nobody."""
    lib, state = directory(base / "lib", OWNER.pw_uid), directory(base / "state")
    work = directory(base / "work", OWNER.pw_uid)
    assert whose(state, link(base / "roots", work)) == 0
    with pytest.raises(DrdError):
        whose(state, link(lib / "work", work, OWNER.pw_uid))


def test_a_directory_of_a_third_user_is_reported(base: Path) -> None:
    lib = directory(base / "lib", OWNER.pw_uid)
    for uid in (0, NOBODY):
        state = directory(lib / f"state{uid}", uid)
        assert "games" in doubts(state)
        assert whose(state) == uid, "as the administrator has laid it out"


def test_a_directory_that_others_can_write_is_reported(base: Path) -> None:
    for mode in (0o777, 0o757):
        shared = directory(base / f"{mode}", mode=mode)
        for place in (shared, shared / "missing", directory(shared / "state")):
            assert f"chmod go-w {shared}" in doubts(place)
            assert whose(place) == 0
        assert whose(directory(shared / "theirs", OWNER.pw_uid)) == OWNER.pw_uid


def test_group_counts_by_who_is_in_it(base: Path) -> None:
    shared = directory(base / "shared", mode=0o775)
    assert whose(shared / "state") == 0
    assert not doubts(shared / "state")
    os.chown(shared, 0, OWNER.pw_gid)
    assert doubts(shared / "state")
    shared.chmod(0o755)
    assert not doubts(shared / "state")


def test_a_users_work_directory_of_roots_state_is_reported(base: Path) -> None:
    state, work = directory(base / "state"), directory(base / "work", OWNER.pw_uid)
    assert str(work) in doubts(state, work)
    assert whose(state, work) == 0
    os.chown(state, OWNER.pw_uid, -1)
    assert whose(state, work) == OWNER.pw_uid


# --- the whole of it ----------------------------------------------------------------------------


@pytest.fixture
def site(base: Path) -> Iterator[Site]:
    """The state and all above it that is drd's belong to the service's user."""
    made = Site(base)
    make_tree(base / "etc")
    made.plan(with_runbook(base))
    lib = directory(base / "lib", mode=0o700)
    (base / "state").rename(lib / "state")
    (base / "state").symlink_to("lib/state")
    file = base / "drd.yaml"
    file.write_text(file.read_text().replace(f"{base}/state", f"{lib}/state"))
    for name in ("lib", "work", "cache", "repo"):
        for path in (base / name, *(base / name).rglob("*")):
            os.lchown(path, OWNER.pw_uid, OWNER.pw_gid)
    made.drd("backup", "shop")
    return made


def by_owner(script: str) -> None:
    user = [f"--reuid={OWNER.pw_uid}", f"--regid={OWNER.pw_gid}", "--clear-groups"]
    subprocess.run(["setpriv", *user, "--", "sh", "-c", script], check=True)


def test_a_link_in_place_of_the_state_changes_nothing_for_root(site: Site) -> None:
    lib, run = site.base / "lib", stopped(site)
    changes(site, output("find", f"{site.base}/led"))
    elsewhere = directory(site.base / "open", mode=0o1777)
    by_owner(
        f"cp -r {lib}/state/. {elsewhere}; mv {lib}/state {lib}/old; ln -s {elsewhere} {lib}/state"
    )
    told = site.drd("resume", run, code=None)
    assert told.code != 0
    assert f"{lib}/state" in told.err
    assert not (site.base / "led.end").exists()
    by_owner(f"rm {lib}/state; mv {lib}/old {lib}/state")
    changes(site, output("find", f"{site.base}/honest"))
    site.drd("resume", run)
    assert (site.base / "honest.end").exists()


def test_a_decision_does_not_change_when_names_do(site: Site) -> None:
    lib = site.base / "lib"
    with app(str(site.base / "drd.yaml")) as opened:
        by_owner(f"mv {lib}/state {lib}/old; ln -s /usr {lib}/state")
        assert rights.acts_for() is not None
        assert (owner := rights.acts_for()) is not None
        assert opened.plans.trusted_users == {0, owner.uid}
        by_owner(f"rm {lib}/state; mv {lib}/old {lib}/state")
        plan = opened.plans.load("shop")
        assert isinstance(opened.services(plan).row_trust, RootsRowTrust)
    with app(str(site.base / "drd.yaml")) as opened:
        by_owner(f"mv {lib}/state {lib}/old")
        assert rights.acts_for() is not None
        assert opened.catalogue.plans.names() == []
        assert rights.acts_for() is not None
        assert (lib / "state").stat().st_uid == OWNER.pw_uid


def test_state_behind_a_link_of_its_owner_works(site: Site) -> None:
    disk = directory(site.base / "disk", mode=0o711)
    by_root = f"mv {site.base}/lib/state {disk}/state"
    subprocess.run(["sh", "-c", by_root], check=True)
    by_owner(f"ln -s {disk}/state {site.base}/lib/state")
    site.drd("backup", "shop")
    run = stopped(site)
    site.drd("resume", run)
    assert (site.base / "honest.end").exists()
    for path in (disk / "state").rglob("*"):
        assert path.stat().st_uid == OWNER.pw_uid, path


def test_state_of_root_behind_a_link_of_root_works(site: Site) -> None:
    base = site.base
    for name in ("lib", "work", "cache", "repo"):
        for path in (base / name, *(base / name).rglob("*")):
            os.lchown(path, 0, 0)
    (base / "lib").rename(base / "data")
    link(base / "lib", base / "data")
    site.drd("backup", "shop")
    with app(str(base / "drd.yaml")):
        assert rights.acts_for() is None
    (base / "go").touch()
    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert (base / "honest.end").exists()


# --- whom this host does not have ---------------------------------------------------------------


HOOKED = """
components:
  conf:
    kind: files
    paths: [{base}/etc]
    before: {{command: [sh, -c, "id -u >{base}/theirs/id; id -G >>{base}/theirs/id"]}}
checks:
  - {{name: files, kind: files, component: conf}}
  - {{name: looks, kind: command, component: conf, run: [sh, -c, "test -e $DRD_PATH"]}}
targets:
  standby: {{conf: {{path: {base}/back}}}}
drill: {{every: 7d}}
runbook:
  - {{name: bring, restore: [conf]}}
  - {{name: look, check: [files, looks]}}
  - {{name: say, command: {{run: [echo, up]}}}}
  - name: mark
    command: {{run: [touch, "{base}/honest"]}}
    rehearse: skip
    reason: it is for the recovery
    rollback: {{run: [rm, "{base}/honest"]}}
"""


def unknown() -> int:
    """A user id without an account: of a container's volume, or of the disk of a host that was
    lost."""
    known = {account.pw_uid for account in pwd.getpwall()}
    return next(uid for uid in range(4242, 60000) if uid not in known)


@pytest.mark.parametrize("gid", [None, 4343, 0])
def test_state_of_a_user_without_an_account(base: Path, gid: int | None) -> None:
    """Root acts as that number, with the group of the directory, unless that is root's own."""
    uid = OWNER.pw_uid if gid is None else unknown()
    theirs = directory(base / "theirs", uid)
    made = Site(base)
    make_tree(base / "etc")
    made.plan(HOOKED.format(base=base))
    for name in ("state", "work", "cache", "repo"):
        for path in (base / name, *(base / name).rglob("*")):
            os.lchown(path, uid, OWNER.pw_gid if gid is None else gid)
    made.drd("backup", "shop")
    acts_as, *groups = map(int, (theirs / "id").read_text().split())
    assert acts_as == uid
    if gid is not None:
        assert groups == [gid or NOGROUP]
    made.drd("drill", "shop")
    made.drd("recover", "shop", "--target", "standby", "--yes")
    assert (base / "honest").stat().st_uid == 0
    for path in ((base / "state"), *(base / "state").rglob("*"), *(base / "repo").rglob("*")):
        assert path.stat().st_uid == uid, path
    ((run,),) = made.catalogue("select id from runs where kind = 'recovery'")
    shutil.rmtree(root_place(base / "work"))
    told = made.drd("rollback", run, code=2).err
    words = f"setpriv --reuid={uid} --regid={gid or NOGROUP} --clear-groups"
    assert f"{'sudo -u games' if gid is None else words} drd rollback {run}" in told
    made.assert_clean()

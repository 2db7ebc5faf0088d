"""A secret file that others can read gives the backups away, and a plan that others can write runs
what they like: a new plan with one is refused, one that was in force before goes on and is an
alert.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import struct
from pathlib import Path

import pytest

from drd.config.exposed_files import exposed_plan, exposed_secret
from drd.flows.host.install import _replaceable
from tests.e2e.daemons import daemon, until
from tests.e2e.site import Site, small_site
from tests.user_support import NOBODY, as_root

MINE = frozenset({0, os.geteuid()})


def open_site(base: Path) -> Site:
    """Everybody gets through to its files."""
    site = small_site(base)
    for directory in (base, base / "secrets", base / "plans"):
        directory.chmod(0o755)
    return site


def test_new_plan_with_a_secret_for_everybody_is_refused(short_tmp: Path) -> None:
    site = open_site(short_tmp)
    secret = short_tmp / "secrets/restic"
    secret.chmod(0o644)
    told = site.drd("backup", "shop", code=2)
    assert f"{secret} can be read by anyone" in told.err
    assert f"chmod 600 {secret}" in told.err
    secret.chmod(0o600)
    site.drd("backup", "shop")


def test_new_plan_that_others_can_write_is_refused(short_tmp: Path) -> None:
    site = open_site(short_tmp)
    plan = short_tmp / "plans/shop.yaml"
    plan.chmod(0o666)
    told = site.drd("backup", "shop", code=2)
    assert f"{plan} can be written by anyone" in told.err
    plan.chmod(0o644)
    (short_tmp / "plans").chmod(0o777)
    assert "its directory" in site.drd("backup", "shop", code=2).err
    (short_tmp / "plans").chmod(0o755)
    site.drd("backup", "shop")


def read_by_all(site: Site) -> Path:
    secret = site.base / "secrets/restic"
    secret.chmod(0o644)
    return secret


def second_plan(site: Site) -> None:
    text = (site.base / "plans/shop.yaml").read_text()
    (site.base / "plans/other.yaml").write_text(text.replace("plan: shop", "plan: other"))


@as_root
def test_no_plan_is_new_while_a_catalogue_lies_set_aside(short_tmp: Path) -> None:
    """It knew them: whoever put another one in its place stops no backup by that."""
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    read_by_all(site)
    second_plan(site)
    assert "can be read by anyone" in site.drd("backup", "other", code=2).err, "the twin"
    os.chown(short_tmp / "state/drd.db", NOBODY, NOBODY)
    site.drd("backup", "shop")
    assert list((short_tmp / "state").glob("drd.db.not-ours-*"))
    site.drd("backup", "other")
    site.drd("catalogue", "rebuild")
    items = site.drd("doctor", "--json", code=None).json["items"]
    assert len([i for i in items if i["name"] == "exposed file"]) == 2


@as_root
def test_file_that_others_can_write_does_not_replace_a_lost_catalogue(
    short_tmp: Path,
) -> None:
    """Nobody knows the text any more that was in force."""
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    (short_tmp / "plans/shop.yaml").chmod(0o666)
    site.drd("backup", "shop")
    os.chown(short_tmp / "state/drd.db", NOBODY, NOBODY)
    for words in (("backup", "shop"), ("catalogue", "rebuild", "shop")):
        assert "can be written by anyone" in site.drd(*words, code=2).err
    (short_tmp / "plans/shop.yaml").chmod(0o644)
    site.drd("backup", "shop")


def test_no_plan_is_new_after_the_catalogue_was_lost(short_tmp: Path) -> None:
    """The cache shows that there was one, also to commands that come later."""
    site = open_site(short_tmp)
    second_plan(site)
    site.drd("backup", "shop")
    shutil.rmtree(short_tmp / "state")
    site.drd("points", "shop", code=None)
    read_by_all(site)
    site.drd("backup", "shop")
    site.drd("backup", "other")


def test_rebuild_after_everything_was_lost_but_the_plans(short_tmp: Path) -> None:
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    for place in ("state", "cache", "work"):
        shutil.rmtree(short_tmp / place)
    read_by_all(site)
    assert "can be read by anyone" in site.drd("backup", "shop", code=2).err, "the twin"
    site.drd("catalogue", "rebuild", "shop")
    site.drd("recover", "shop", "--target", "standby", "--yes")
    site.drd("backup", "shop")


def test_plan_in_force_goes_on_and_doctor_says_what_to_do(short_tmp: Path) -> None:
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    secret = short_tmp / "secrets/restic"
    secret.chmod(0o644)
    site.drd("backup", "shop")
    items = site.drd("doctor", "shop", "--json").json["items"]
    [found] = [i for i in items if i["name"] == "exposed file"]
    assert (found["ok"], found["warning"]) == (True, True)
    assert found["detail"] == f"{secret} can be read by anyone"
    assert f"chmod 600 {secret}" in found["hint"]


RECOVER = ("recover", "shop", "--target", "standby", "--yes")


def with_a_hook(text: str, proof: Path) -> str:
    hook = f"shop.db, before: {{command: [touch, {proof}]}}}}\n"
    return text.replace("shop.db}\n", hook, 1)


def test_new_text_of_a_file_that_others_can_write_is_not_taken(short_tmp: Path) -> None:
    """Root's next backup, or the next reload, ran what somebody had written there. The text in
    force goes on, in the same file as before, and whatever is in it now."""
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    plan, proof = short_tmp / "plans/shop.yaml", short_tmp / "proof"
    plan.chmod(0o666)
    assert "drd does not use the file" not in site.drd("backup", "shop").err
    plan.write_text(with_a_hook(plan.read_text(), proof))
    for words in (("backup", "shop"), ("drill", "shop"), ("verify", "shop"), RECOVER):
        told = site.drd(*words)
        assert f"{plan} can be written by anyone" in told.err
        assert f"chmod go-w {plan}" in told.err
    assert "can be written by anyone" in site.drd("status", "shop", code=None).out
    assert f"chmod go-w {plan}" in site.drd("kit", "export", "shop", "--to", "k", code=2).err
    assert not proof.exists()
    plan.chmod(0o644)
    site.drd("backup", "shop")
    assert proof.exists(), "whoever has looked at it takes it"
    assert "can be written by anyone" not in site.drd("status", "shop", code=None).out


@pytest.mark.parametrize("text", ["", "plan: shop\nobjectives: [\n", "plan: shop\n"])
def test_breaking_a_writable_plan_file_stops_no_recovery(short_tmp: Path, text: str) -> None:
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    plan = short_tmp / "plans/shop.yaml"
    plan.write_text(text)
    assert site.drd(*RECOVER, code=2).err, "the twin: a broken file of root's own is root's to mend"
    plan.chmod(0o666)
    told = site.drd(*RECOVER)
    assert "uses the text that drd loaded before" in told.err
    assert f"chmod go-w {plan}" in told.err
    site.drd("backup", "shop")


def test_another_file_is_not_answered_with_the_text_in_force(short_tmp: Path) -> None:
    """Whoever names a file means that one."""
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    plan, other = short_tmp / "plans/shop.yaml", short_tmp / "other.yaml"
    other.write_text(with_a_hook(plan.read_text(), short_tmp / "proof"))
    other.chmod(0o666)
    assert "drd does not use the file" in site.drd("backup", str(other), code=2).err


@as_root
def test_root_believes_no_stored_text_in_the_state_of_another_user(short_tmp: Path) -> None:
    """Who can write there could have stored it: root has to look at the file."""
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    plan = short_tmp / "plans/shop.yaml"
    for place in (short_tmp / "state", *(short_tmp / "state").rglob("*")):
        os.chown(place, NOBODY, NOBODY)
    plan.write_text(with_a_hook(plan.read_text(), short_tmp / "proof"))
    plan.chmod(0o666)
    for words in (("backup", "shop"), RECOVER):
        assert f"chmod go-w {plan}" in site.drd(*words, code=2).err
    assert not (short_tmp / "proof").exists()


def test_daemon_goes_on_by_the_text_in_force(short_tmp: Path) -> None:
    site = open_site(short_tmp)
    plan = short_tmp / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "\nbackup: {every: 1h}\n")
    site.drd("backup", "shop")
    text = plan.read_text()

    def every() -> str:
        items = site.drd("schedule", "shop", "--json").json["items"]
        return str(next(i["why"] for i in items if i["kind"] == "backup"))[:8]

    with daemon(site) as running:
        until(lambda: every() == "every 1h", "the plan", running)
        plan.chmod(0o666)
        plan.write_text(text.replace("1h", "2h"))
        running.reload()
        until(lambda: running.events("plan.refused"), "the refusal", running)
        assert f"chmod go-w {plan}" in running.events("plan.refused")[0]["hint"]
        assert every() == "every 1h"
        plan.chmod(0o644)
        running.reload()
        until(lambda: every() == "every 2h", "the new text", running)


def test_readiness_lists_what_doctor_says_of_exposed_files(short_tmp: Path) -> None:
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    assert "exposed file" not in site.drd("readiness", "shop", code=None).out
    (short_tmp / "plans/shop.yaml").chmod(0o666)
    assert "exposed file" in site.drd("readiness", "shop", code=None).out
    secret = short_tmp / "secrets/restic"
    secret.chmod(0o644)
    warned = site.drd("backup", "shop").err
    assert (
        f"{secret} can be read by anyone. To correct the access rights: chmod 600 {secret}"
        in warned
    )


def test_daemon_alerts_for_the_plan_of_before_until_it_is_put_right(short_tmp: Path) -> None:
    site = open_site(short_tmp)
    site.drd("backup", "shop")
    secret = short_tmp / "secrets/restic"
    secret.chmod(0o644)
    plan = short_tmp / "plans/shop.yaml"
    (short_tmp / "plans/new.yaml").write_text(plan.read_text().replace("plan: shop", "plan: new"))
    plan.chmod(0o666)

    def alerts() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for alert in site.drd("alerts", "--json").json["alerts"]:
            found.setdefault(alert["kind"], []).append(alert["plan"])
        return found

    with daemon(site) as running:
        until(lambda: "exposed-file" in alerts(), "the alert", running)
        assert alerts()["exposed-file"] == ["shop"]
        [told] = [
            a["message"]
            for a in site.drd("alerts", "--json").json["alerts"]
            if a["kind"] == "exposed-file"
        ]
        assert "and 1 other file is exposed, too: `drd doctor` lists all" in told
        named = site.drd("doctor", "shop", code=None).out
        assert str(secret) in named
        assert str(plan) in named
        plan.chmod(0o644)
        [refused] = running.events("plan.refused")
        assert refused["plan"] == "new"
        assert "can be read by anyone" in refused["error"]
        secret.chmod(0o600)
        running.reload()
        until(lambda: "exposed-file" not in alerts(), "its end", running)
        assert len(running.events("plan.refused")) == 1


@as_root
def test_group_of_readers_is_not_trusted_and_roots_own_is(tmp_path: Path) -> None:
    place = Path(os.path.realpath("/var/tmp")) / f"exposed-{os.getpid()}"
    place.write_text("secret")
    try:
        place.chmod(0o640)
        assert exposed_secret(str(place), MINE) is None, "group root has nobody but root"
        group = grp.getgrnam("games").gr_gid
        os.chown(place, 0, group)
        found = exposed_secret(str(place), MINE)
        assert found is not None
        assert found.why == "can be read by group games"
        os.chown(place, 65534, 0)
        strange = exposed_secret(str(place), MINE)
        assert strange is not None
        assert strange.why.startswith("belongs to ")
    finally:
        place.unlink()


def test_file_behind_a_closed_directory_is_not_exposed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    secret = closed / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    assert exposed_secret(str(secret), MINE) is None
    assert exposed_secret(str(closed / "missing"), MINE) is None


@pytest.mark.parametrize(("mode", "bad"), [(0o644, False), (0o664, True), (0o646, True)])
def test_plan_file_by_its_mode(tmp_path: Path, mode: int, *, bad: bool) -> None:
    plan = tmp_path / "p.yaml"
    plan.write_text("plan: p\n")
    if os.geteuid() == 0:
        os.chown(plan, 0, grp.getgrnam("games").gr_gid)
    plan.chmod(mode)
    found = exposed_plan(str(plan), MINE)
    if mode == 0o664 and os.geteuid() != 0:
        return  # a private group of one's own is nobody else's
    assert (found is not None) == bad


def test_user_on_an_access_control_list_is_seen(short_tmp: Path) -> None:
    """The mode shows its mask as the rights of a group in which nobody else is."""

    def listed(file: Path, uid: int, mask: int) -> None:
        nobody = 0xFFFFFFFF
        entries = [
            (1, 6, nobody),
            (2, 6, uid),
            (4, 0, nobody),
            (0x10, mask, nobody),
            (0x20, 0, nobody),
        ]
        data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
        try:
            os.setxattr(file, "system.posix_acl_access", data)
        except OSError as error:
            pytest.skip(f"this file system keeps no access control lists: {error}")

    secret = short_tmp / "secret"
    secret.touch(mode=0o600)
    listed(secret, NOBODY, 4)
    found = exposed_secret(str(secret), MINE)
    assert found is not None
    assert (
        found.why == f"can be read by user {pwd.getpwuid(NOBODY).pw_name} "
        "(through the file's access control list)"
    )
    assert found.remedy == f"setfacl -b {secret} && chmod 600 {secret}"
    listed(secret, NOBODY, 0)
    assert exposed_secret(str(secret), MINE) is None, "the mask takes it away"
    listed(secret, os.geteuid(), 6)
    assert exposed_secret(str(secret), MINE) is None, "the healthy twin"
    listed(secret, NOBODY, 6)
    found = exposed_plan(str(secret), MINE)
    assert found is not None
    assert "can be written by user" in found.why


# --- drd itself -----------------------------------------------------------------------------------


@as_root
@pytest.mark.parametrize("whose", ["directory", "file", "root"])
def test_an_installation_that_others_can_change_is_reported(tmp_path: Path, whose: str) -> None:
    """Whoever can replace drd's program gets its keys, and root's rights with the next command."""
    program = tmp_path / "venv/bin/drd"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    exposed = {"directory": program.parents[1], "file": program}.get(whose)
    if exposed is not None:
        os.chown(exposed, 65534, 65534)
    told = [note for note in _replaceable([str(program)]) if str(tmp_path) in note]
    assert len(told) == (exposed is not None)
    if exposed is not None:
        assert f"{exposed} belongs to user nobody" in told[0]
        assert "Install drd where only root can write" in told[0]

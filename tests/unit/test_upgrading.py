"""What `drd install --dry-run` says before an upgrade."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drd.catalogue.migrate import OURS, Schema
from drd.catalogue.sql_catalogue import open_catalogue
from drd.catalogue.version import HEAD
from drd.cli.upgrading import notices
from tests.user_support import NOBODY, as_root


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "plans").mkdir()
    file = tmp_path / "drd.yaml"
    file.write_text(f"state: sqlite:///{tmp_path}/state/drd.db\nwork_dir: work\ncache_dir: cache\n")
    return file


def said(config: Path) -> list[str]:
    return [f"{n.kind}: {n.text}" for n in notices(str(config), config.parent)]


def test_first_installation_has_nothing_to_upgrade(config: Path) -> None:
    assert said(config) == []


def test_state_of_before_says_what_changes_and_only_looks(config: Path) -> None:
    state = config.parent / "state"
    of_before = Schema(OURS.scripts, "0004")
    open_catalogue(f"sqlite:///{state}/drd.db", create=True, schema=of_before).close()
    state.chmod(0o2770)
    (state / "drd.db").chmod(0o660)

    found = said(config)

    closed, made, renewed, migrated = found
    removed = (
        "changes: the next start of drd removes the access rights of the group and of other users"
    )
    assert closed == f"{removed} from {state}, {state}/drd.db"
    creates = f"the next start of drd creates {state}-public, which the group drd can read"
    assert made == f"changes: {creates}"
    assert renewed.startswith(f"changes: {state}/drd.db can be opened by other users")
    assert migrated.startswith(
        f"changes: the next start of drd upgrades the catalogue from version 0004 to {HEAD}, and"
    )
    assert migrated.endswith(f"first copies it to {state}/drd.db.before-{HEAD}")
    assert oct(state.stat().st_mode)[-4:] == "2770"


@as_root
def test_files_of_others_in_an_old_state_are_reported_and_kept(config: Path) -> None:
    state = config.parent / "state"
    open_catalogue(f"sqlite:///{state}/drd.db", create=True).close()
    (config.parent / "state-public").mkdir()
    (state / "theirs").symlink_to(config)
    (config.parent / "second").hardlink_to(state / "drd.db")
    (state / "locks").rename(state / "former")
    (state / "theirs").rename(state / "locks")
    (state / "drd.db-shm").symlink_to(config)
    for name in ("locks", "drd.db-shm"):
        os.chown(state / name, NOBODY, NOBODY, follow_symlinks=False)
    before = sorted(state.iterdir())

    found = said(config)

    assert all(
        f"{state}/{name}" in line
        for name, line in zip(("drd.db-shm", "drd.db", "locks"), found, strict=True)
    )
    assert "removed" in found[0]
    assert "into a new file" in found[1]
    assert "set aside" in found[2]
    assert sorted(state.iterdir()) == before
    (state / "drd.db").unlink()
    (state / "drd.db").touch()
    os.chown(state / "drd.db", NOBODY, NOBODY)
    assert any(
        n.startswith("person: ") and "drd.db belongs to user nobody" in n for n in said(config)
    )


def test_state_of_this_version_has_nothing_to_say(config: Path) -> None:
    state = config.parent / "state"
    open_catalogue(f"sqlite:///{state}/drd.db", create=True).close()
    (config.parent / "state-public").mkdir()

    assert said(config) == []


@as_root
def test_secret_that_others_can_read_needs_a_person(config: Path, short_tmp: Path) -> None:
    secret = short_tmp / "password"
    secret.write_text("x")
    secret.chmod(0o644)
    os.chown(secret, 0, 0)
    (config.parent / "plans/shop.yaml").write_text(
        "plan: shop\nowner: us\nobjectives: {rpo: 15m, rto: 30m}\n"
        "components: {conf: {kind: files, paths: [/etc]}}\n"
        f"repositories: {{primary: {{url: /srv/x, password: {{file: {secret}}}}}}}\n"
    )

    assert f"person: {secret} can be read by anyone" in "\n".join(said(config))


def test_drop_in_that_opens_the_state_again_needs_a_person(config: Path) -> None:
    drop_ins = config.parent / "etc/systemd/system/drd.service.d"
    drop_ins.mkdir(parents=True)
    (drop_ins / "mine.conf").write_text("[Service]\nUMask=0007\n")

    [found] = said(config)

    assert found.startswith(f"person: {drop_ins}/mine.conf overrides UMask, for which the new unit")


def test_drd_yaml_that_is_broken_is_refused_before(config: Path) -> None:
    config.write_text("states: x\n")

    [found] = said(config)

    assert found.startswith("refused: ")

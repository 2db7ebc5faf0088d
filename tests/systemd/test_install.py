"""`drd install` and `drd uninstall` below a prefix: nothing of the running system is touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from drd.cli.main import main
from drd.flows.host.shipped_files import is_as_put, with_digest
from tests import warm
from tests.e2e.site import Result
from tests.user_support import NOBODY, acting_as, as_root

PLACES = {
    "etc/systemd/system/drd.service",
    "etc/systemd/system/drd-mounter.socket",
    "etc/systemd/system/drd-mounter@.service",
    "etc/sysusers.d/drd.conf",
    "etc/tmpfiles.d/drd.conf",
    "etc/drd/drd.yaml",
}


def drd(*words: str, code: int = 0) -> Result:
    done = warm.run(words, env=os.environ)
    assert done.returncode == code, done
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def files(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def actions(prefix: Path, verb: str = "install", *more: str) -> dict[str, str]:
    """What a verb does, by path below the prefix."""
    steps = drd(verb, "--prefix", str(prefix), "--json", *more).json["steps"]
    return {s["subject"].removeprefix(f"{prefix}/").rstrip("/"): s["action"] for s in steps}


def test_dry_run_writes_nothing_and_says_the_same(tmp_path: Path) -> None:
    prefix = tmp_path / "root"
    said = actions(prefix, "install", "--dry-run")
    assert not prefix.exists()
    assert actions(prefix) == said


def test_a_second_install_changes_nothing(tmp_path: Path) -> None:
    first = actions(tmp_path)
    assert files(tmp_path) == PLACES
    assert {p for p, action in first.items() if action == "write"} == PLACES
    assert first["etc/drd/credentials"] == "make"
    assert stat.S_IMODE((tmp_path / "etc/drd/credentials").stat().st_mode) == 0o700
    before = {p: (tmp_path / p).stat().st_mtime_ns for p in PLACES}
    assert set(actions(tmp_path).values()) <= {"unchanged", "keep"}
    assert {p: (tmp_path / p).stat().st_mtime_ns for p in PLACES} == before


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        drd("install", "--prefix", str(tmp_path))
    finally:
        os.umask(before)
    assert all((tmp_path / p).stat().st_mode & 0o777 == 0o644 for p in PLACES)
    assert (tmp_path / "etc/drd/plans").stat().st_mode & 0o777 == 0o755


def test_uninstall_removes_what_install_put_and_nothing_else(tmp_path: Path) -> None:
    drd("install", "--prefix", str(tmp_path))
    mine = {"etc/drd/plans/shop.yaml", "etc/drd/credentials/shop-restic", "var/lib/drd/drd.db"}
    for path in mine:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("mine")
    said = drd("uninstall", "--prefix", str(tmp_path))
    assert files(tmp_path) == mine
    assert "contains shop.yaml" in said.out
    assert f"state stays in {tmp_path}/var/lib/drd" in said.err
    assert set(actions(tmp_path, "uninstall").values()) == {"keep"}


def test_uninstall_leaves_no_empty_directory_of_its_own(tmp_path: Path) -> None:
    drd("install", "--prefix", str(tmp_path))
    drd("uninstall", "--prefix", str(tmp_path))
    assert not (tmp_path / "etc/drd").exists()
    assert drd("uninstall", "--prefix", str(tmp_path)).out == (
        "the service of drd is not installed here\n"
    )


@pytest.mark.parametrize("path", sorted(PLACES))
def test_a_file_that_somebody_changed_is_kept_by_install_and_uninstall(
    tmp_path: Path, path: str
) -> None:
    drd("install", "--prefix", str(tmp_path))
    place = tmp_path / path
    place.write_text(place.read_text() + "# mine\n")
    assert actions(tmp_path)[path] == "keep"
    assert actions(tmp_path, "uninstall")[path] == "keep"
    assert place.read_text().endswith("# mine\n")


def test_files_of_an_older_drd_are_replaced_except_the_configuration(tmp_path: Path) -> None:
    drd("install", "--prefix", str(tmp_path))
    older = with_digest(b"# as it was\n", about="").replace(b"# drd ", b"# drd 0.0.", 1)
    assert is_as_put(older)
    for path in PLACES:
        (tmp_path / path).write_bytes(older)
    done = actions(tmp_path)
    assert {done[p] for p in PLACES - {"etc/drd/drd.yaml"}} == {"update"}
    assert done["etc/drd/drd.yaml"] == "keep"


def test_link_is_not_written_through(tmp_path: Path) -> None:
    masked = tmp_path / "etc/systemd/system/drd.service"
    masked.parent.mkdir(parents=True)
    masked.symlink_to(tmp_path / "elsewhere")
    assert actions(tmp_path)["etc/systemd/system/drd.service"] == "keep"
    assert actions(tmp_path, "uninstall")["etc/systemd/system/drd.service"] == "keep"
    assert not (tmp_path / "elsewhere").exists()


def test_credentials_readable_by_others_are_reported(tmp_path: Path) -> None:
    (tmp_path / "etc/drd/credentials").mkdir(parents=True, mode=0o755)
    said = drd("install", "--prefix", str(tmp_path)).err
    assert f"chmod 0700 {tmp_path}/etc/drd/credentials" in said


def test_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file")
    said = drd("install", "--prefix", str(tmp_path), code=1).err
    assert f"cannot change {tmp_path}/etc/" in said
    assert "HINT: " in said


@as_root
def test_other_users_are_told_what_they_can_do(capfd: pytest.CaptureFixture[str]) -> None:
    with acting_as(NOBODY):
        assert main(["install"]) == 2
        assert main(["install", "--dry-run"]) == 0
    said = capfd.readouterr()
    assert "only root can change the system's services" in said.err
    assert "--prefix" in said.err
    assert "would write" in said.out

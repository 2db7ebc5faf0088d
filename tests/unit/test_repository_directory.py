"""Whether the user who runs drd may write in the directory of a repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drd.errors import RepositoryReadOnly
from drd.repositories.local import LocalPlace
from tests import light_repository
from tests.user_support import NOBODY, acting_as, as_root


@as_root
@pytest.mark.parametrize("inner", ["", "keys", "snapshots", "index", "data", "data/7f", "locks"])
def test_repository_of_another_user_needs_a_new_owner_in_all_its_directories(
    short_tmp: Path, inner: str
) -> None:
    place = short_tmp / "repo"
    light_repository.begin(place, "x")
    for path in (short_tmp, place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        if path != place / inner:
            os.chown(path, NOBODY, NOBODY)
    with acting_as(NOBODY), pytest.raises(RepositoryReadOnly) as refused:
        LocalPlace(place).preflight()
    assert refused.value.message == f"user nobody cannot write in {(place / inner)}"
    assert refused.value.hint.endswith(
        f"run as root, to give the repository to this user: chown -R nobody {place}"
    )
    (place / inner).chmod(0o777)
    with acting_as(NOBODY):
        LocalPlace(place).preflight()


@as_root
def test_directory_that_is_to_be_made_beside_those_of_others_is_made_by_root(
    short_tmp: Path,
) -> None:
    short_tmp.chmod(0o755)
    with acting_as(NOBODY), pytest.raises(RepositoryReadOnly) as refused:
        LocalPlace(short_tmp / "repo").preflight()
    assert refused.value.hint.endswith(f"install -d -o nobody -m 700 {short_tmp}/repo")


def test_full_disk_is_named_before_restic_fails_at_its_lock(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = short_tmp / "repo"
    light_repository.begin(place, "x")
    space = os.statvfs(place)
    full = os.statvfs_result((*space[:3], 0, 0, *space[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(RepositoryReadOnly, match="no space left for the repository") as refused:
        LocalPlace(place).preflight()
    assert "drd prune needs a little free space, too" in refused.value.hint
    LocalPlace(place).preflight(writing=False)

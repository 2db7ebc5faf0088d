"""`drd plan new --adopt` of a bucket that has no repository of restic."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

import pytest

from drd.cli import plan_adopt
from drd.config.daemon import DaemonSettings
from drd.errors import RepositoryMissing


def missing(*_: object) -> NoReturn:
    raise RepositoryMissing("there is no repository", hint="check the disk", state="gone")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        (
            "s3:https://s3.example.com/acme/shop",
            "If the bucket contains dumps, and no repository, leave out --password-file",
        ),
        ("sftp:backup@nas:/srv/restic", "check the disk"),
    ],
)
def test_a_bucket_without_a_repository_may_have_dumps_and_the_remedy_says_how_to_adopt_these(
    url: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_adopt, "survey", missing)
    password = tmp_path / "password"
    password.write_text("x")
    password.chmod(0o600)
    args = argparse.Namespace(adopt=url, password_file=str(password), host=None, tag=None)
    with pytest.raises(RepositoryMissing) as caught:
        plan_adopt.adopted(args, "shop", DaemonSettings("", tmp_path, tmp_path, tmp_path))
    assert str(caught.value.hint).endswith(hint)
    assert caught.value.state == "gone"

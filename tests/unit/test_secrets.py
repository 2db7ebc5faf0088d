"""Secret references lead to the secret, and to nothing else."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd import log
from drd.errors import SecretUnavailable
from drd.model.plan import SecretRef
from drd.model.units import format_time
from drd.secrets import resolve
from tests.user_support import NOBODY, acting_as, as_root


def test_file_without_its_trailing_newline(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("se cret \n")
    assert resolve(SecretRef("file", str(tmp_path / "s"))) == "se cret "


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """What systemd handed over, and the directory of credentials."""
    handed, lying = tmp_path / "handed", tmp_path / "lying"
    handed.mkdir()
    lying.mkdir()
    (lying / "db").write_text("from-etc")
    return handed, lying


DB = SecretRef("credential", "db")


@pytest.mark.parametrize("name", ["drd_db", "db"])
def test_service_has_the_credential_that_systemd_gave_it(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    handed, lying = places
    assert resolve(DB, credentials=lying) == "from-etc"
    (handed / name).write_text("from-systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    assert resolve(DB, credentials=lying) == "from-systemd"


def test_credential_written_after_the_start_of_the_service_needs_a_restart(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed, lying = places
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    os.utime(lying / "db", (0, 0))  # it was moved here, and has the time of its text
    moved_at = datetime.fromtimestamp((lying / "db").stat().st_ctime, UTC)
    with pytest.raises(SecretUnavailable) as caught:
        resolve(DB, credentials=lying)
    assert caught.value.message == (
        f"the service does not have credential db: {lying}/db was added at "
        f"{format_time(moved_at, seconds=True)}, after the service started"
    )
    assert caught.value.hint.startswith("systemctl restart drd")
    with pytest.raises(SecretUnavailable, match="the service started without credential") as caught:
        resolve(SecretRef("credential", "other"), credentials=lying)
    assert caught.value.message.endswith(f", and {lying}/other does not exist")
    assert str(lying / "other") in caught.value.hint
    assert "systemctl restart drd" in caught.value.hint


@as_root
def test_credentials_of_root_are_refused_to_others_with_the_remedy(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying = short_tmp / "credentials"
    lying.mkdir(mode=0o700)
    (lying / "db").write_text("from-etc")
    with acting_as(NOBODY), pytest.raises(SecretUnavailable, match="Permission") as caught:
        resolve(DB, credentials=lying)
    assert caught.value.hint == "run this command as root, or as the owner of the file."
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(short_tmp))
    with (
        acting_as(NOBODY),
        pytest.raises(SecretUnavailable, match="the service started without credential"),
    ):
        resolve(DB, credentials=lying)


def test_a_secret_comes_from_the_environment_or_from_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_SECRET", "from-environment")
    assert resolve(SecretRef("env", "A_SECRET")) == "from-environment"
    assert resolve(SecretRef("command", ("echo", "from-command"))) == "from-command"


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        (SecretRef("file", "/no/such/file"), "/no/such/file"),
        (SecretRef("env", "NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE"),
        (SecretRef("credential", "not-there"), "not-there"),
        (SecretRef("command", ("false",)), "exited with 1"),
        (SecretRef("command", ("true",)), "is empty"),
    ],
)
def test_unresolvable_references_are_named(ref: SecretRef, told: str) -> None:
    with pytest.raises(SecretUnavailable, match=told):
        resolve(ref)


def test_failing_command_does_not_repeat_what_it_printed() -> None:
    with pytest.raises(SecretUnavailable) as caught:
        resolve(SecretRef("command", ("sh", "-c", "echo half-a-secret; exit 3")))
    assert "half-a-secret" not in caught.value.message + caught.value.hint


def test_resolved_secret_is_masked_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("correct-horse-battery")
    resolve(SecretRef("file", str(tmp_path / "s")))
    assert log.masked("password is correct-horse-battery!") == "password is ***!"


def test_lines_of_a_secret_and_its_json_are_masked(tmp_path: Path) -> None:
    secret = 'first-line-of-it\nsecond "line" caf\u00e9\nxy'
    (tmp_path / "s").write_text(secret)
    resolve(SecretRef("file", str(tmp_path / "s")))
    for text in (secret, *secret.split("\n")[:2]):
        for form in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
            assert log.masked(f"it is {form}!") == "it is ***!"
    assert log.masked("xy is no secret") == "xy is no secret", "too short a line"


def test_credential_that_is_a_directory_is_to_be_removed(tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.mkdir()
    with pytest.raises(SecretUnavailable) as refused:
        resolve(SecretRef("file", str(place)))
    assert refused.value.message == f"cannot read secret file {place}: it is not a regular file"
    assert refused.value.hint.startswith(f"remove {place}, and write the secret into a file")

"""Secret references lead to the secret, and to nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd import log
from drd.errors import SecretUnavailable
from drd.model.plan import SecretRef
from drd.secrets import resolve


def test_file_without_its_trailing_newline(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("se cret \n")
    assert resolve(SecretRef("file", str(tmp_path / "s"))) == "se cret "


def test_credential_of_systemd_comes_before_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed, lying = tmp_path / "handed", tmp_path / "lying"
    for place, value in ((handed, "from-systemd"), (lying, "from-etc")):
        place.mkdir()
        (place / "db").write_text(value)
    ref = SecretRef("credential", "db")
    assert resolve(ref, credentials=lying) == "from-etc"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    assert resolve(ref, credentials=lying) == "from-systemd"


def test_environment_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_what_leads_nowhere_is_named(ref: SecretRef, told: str) -> None:
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

"""A new password that is a credential has to be among those that the running service was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd import secrets
from drd.cli import in_force
from drd.model.plan import SecretRef

NEW = SecretRef("credential", "orders-2")


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the service got; the new credential is there for root."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/orders-2").write_text("new password\n")
    given = tmp_path / "given"
    given.mkdir()
    monkeypatch.setattr(in_force, "_HANDED_OVER", given)
    monkeypatch.setattr(secrets, "_read", reads(tmp_path / "etc"))
    return given


def reads(credentials: Path) -> object:
    read = secrets._read
    return lambda ref, _: read(ref, credentials)


@pytest.mark.parametrize("stale", [None, "old password"])
def test_rekey_waits_until_the_service_has_it(given: Path, stale: str | None) -> None:
    if stale is not None:
        (given / "drd_orders-2").write_text(stale)
    [why] = in_force._lacks_credential(NEW)
    restart = "(run `systemctl restart drd`)"
    assert why == f"the service has loaded the {NEW.describe()} {restart}"


@pytest.mark.parametrize("name", ["drd_orders-2", "orders-2"])
def test_rekey_goes_on_when_the_service_has_it(given: Path, name: str) -> None:
    """With the prefix of the shipped unit, or by a LoadCredential= of one's own."""
    (given / name).write_text("new password")
    assert in_force._lacks_credential(NEW) == []


def test_other_secrets_and_hosts_without_a_service_wait_for_nothing(
    given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_force._lacks_credential(SecretRef("file", "/root/new")) == []
    monkeypatch.setattr(in_force, "_HANDED_OVER", given / "none")
    assert in_force._lacks_credential(NEW) == []

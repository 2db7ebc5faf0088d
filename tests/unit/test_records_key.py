"""The key of the records, as long as a run of the service needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.flows.records.key import RecordKey
from drd.signing import new_key


def test_a_service_signs_also_when_systemd_has_taken_its_credentials_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does when the host shuts down, before the last runs have ended."""
    copy = tmp_path / "drd_drd-records-key"
    copy.write_text(new_key())
    copy.chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    key = RecordKey()
    copy.unlink()
    signer = key("")
    assert signer is not None
    assert key(signer.public.id) is signer
    assert RecordKey()("") is None, "a service that began without it"

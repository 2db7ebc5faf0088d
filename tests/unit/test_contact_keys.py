"""PGP keys of contacts are tried before an incident: by `drd config check` and `drd doctor`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.cli.main import main
from drd.config.contact_keys import findings
from drd.config.daemon import load_settings
from tests.notify_support import gnupg, pgp_key

Output = pytest.CaptureFixture[str]


@pytest.fixture
def key() -> Iterator[str]:
    with gnupg() as gpg:
        yield pgp_key(gpg)


def contact(name: str, key: str) -> str:
    block = "\n".join(f"      {line}" for line in key.splitlines())
    return f"  - name: {name}\n    kind: customer\n    mail: it@acme.example\n    pgp: |\n{block}\n"


def test_a_key_to_which_gpg_does_not_encrypt_is_told(
    tmp_path: Path, key: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = key.replace(f"{key.splitlines()[3]}\n", "")
    file = tmp_path / "drd.yaml"
    phone = "  - {name: Press, kind: press, phone: '110'}\n"
    file.write_text(f"plans: .\ncontacts:\n{phone}{contact('Acme', key)}{contact('Bad', damaged)}")
    line = 1 + file.read_text().splitlines().index("  - name: Bad") + 3

    def told() -> list[tuple[int, str, str, str]]:
        assert main(["config", "check", str(file), "--json"]) == 0
        warnings = json.loads(capsys.readouterr().out)["warnings"]
        return [(w["line"], w["path"], w["message"], w["hint"]) for w in warnings]

    [(at, path, message, hint)] = told()
    assert (at, path) == (line, "contacts[2].pgp")
    assert message.startswith("gpg cannot encrypt to the contact's PGP key: gpg: ")
    assert hint.startswith("ask the contact for a key that is valid now")
    settings = load_settings(file, explicit=True)
    good, bad = findings(settings)
    assert (good.name, good.severity) == ("Acme: contact key", "ok")
    assert (bad.name, bad.severity, bad.text) == ("Bad: contact key", "warning", message)

    monkeypatch.setenv("PATH", str(tmp_path))
    missing = ("gpg is not installed", "apt-get install gpg")
    assert [warning[2:] for warning in told()] == [missing, missing]
    assert [(f.text, f.remedy) for f in findings(settings)] == [missing, missing]

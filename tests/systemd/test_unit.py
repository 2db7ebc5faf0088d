"""What is shipped for systemd is right, as far as it can be told without starting it."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from drd.config.daemon import load_settings
from drd.config.daemon_schema import DaemonFile
from drd.config.yaml import read
from drd.errors import UsageError
from drd.flows.host.shipped_files import (
    CONFIG,
    FILES,
    SHIPPED,
    SYSUSERS,
    TMPFILES,
    UNIT,
    entry_point,
    shipped,
)
from tests.extension_support import install_example, packages_in
from tests.servers.nspawn import ROOT
from tests.user_support import as_root

EXPOSURE = 2.6


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    place = tmp_path / "drd.service"
    place.write_bytes(shipped(UNIT, [sys.executable]))
    return place


def analysed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, check=False
    )


def test_systemd_verifies_the_unit_without_warnings(unit: Path) -> None:
    # It exits with 0 on unknown keys, and says them.
    done = analysed("verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_verification_sees_a_misspelt_key(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert "WatchdogSecs" in analysed("verify", str(unit)).stderr


def test_exposure_is_small(unit: Path) -> None:
    threshold = f"--threshold={EXPOSURE * 10:.0f}"
    done = analysed("security", "--offline=true", threshold, str(unit))
    found = re.search(r"exposure level for drd.service: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE, done.stdout
    assert done.returncode == 0


def test_program_with_any_name_is_one_word_of_the_unit(tmp_path: Path) -> None:
    odd = tmp_path / "a 100% $HOME; place"
    odd.mkdir()
    program = odd / "drd"
    program.symlink_to(sys.executable)
    unit = tmp_path / "drd.service"
    unit.write_bytes(shipped(UNIT, [str(program)]))
    assert analysed("verify", str(unit)).stderr == ""
    program.unlink()
    assert f"{program} is not executable" in analysed("verify", str(unit)).stderr


def test_service_is_started_by_the_program_beside_this_interpreter() -> None:
    words = [*entry_point(), "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("drd ")


def test_program_that_systemd_could_not_start_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot start a program") as caught:
        shipped(UNIT, ['/opt/a "place"/drd'])
    assert "/opt/drd" in caught.value.hint


@as_root
def test_user_and_directories_are_made_by_systemd_as_declared(tmp_path: Path) -> None:
    for path in (SYSUSERS, TMPFILES):
        place = tmp_path / path
        place.parent.mkdir(parents=True)
        place.write_bytes(shipped(path, []))
    for words in (["systemd-sysusers"], ["systemd-tmpfiles", "--create"]):
        done = subprocess.run(
            [*words, f"--root={tmp_path}", "drd.conf"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    account = next(
        line.split(":")
        for line in (tmp_path / "etc/passwd").read_text().splitlines()
        if line.startswith("drd:")
    )
    for path, mode, owner in (
        ("var/lib/drd", 0o700, int(account[2])),
        ("var/cache/drd", 0o700, int(account[2])),
        ("var/lib/drd-public", 0o751, int(account[2])),
        ("etc/drd/plans", 0o755, 0),
        ("etc/drd/credentials", 0o700, 0),
    ):
        found = (tmp_path / path).stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (mode, owner), path


def test_page_about_operations_names_directives_of_the_unit() -> None:
    """What is left open has a reason there, and a comment in the unit."""
    unit = (SHIPPED / FILES[UNIT]).read_text()
    page = (ROOT / "docs/operations.md").read_text()
    table = page.split("| permitted | because |", 1)[1].split("\n\n", 1)[0]
    named = re.findall(r"`([A-Z][A-Za-z]+)=", table)
    assert len(named) > 5
    assert [d for d in named if f"{d}=" not in unit] == []


# --- the example drd.yaml -----------------------------------------------------------------------


def example() -> str:
    return (SHIPPED / FILES[CONFIG]).read_text()


def uncommented() -> str:
    """Every key switched on: comments in words have a space after their sign, keys have none and
    lists two."""
    return re.sub(r"^#(?=[a-z]|  )", "", example(), flags=re.MULTILINE)


def test_example_configuration_says_nothing_but_defaults(tmp_path: Path) -> None:
    installed = tmp_path / "drd.yaml"
    installed.write_bytes(shipped(CONFIG, []))
    without = load_settings(tmp_path / "none.yaml", explicit=False)
    settings = load_settings(installed, explicit=True)
    assert settings.file == installed
    assert settings.warnings == ()
    for name in ("state_url", "plans_dir", "work_dir", "cache_dir", "runs", "drills", "log_level"):
        assert getattr(settings, name) == getattr(without, name)


def test_example_configuration_shows_every_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = uncommented()
    shown = read(text.encode(), "drd.yaml").data
    assert isinstance(shown, dict)
    assert set(shown) == set(DaemonFile.model_fields)
    place = tmp_path / "drd.yaml"
    place.write_text(text)
    with packages_in(tmp_path / "site", monkeypatch) as site:
        install_example(site)
        load_settings(place, explicit=True)


def test_commented_values_are_defaults_unless_called_examples() -> None:
    shown = read(uncommented().encode(), "drd.yaml").data
    unset = DaemonFile()
    for block in uncommented().split("\n\n")[1:]:
        key = re.search(r"^([a-z_]+):", block, re.MULTILINE)
        assert key is not None, block
        if "xample" not in block:
            assert DaemonFile.model_validate({key[1]: shown[key[1]]}) == unset, key[1]

"""Packages that add the same, that are upgraded, or whose channels deliver nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.config.daemon import load_settings
from drd.daemon.packages import package_troubles
from drd.daemon.reload import reread
from drd.errors import ConfigError
from drd.kit.layout import LostHost, lay_out
from drd.model.alert_facts import PackageTrouble
from drd.model.plan import SecretRef
from drd.registry import CHECKS
from tests.config_support import load
from tests.extension_support import (
    forget_modules,
    install_example,
    mine,
    packages_in,
    refused,
    settings_of,
    use,
)
from tests.unit.test_extensions import WITH_CHECK


@pytest.fixture(autouse=True)
def packages(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with packages_in(short_tmp / "site", monkeypatch) as site:
        yield site


def test_a_reload_takes_no_member_away_that_another_package_adds_as_well(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    install_example(packages)
    mine(packages, "from drd_example.contains import SPEC\n", name="contains")
    file = settings_of(tmp_path, "extensions: [drd-example]\n")
    app: Any = SimpleNamespace(settings=load_settings(file, explicit=True))
    app.read_settings = lambda: load_settings(file, explicit=True)
    for names in ("drd-example, drd-mine", "drd-mine, drd-example"):
        settings_of(tmp_path, f"extensions: [{names}]\n")
        with pytest.raises(ConfigError) as caught:
            reread(app)
        (problem,) = caught.value.problems
        first, second = names.split(", ")
        assert problem.path == f"extensions[{names.split(', ').index('drd-example')}]"
        assert problem.message == (
            f"the packages {first} and {second} add a check with the same name, contains"
        )
        assert "contains" in CHECKS
    settings_of(tmp_path, "extensions: [drd-mine]\n")
    assert reread(app).changed == ("extensions",)
    assert CHECKS.extension("contains") == ("drd-mine", "1.2.0")


# --- names and versions -----------------------------------------------------------------------


def test_the_spelling_of_a_name_does_not_matter(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    use(tmp_path)
    digest = load(tmp_path, WITH_CHECK).plan.digest
    for name in ("drd_example", "DRD.Example", "drd--example"):
        settings = load_settings(settings_of(tmp_path, f"extensions: [{name}]\n"), explicit=True)
        assert settings.extensions == ("drd-example",)
        assert load(tmp_path, WITH_CHECK).plan.digest == digest
    problem = refused(tmp_path, "extensions: [drd-example, drd_example]\n")
    assert (problem.path, problem.message) == ("extensions[1]", "names drd_example twice")


def test_a_package_keeps_its_version_as_long_as_its_code_is_loaded(
    packages: Path, tmp_path: Path
) -> None:
    install_example(packages)
    use(tmp_path)
    digest = load(tmp_path, WITH_CHECK).plan.digest
    assert package_troubles(()) == ()
    install_example(packages, version="2.0.0")
    use(tmp_path)
    assert CHECKS.extension("contains") == ("drd-example", "1.2.0")
    assert load(tmp_path, WITH_CHECK).plan.digest == digest
    assert package_troubles(()) == (
        PackageTrouble(
            "drd-example",
            "the daemon still uses version 1.2.0 of the package drd-example, but version 2.0.0 "
            "is installed now: the daemon loads a new version only when it restarts",
            "warning",
            "systemctl restart drd",
        ),
    )
    forget_modules()  # as in a new process
    use(tmp_path)
    assert CHECKS.extension("contains") == ("drd-example", "2.0.0")
    assert load(tmp_path, WITH_CHECK).plan.digest != digest
    assert package_troubles(()) == ()


# --- messages that nobody gets ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "severity", "end"),
    [
        ("", "critical", "; there is no other channel, so nobody gets drd's messages"),
        (
            "  - {kind: heartbeat, url: {env: BEAT}}\n",
            "critical",
            "; there is no other channel, so nobody gets drd's messages",
        ),
        ("  - {kind: exec, command: [/bin/true]}\n", "warning", ""),
    ],
)
def test_the_alert_of_a_missing_package_names_the_channels_that_deliver_nothing(
    tmp_path: Path, *, more: str, severity: str, end: str
) -> None:
    text = f"extensions: [drd-nowhere]\nnotify:\n  - {{kind: logbook, path: /x}}\n{more}"
    settings = load_settings(settings_of(tmp_path, text), explicit=True)
    (found,) = package_troubles(settings.channels)
    assert (found.name, found.severity, found.remedy) == ("drd-nowhere", severity, "drd doctor")
    assert found.text == (
        "the package drd-nowhere is not installed; drd refuses only the plans that use this "
        "package; these channels, which this package may add, do not deliver messages: "
        f"logbook-1{end}"
    )


def test_the_alert_of_a_broken_package_names_its_channel(packages: Path, tmp_path: Path) -> None:
    mine(packages, "raise OSError('out of order')\n", "drd.notifiers", "pager")
    text = "extensions: [drd-mine]\nnotify: [{kind: pager}]\n"
    settings = load_settings(settings_of(tmp_path, text), explicit=True)
    (found,) = package_troubles(settings.channels)
    assert found.severity == "critical"
    assert (
        "; these channels do not deliver messages: pager-1; there is no other channel" in found.text
    )


def test_a_new_host_gets_the_secrets_of_a_channel_whose_package_is_missing(tmp_path: Path) -> None:
    text = "extensions: [drd-nowhere]\nnotify: [{kind: pager, token: {env: PAGER}, on: [drill]}]\n"
    use(tmp_path, text)
    secrets = {SecretRef("env", "PAGER"): "a secret of a channel"}
    layout = lay_out(LostHost({}, text, "/etc/drd/drd.yaml", secrets, {}, {}), tmp_path / "root")
    placed = {file.path.name: file.content.decode() for file in layout.files}
    assert placed["env-pager"] == "a secret of a channel"
    (token,) = (f.path for f in layout.files if f.path.name == "env-pager")
    assert f"token: {{file: {token}}}" in placed["drd.yaml"].replace('"', "")

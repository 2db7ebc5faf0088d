"""Packages of others run with drd's rights: who can have one imported, and who cannot."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drd.config import extensions
from drd.kit.plan_effects import orders
from drd.registry import CHECKS, only_those_in_use
from tests.config_support import GOOD, problems
from tests.extension_support import (
    install_example,
    mine,
    packages_in,
    settings_of,
    unusable,
    use,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def packages(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with packages_in(short_tmp / "site", monkeypatch) as site:
        yield site


def test_a_plan_has_no_package_imported(packages: Path, tmp_path: Path) -> None:
    mine(packages, "raise AssertionError('imported')")
    check = "  - {name: odd, kind: odd, component: etc}\n"
    found = problems(tmp_path, GOOD.replace("drill:", f"{check}extensions: [drd-mine]\ndrill:"))
    assert [p.message for p in found] == ['unknown kind "odd"', 'unknown key "extensions"']
    assert "mine" not in sys.modules


def test_a_drd_yaml_out_of_a_kit_has_nothing_imported(packages: Path, tmp_path: Path) -> None:
    mine(packages, "raise AssertionError('imported')")
    with only_those_in_use():
        problem = unusable(tmp_path, "extensions: [drd-mine]\n")
    assert problem.message == "the drd.yaml of this host does not name the extension drd-mine"
    assert problem.hint == (
        "if this host needs the package, add its name to `extensions` in the drd.yaml of this host."
    )


def test_within_a_kit_what_this_host_uses_stays_in_use(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    use(tmp_path)
    with only_those_in_use():
        use(tmp_path)
        use(tmp_path, "log: {level: info}\n")
        assert "contains" in CHECKS
    assert "contains" in CHECKS


def test_a_stored_drd_yaml_with_a_package_has_to_be_accepted_by_a_person() -> None:
    (order,) = orders("extensions: [drd-mine]\n", url="")
    assert order.asks
    assert "drd-mine" in order.line


@as_root
def test_root_imports_nothing_that_others_can_change(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    module = packages / "drd_example/note.py"
    module.chmod(0o666)
    problem = unusable(tmp_path, "extensions: [drd-example]\n")
    assert problem.message == (
        f"drd as root does not import the package drd-example: {module} can be written by anyone"
    )
    assert problem.hint == f"chmod go-w {module}"
    assert "drd_example" not in sys.modules


@as_root
def test_root_imports_nothing_from_a_directory_of_others(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    os.chown(packages, 65534, 65534)
    assert (
        "drd as root does not import the package drd-example"
        in unusable(tmp_path, "extensions: [drd-example]\n").message
    )
    assert "drd_example" not in sys.modules


@as_root
def test_root_imports_nothing_that_others_could_put_before_it(
    packages: Path, tmp_path: Path, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_example(packages)
    first = short_tmp / "first"
    first.mkdir()
    monkeypatch.syspath_prepend(str(first / "not-there-yet"))
    os.chown(first, 65534, 65534)
    message = unusable(tmp_path, "extensions: [drd-example]\n").message
    assert f"Python looks for it in {first} first" in message
    assert "drd_example" not in sys.modules


@as_root
def test_root_judges_the_drd_yaml_that_it_has_read(
    packages: Path, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner removes it while drd reads it."""
    install_example(packages)
    file = settings_of(short_tmp, "extensions: [drd-example]\n")
    os.chown(file, 65534, 65534)
    loads = extensions.load_extensions

    def after_it_is_gone(*args: Any) -> Any:
        file.unlink()
        return loads(*args)

    monkeypatch.setattr(extensions, "load_extensions", after_it_is_gone)
    problem = unusable(short_tmp, None)
    assert "drd as root does not import the extensions of this file" in problem.message
    assert "drd_example" not in sys.modules


@as_root
def test_root_imports_nothing_for_a_drd_yaml_of_others(
    packages: Path, tmp_path: Path, short_tmp: Path
) -> None:
    install_example(packages)
    file = settings_of(short_tmp, "extensions: [drd-example]\n")
    os.chown(file, 65534, 65534)
    problem = unusable(short_tmp, None)
    assert "drd as root does not import the extensions of this file" in problem.message
    (problem,) = problems(tmp_path, GOOD + "runbook: [{restore: all}, {note: {}}]\n")
    assert problem.message.startswith('kind "note" is unavailable: drd as root does not import')
    assert "drd_example" not in sys.modules

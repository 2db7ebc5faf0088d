"""What the doctor says of the places that a plan can be recovered to."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from drd.flows.host.targets import findings
from drd.registry import KINDS
from tests.config_support import GOOD, load

TARGETS = """
targets:
  standby:
    db: {dsn: "postgresql:///standby"}
    store: {path: /srv/standby/shop.db}
"""


def test_a_plan_without_targets_is_recovered_only_in_place(tmp_path: Path) -> None:
    (found,) = findings(load(tmp_path, GOOD).plan)
    assert (found.code, found.severity) == ("targets", "warning")
    assert found.text == (
        "the plan has no target; a recovery is possible only in place (drd recover shop --in-place)"
    )
    assert found.remedy == (
        f"add a target under `targets` in {tmp_path}/shop.yaml before a recovery needs one. "
        "docs/recovery.md has an example"
    )


def test_components_that_no_target_places_are_named(tmp_path: Path) -> None:
    (found,) = findings(load(tmp_path, GOOD + TARGETS).plan)
    assert found.text == (
        "no target has a place for etc; a recovery of etc is possible only in place (drd recover "
        "shop --in-place)"
    )
    (found,) = findings(load(tmp_path, f"{GOOD}{TARGETS}    etc: {{path: /srv/standby}}\n").plan)
    assert found.severity == "ok"
    assert found.text == (
        "every component has a place to recover to: standby, or in place (drd readiness shop "
        "checks whether these places are ready; drd doctor shop --grants says what a recovery in "
        "place needs)"
    )


def test_a_kind_that_cannot_return_in_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Files:
        SPEC = replace(KINDS["files"], can=frozenset())

    monkeypatch.setitem(sys.modules, "tests.files_that_cannot", Files)
    monkeypatch.setitem(KINDS._own, "files", "tests.files_that_cannot:SPEC")
    (found,) = findings(load(tmp_path, GOOD).plan)
    assert found.text == (
        "the plan has no target; a recovery of db, store is possible only in place (drd "
        "recover shop --in-place); a recovery of etc is not possible"
    )

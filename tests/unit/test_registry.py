"""The registries of what drd can be extended by."""

from pathlib import Path
from typing import Literal

import pytest

from drd import registry
from drd.errors import NotSupported
from drd.fields import AbsolutePath, Settings
from drd.ports.kinds import KindSpec
from drd.registry import CHECKS, FAMILIES, KINDS, Added, Extension
from tests.config_support import load, problems


class DrawerSettings(Settings):
    """A drawer."""

    kind: Literal["drawer"]
    path: AbsolutePath


class DrawerTarget(Settings):
    """Another drawer."""

    path: AbsolutePath


DRAWER = KindSpec(
    name="drawer",
    settings=DrawerSettings,
    target=DrawerTarget,
    adapter="drawer:Drawer",
    comparison="files",
)


def test_three_checks_compare_with_what_was_seen_at_backup() -> None:
    assert {kind.name for kind in CHECKS if kind.compares} == {"rows", "files", "documents"}


@pytest.fixture
def drawer() -> None:
    registry.use([Added("kinds", "drawer", DRAWER, Extension("drd-drawer", "2.7.1"))])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_line_of_a_registry_leads_to_a_specification_of_that_name(family: str) -> None:
    members = FAMILIES[family]
    assert [spec.name for spec in members] == list(members.names)  # type: ignore[attr-defined]
    assert all(isinstance(spec, members.spec_class) for spec in members)


def test_a_name_that_no_member_has_is_not_supported() -> None:
    with pytest.raises(NotSupported, match="components of kind drawer are not supported"):
        KINDS["drawer"]


def test_a_member_that_a_package_adds_is_one_of_the_family(drawer: None) -> None:
    assert KINDS.names[-1] == "drawer"
    assert KINDS["drawer"] is DRAWER
    assert KINDS.extension("drawer") == ("drd-drawer", "2.7.1")
    assert Extension("drd-drawer", "2.7.1").major == "2"
    assert KINDS.extension("files") is None


PLAN = """\
plan: desk
objectives: {rpo: 1d, rto: 1h}
components:
  top: {kind: drawer, path: PATH}
repositories:
  main: {url: /srv/repo, password: {credential: desk}}
targets:
  spare: {top: {path: /srv/other}}
"""


def test_a_plan_has_components_and_targets_of_the_kind(tmp_path: Path, drawer: None) -> None:
    plan = load(tmp_path, PLAN.replace("PATH", "/srv/desk")).plan
    assert isinstance(plan.components["top"].settings, DrawerSettings)
    assert plan.targets["spare"].components == {"top": DrawerTarget(path="/srv/other")}


def test_an_error_in_it_has_its_line_and_its_key(tmp_path: Path, drawer: None) -> None:
    (problem,) = problems(tmp_path, PLAN.replace("PATH", "desk"))
    assert (problem.line, problem.path) == (4, "components.top.path")
    assert problem.message == '"desk" is not an absolute path'


def test_without_the_package_the_kind_is_unknown(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, PLAN.replace("PATH", "/srv/desk"))
    assert (problem.line, problem.message) == (4, 'unknown kind "drawer"')

"""What only a kind knows of its components, others ask its specification and its ports for."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

import drd
from drd.errors import NotSupported
from drd.flows.components.fence import for_command
from drd.model import kit, manifest
from drd.model.difference import PropertyChange, difference
from drd.model.drill_readiness import of_versions
from drd.model.single_item import Part
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    Fingerprint,
    TableState,
    fingerprint_from_json,
)
from drd.model.source_version import SourceVersion
from drd.ports import Ability, Inspector
from drd.ports.kinds import Holds, KindSpec
from drd.process import Fences
from drd.registry import KINDS, source_version
from tests.catalogue_support import T0, captured, plan, point
from tests.source import parsed

DRD = Path(drd.__file__).parent
FILES = KINDS["files"]
TOY = KindSpec(
    name="toy",
    settings=FILES.settings,
    target=FILES.target,
    adapter="x:X",
    can=frozenset({Ability.PARTS}),
    version=lambda facts: SourceVersion(facts["release"][0], facts["release"]),
)


class ToyInspector(Inspector):
    location = "toy"

    def __init__(self, environment: dict[str, str], sockets: tuple[str, ...]) -> None:
        self._environment = environment
        self._sockets = sockets

    @property
    def environment(self) -> dict[str, str]:
        return self._environment

    @property
    def sockets(self) -> tuple[str, ...]:
        return self._sockets

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        raise NotImplementedError


class NotedFences:
    """Notes what a fence would open."""

    def fence(self, by: str, writes: list[Path], **more: Any) -> Any:
        return {"writes": writes, **more}


def reads_of_facts(source: str) -> Iterator[str]:
    for node in ast.walk(parsed(source if ".facts" in source else "")):
        match node:
            case ast.Subscript(value=ast.Attribute(attr="facts")):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="facts"), attr="get")):
                yield ast.unparse(node)


def test_only_kinds_read_the_facts_of_a_snapshot() -> None:
    assert list(reads_of_facts("c.facts['x'] + c.facts.get('y')"))
    found = {
        f"{module.relative_to(DRD)}: {place}"
        for module in DRD.rglob("*.py")
        if module.relative_to(DRD).parts[0] != "kinds"
        and not module.relative_to(DRD).is_relative_to("model/obligations")  # facts of incidents
        and not module.relative_to(DRD).is_relative_to("model/incidents")
        for place in reads_of_facts(module.read_text())
    }
    assert found == set()


def test_a_kind_of_its_own_says_which_version_was_backed_up() -> None:
    def version(snapshot: ComponentSnapshot) -> SourceVersion:
        return TOY.version(snapshot.facts)

    old, new = (
        point("p", T0, components=[replace(captured(), kind="toy", facts={"release": release})])
        for release in ("7.2", "8.0")
    )
    [other] = of_versions(plan(), old, new, version)
    assert other.finding.text == "version 8 now, but version 7 at the last passed drill"
    [same] = of_versions(plan(), old, old, version)
    assert same.finding.text == "version 7.2, as at the last passed drill"


def test_a_kind_that_records_no_version_is_not_compared() -> None:
    assert FILES.version({}) == SourceVersion("", "")
    unknown = replace(captured(), kind="of a package that is not in use", facts={"release": "7"})
    assert source_version(unknown) == SourceVersion()
    old = point("p", T0, components=[captured()])
    assert of_versions(plan(), old, old, source_version) == []


def test_a_fenced_command_reaches_what_the_kind_names(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    inspectors = [
        ToyInspector({"DRD_PATH": str(tmp_path / "data")}, ()),
        ToyInspector({"TOY": "x"}, ("/run/toy",)),
    ]
    fences = cast("Fences", NotedFences())
    opened: Any = for_command(fences, "check", ["true"], inspectors, tmp_path)
    assert opened["writes"] == [opened["home"], tmp_path / "data"]
    assert opened["sockets"] == [Path("/run/toy")]


def test_the_general_fingerprint_takes_what_a_kind_of_its_own_has_to_record() -> None:
    seen = DatabaseFingerprint(
        "digest",
        {"mailbox of anna": TableState(7, "x" * 200), "queue": TableState(0)},
        {"mailbox of bert": "it was locked"},
        properties={"flags": [1, "b", None], "quota": {"anna": 2.5}},
    )
    data = json.loads(json.dumps(seen.to_json()))
    assert manifest.fingerprint(data, "here") == seen  # as a repository gives it
    assert fingerprint_from_json(data) == seen  # as the catalogue gives it
    assert kit.summary(seen) == {"tables": 2, "rows": 7}
    later = replace(seen, properties={"flags": [1, "c", None], "quota": {"anna": 2.5}})
    changed = difference(seen, later, owners=True)
    assert (changed.compared, changed.tables) == (2, ())
    assert changed.properties == (PropertyChange("flags", [1, "b", None], [1, "c", None]),)


@pytest.mark.parametrize("part", [Part(tables=("a",)), Part(paths=("/a",))])
def test_a_kind_of_one_opaque_thing_refuses_parts_by_its_name(part: Part) -> None:
    assert TOY.holds is Holds.OPAQUE
    with pytest.raises(
        NotSupported, match=r"^kind toy cannot restore single (tables|paths)$"
    ) as no:
        TOY.require_part(part)
    assert no.value.hint == "recover the whole component: leave out --path and --table."

"""`drd bootstrap` where something is there already, or goes wrong. The way from an empty machine to
a service that is back is in test_kit.py."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from tests.e2e.kit_site import Machine
from tests.e2e.site import Site, small_site


@pytest.fixture
def machine(short_tmp: Path) -> Machine:
    return Machine(short_tmp / "root")


@pytest.fixture
def small(short_tmp: Path) -> Site:
    site = small_site(short_tmp)
    identity = pyrage.x25519.Identity.generate()
    site.secret("identity", str(identity))
    site.drd("backup", "shop")
    site.drd(
        "kit", "export", "shop", "--to", f"{site.base}/k", "--recipient", str(identity.to_public())
    )
    return site


def from_kit(small: Site, machine: Machine, *words: str, code: int = 0) -> str:
    identity = ("--identity", f"{small.base}/secrets/identity")
    root = ("--root", str(machine.root))
    told = machine.drd("bootstrap", "--kit", f"{small.base}/k", *identity, *root, *words, code=code)
    return told.out + told.err


def test_a_different_existing_file_is_not_overwritten(small: Site, machine: Machine) -> None:
    mine = machine.root / "etc/drd/plans/shop.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("plan: shop\n")
    told = from_kit(small, machine, code=1)
    assert f"files exist that differ from those in the kit: {mine}" in told
    assert machine.everything() == {"etc/drd/plans/shop.yaml": b"plan: shop\n"}


def test_the_installed_default_drd_yaml_is_replaced(small: Site, machine: Machine) -> None:
    machine.drd("install", "--prefix", str(machine.root))
    from_kit(small, machine)
    assert str(machine.root) in machine.config.read_text()


def test_a_failed_bootstrap_removes_what_it_wrote(small: Site, machine: Machine) -> None:
    """The secrets and the plan are written when the catalogue cannot be."""
    state = machine.root / str(small.base).lstrip("/") / "state"
    state.parent.mkdir(parents=True)
    state.write_text("a file where a directory has to be")
    told = from_kit(small, machine, code=1)
    assert "HINT: run this as root, or give a --root that you may write to." in told
    assert machine.everything() == {str(state.relative_to(machine.root)): state.read_bytes()}
    assert not (machine.root / "etc").exists()
    state.unlink()
    from_kit(small, machine)
    assert machine.after("points", "shop", "--json").json["points"]


def test_kit_brings_the_evidence_of_drills_and_the_scenario(small: Site, machine: Machine) -> None:
    """The drill came after the last replica, which is made at most hourly."""
    plan = small.base / "plans/shop.yaml"
    steps = (
        "[{restore: [db, conf]}, {check: all}, {wait: 1s, name: dns, when: {scenario: host-loss}}]"
    )
    plan.write_text(f"{plan.read_text()}runbook: {steps}\n")
    evidence = small.drd("drill", "shop", "--json").json["evidence"]
    identity = pyrage.x25519.Identity.from_str((small.base / "secrets/identity").read_text())
    recipient = ("--recipient", str(identity.to_public()))
    small.drd("kit", "export", "shop", "--to", f"{small.base}/k", *recipient)
    assert "--target standby --scenario host-loss --dry-run" in from_kit(small, machine)
    (point,) = machine.after("points", "shop", "--json").json["points"]
    assert point["proven_by"] == evidence

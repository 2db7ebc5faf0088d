"""A real component of one kind, and what the tests of kinds do with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from drd.errors import NotSupported
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint
from drd.ports import (
    Ability,
    Destination,
    Inspector,
    Kind,
    KindSpec,
    NamedDestination,
    Workplace,
    no_progress,
)
from drd.testing.snapshots import Snapshots


class KindRig(Protocol):
    """A real component of one kind, and what the tests need to do with it."""

    kind: Kind
    component: Component

    def unreadable(self) -> Component:
        """Return the same component, pointing to something that does not exist."""

    def target(self) -> object:
        """Settings of a target; always the same place, empty at first."""

    def fill_target(self) -> None:
        """Put something of somebody else's into the target."""

    def beside(self) -> str:
        """A name that is free beside the target; for `Ability.BESIDE`."""

    def lose_source(self) -> None:
        """Destroy the source, as a disaster does."""

    def damage_landing(self, landing: Path) -> None:
        """Make the restored data unusable."""

    def left_beside_target(self) -> list[str]:
        """Names that drd left in the target's surroundings, the target itself aside."""

    def query(self) -> tuple[str, Any] | None:
        """Return a scalar query and its answer; None if the kind does not answer queries."""

    def is_whole(self, inspector: Inspector) -> bool:
        """Return whether the restored data equals the source's: called if the kind takes no
        fingerprint.
        """
        raise NotImplementedError

    def foreign_file(self, stored: Path) -> Path:
        """Return the file that another tool's dump would equal, in what drd has stored: called if
        the kind adopts such dumps, and consists of one file.
        """
        (file,) = (path for path in stored.rglob("*") if path.is_file())
        return file


def spec_of(rig: KindRig) -> KindSpec:
    """Return what the kind says about this component."""
    return rig.kind.spec.of(rig.component.settings)


def back_up(rig: KindRig, restic: Snapshots, work: Workplace) -> ComponentSnapshot:
    source = rig.kind.source(rig.component, work)
    source.probe()
    with source.open() as capture:
        return restic.captured(rig.component.name, spec_of(rig).name, capture)


def restore_components(
    destination: Destination,
    snapshot: ComponentSnapshot,
    restic: Snapshots,
    *,
    overwrite: bool = False,
) -> None:
    assert not any(f.failed for f in destination.preflight(snapshot, overwrite=overwrite))
    destination.prepare()
    restic.restore(str(snapshot.snapshot), destination.landing())
    destination.restore(snapshot, restic.private[str(snapshot.snapshot)], on_progress=no_progress)


def target_of(rig: KindRig, work: Workplace) -> NamedDestination:
    return rig.kind.target(rig.component, rig.target(), work)


@contextmanager
def sandbox_of(rig: KindRig, snapshot: ComponentSnapshot, work: Workplace) -> Iterator[Destination]:
    destination = rig.kind.sandbox(rig.component, snapshot, work)
    try:
        yield destination
    finally:
        destination.close()


def contents(fingerprint: Fingerprint) -> object:
    """Return the part of a fingerprint that must be the same after a round trip."""
    assert not fingerprint.not_reached
    if isinstance(fingerprint, DatabaseFingerprint):
        return fingerprint.tables
    return fingerprint.entries


def assert_same(rig: KindRig, inspector: Inspector, snapshot: ComponentSnapshot) -> None:
    """Assert that the restored data is equal to the data of the source at the backup."""
    if spec_of(rig).comparison is None:
        assert rig.is_whole(inspector)
        return
    like = snapshot.fingerprint
    assert like is not None
    assert contents(inspector.fingerprint(like, 60)) == contents(like)


@contextmanager
def refused(rig: KindRig, ability: Ability) -> Iterator[None]:
    """Assert that an ability which the kind does not have is refused by name."""
    verb = str(ability).split()[0]
    with pytest.raises(NotSupported, match=f"kind {spec_of(rig).name} cannot {verb}"):
        yield

"""The catalogue: what drd remembers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from drd.model.figures import CatalogueFigures
from drd.ports.alerts import AlertBook
from drd.ports.copies import CopyStore
from drd.ports.custody import Custodian
from drd.ports.evidence import EvidenceStore
from drd.ports.health import RepositoryHealth
from drd.ports.incidents import IncidentStore
from drd.ports.intake import IntakeStore
from drd.ports.keeping import Keeping
from drd.ports.kits import KitStore
from drd.ports.notify import Outbox
from drd.ports.origins import Origins
from drd.ports.plans import PlanStore
from drd.ports.points import PointStore
from drd.ports.queue import Queue
from drd.ports.records import RecordStore
from drd.ports.repositories import RepositoryStore
from drd.ports.runs import RunStore
from drd.ports.signatures import SignatureStore
from drd.ports.stamps import StampStore
from drd.ports.steps import DecisionStore, StepStore


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Catalogue(ABC):
    """The catalogue: one store for each kind of thing, and functions that concern all of them.

    Thread-safe. Every method of a store is one transaction. Times are aware UTC. Every method
    raises CatalogueError (locked, full, damaged) with a remedy.
    """

    plans: PlanStore
    runs: RunStore
    steps: StepStore
    decisions: DecisionStore
    points: PointStore
    copies: CopyStore
    evidence: EvidenceStore
    kits: KitStore
    repositories: RepositoryStore
    queue: Queue
    outbox: Outbox
    alerts: AlertBook
    origins: Origins
    signatures: SignatureStore
    stamps: StampStore
    health: RepositoryHealth
    keeping: Keeping
    custody: Custodian
    records: RecordStore
    incidents: IncidentStore
    intake: IntakeStore

    @abstractmethod
    def together(self) -> AbstractContextManager[None]:
        """Make one transaction of everything that this thread writes in the body: all of it is
        written, or nothing if the body raises an error. Reads in the body see the state before. No
        other process can write meanwhile, so keep the body short. It must not contain another
        `together`."""

    @abstractmethod
    def scratch(self, directory: Path) -> Catalogue:
        """Return a copy of this catalogue in the directory, for work that must leave no trace here.
        The copy has the same locks and belongs to the same host."""

    @abstractmethod
    def figures(self) -> CatalogueFigures:
        """Runs, copies, verifications and alerts for monitoring, all of one moment; a few rows for
        each plan."""

    @abstractmethod
    def export_to(self, path: Path) -> None:
        """Copy the whole catalogue, as of one moment, to one file of mode 0600."""

    @abstractmethod
    def lock(self, name: str, *, wait_s: float) -> AbstractContextManager[None]:
        """Take a lock that excludes all other drd processes of this state (initialising a
        repository). Raises AlreadyRunning after `wait_s`."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections to the database."""

"""The contracts between the flows and everything outside.

A flow knows these and the model, never an adapter. Each port has one contract suite in
tests/contracts that the fake and every real adapter pass.

How a component is backed up:

    source = kind.source(component, place)
    source.probe()
    with source.open() as capture:
        repository.store(capture.payload, tags)
        capture.observe(queries)
        capture.fingerprint()
        capture.verify(stored, fingerprint)

How it is restored:

    destination = kind.sandbox(…) or kind.target(…)
    destination.preflight(snapshot)
    destination.prepare()
    repository.restore(snapshot, destination.landing())
    destination.restore(snapshot, private)
    destination.inspector() → checks
    destination.close()
"""

from drd.model.aside import Aside
from drd.model.finding import Finding
from drd.model.restored import RestoredPlace, Task, Usage
from drd.ports.aside import KeptCopies, KnowsUsers
from drd.ports.catalogue import Catalogue
from drd.ports.check import Check, CheckContext, CheckFactory
from drd.ports.common import Clock, OnProgress, Progress, no_progress
from drd.ports.custody import Custodian
from drd.ports.destinations import (
    AS_IT_IS,
    ChecksPrivate,
    Destination,
    Kind,
    KindFactory,
    NamedDestination,
    ReadsInPlace,
    Restored,
    RestoreOptions,
    RestoresInside,
)
from drd.ports.inspector import Inspector
from drd.ports.keeping import Keeping
from drd.ports.kinds import Ability, Holds, KindSpec
from drd.ports.queue import PlanRow, Queue
from drd.ports.repository import (
    EarlierIncomplete,
    Fetched,
    Listing,
    LockInfo,
    Pruned,
    Repository,
    RepositoryKey,
    Serving,
    SnapshotInfo,
    Torn,
)
from drd.ports.runs import RunLease
from drd.ports.sources import (
    BuildsOnEarlier,
    Capture,
    Earlier,
    Entry,
    NoEarlier,
    Payload,
    PlainCapture,
    Probe,
    ReadsNow,
    Source,
    Stream,
    TakenOver,
    Tree,
    Workplace,
    mark_of,
)

__all__ = [
    "AS_IT_IS",
    "Ability",
    "Aside",
    "BuildsOnEarlier",
    "Capture",
    "Catalogue",
    "Check",
    "CheckContext",
    "CheckFactory",
    "ChecksPrivate",
    "Clock",
    "Custodian",
    "Destination",
    "Earlier",
    "EarlierIncomplete",
    "Entry",
    "Fetched",
    "Finding",
    "Holds",
    "Inspector",
    "Keeping",
    "KeptCopies",
    "Kind",
    "KindFactory",
    "KindSpec",
    "KnowsUsers",
    "Listing",
    "LockInfo",
    "NamedDestination",
    "NoEarlier",
    "OnProgress",
    "Payload",
    "PlainCapture",
    "PlanRow",
    "Probe",
    "Progress",
    "Pruned",
    "Queue",
    "ReadsInPlace",
    "ReadsNow",
    "Repository",
    "RepositoryKey",
    "RestoreOptions",
    "Restored",
    "RestoredPlace",
    "RestoresInside",
    "RunLease",
    "Serving",
    "SnapshotInfo",
    "Source",
    "Stream",
    "TakenOver",
    "Task",
    "Torn",
    "Tree",
    "Usage",
    "Workplace",
    "mark_of",
    "no_progress",
]

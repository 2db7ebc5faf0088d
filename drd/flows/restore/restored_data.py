"""What the end of a recovery records about the restored data, for the person who continues."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from drd.flows.restore.usage import in_use, only_informing
from drd.flows.services import Services
from drd.model.restored import RestoredPlace, Task, Usage
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.ports import NamedDestination


def restored_data(
    services: Services,
    point: RestorePoint,
    destinations: Mapping[str, NamedDestination],
    restored: Collection[str],
) -> dict[str, Any]:
    """Return fields of `RecoveryDetail`: where each restored component is, who uses it, and what
    its kind leaves to a person. What cannot be found out is left out."""
    places: list[RestoredPlace] = []
    usage: list[Usage] = []
    tasks: list[Task] = []
    for name, destination in destinations.items():
        snapshot = point.component(name)
        if name in restored and snapshot is not None:
            places += _places(name, destination, snapshot)
            usage += in_use(services, name, destination, snapshot)
            tasks += _tasks(name, destination, snapshot)
    return {"places": tuple(places), "usage": tuple(usage), "tasks": tuple(tasks)}


def _places(
    name: str, destination: NamedDestination, snapshot: ComponentSnapshot
) -> Iterator[RestoredPlace]:
    with only_informing(snapshot.kind):
        yield replace(destination.now_at(snapshot), component=name, kind=snapshot.kind)


def _tasks(name: str, destination: NamedDestination, snapshot: ComponentSnapshot) -> Iterator[Task]:
    with only_informing(snapshot.kind):
        yield from [replace(t, component=name) for t in destination.left_to_do(snapshot)]

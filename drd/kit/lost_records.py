"""The records in copies of a lost catalogue: in the damaged file that was set aside, and in drd's
own state in the repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from drd.errors import DrdError
from drd.kit.state_snapshots import fetch
from drd.model.plan import OWN_COMPONENT, Plan, RepositorySpec
from drd.ports import Repository, SnapshotInfo

Open = Callable[[RepositorySpec], Repository]


@contextmanager
def stored_copy(
    plans: Sequence[Plan], open_repository: Open, work_dir: Path, now: datetime
) -> Iterator[Path | None]:
    """Yield the newest copy of the catalogue that this host stored beside the points of its plans,
    made readable; None if there is none. A repository that cannot be read is skipped; other code
    reports it."""
    newest = max(_found(plans, open_repository), key=lambda f: f[1].time, default=None)
    if newest is None:
        yield None
        return
    work_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="drd-records-", dir=work_dir) as room:
        try:
            copy = fetch(*newest, Path(room) / "own", now).catalogue
        except DrdError:
            copy = None
        yield copy


def _found(
    plans: Sequence[Plan], open_repository: Open
) -> Iterator[tuple[Repository, SnapshotInfo]]:
    tags = ["drd", f"component:{OWN_COMPONENT}"]
    for plan in plans:
        for spec in () if plan.made_by else plan.repositories.values():
            try:
                repository = open_repository(spec)
                repository.preflight(writing=False)
                # Of this plan: several hosts may share a repository.
                listed = repository.snapshots(host=plan.name, tags=tags, fresh=True)
            except DrdError:
                continue
            if listed:
                yield repository, max(listed, key=lambda s: s.time)

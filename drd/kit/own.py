"""drd's own snapshots in a repository: the newest replica of the catalogue, with the plans and the
configuration of the host that stored it."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from drd.catalogue.replica import make_ours
from drd.config.daemon_schema import DaemonFile
from drd.config.yaml import read
from drd.errors import ConfigError, DrdError, RepositoryDamaged
from drd.flows.own_backup import FILENAME
from drd.model.plan import OWN_COMPONENT
from drd.ports import Repository, SnapshotInfo


@dataclass(frozen=True, slots=True)
class Own:
    """What one such snapshot holds. `catalogue` is None when the replica in it cannot be used, `why`
    says why not."""

    taken_at: datetime
    catalogue: Path | None
    plans: dict[str, str]
    config: str | None
    why: str = ""


def newest_own(repositories: Sequence[Repository]) -> tuple[Repository, SnapshotInfo] | None:
    """The newest one in any of them."""
    found = [
        (repository, snapshot)
        for repository in repositories
        for snapshot in repository.snapshots(tags=["drd", f"component:{OWN_COMPONENT}"], fresh=True)
    ]
    return max(found, key=lambda f: f[1].time, default=None)


def fetch(repository: Repository, snapshot: SnapshotInfo, into: Path, now: datetime) -> Own:
    """Restore it below `into`, a new directory. Raises RepositoryError."""
    landing = into / "landing"
    landing.mkdir(parents=True, mode=0o700)
    repository.restore(snapshot.id, landing)
    archive = landing / FILENAME
    content = into / "content"
    content.mkdir(mode=0o700)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(content, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise RepositoryDamaged(
            f"drd's own snapshot {snapshot.id[:8]} cannot be read: {error}",
            hint="verify the repository.",
        ) from None
    archive.unlink()
    plans, config = _texts(sorted((content / "etc").glob("*.y*ml")))
    catalogue: Path | None = content / "drd.db"
    why = ""
    try:
        make_ours(content / "drd.db", now)
    except DrdError as error:
        catalogue, why = None, error.message
    return Own(snapshot.time, catalogue, plans, config, why)


def _texts(files: Sequence[Path]) -> tuple[dict[str, str], str | None]:
    """Plans are told from drd.yaml by their first key, whatever the files are called."""
    plans: dict[str, str] = {}
    config: str | None = None
    for file in files:
        try:
            data = read(file.read_bytes(), file.name, allow_empty=True).data
        except ConfigError:
            continue
        if not isinstance(data, dict):
            continue
        text = file.read_text(encoding="utf-8-sig")
        if isinstance(data.get("plan"), str):
            plans[data["plan"]] = text
        elif set(data) <= set(DaemonFile.model_fields):
            config = text
    return plans, config

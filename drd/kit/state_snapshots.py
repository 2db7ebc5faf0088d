"""drd's own snapshots in a repository: the newest replica of the catalogue, with the plans and the
configuration of the host that stored it."""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO

from drd.catalogue.replica import make_ours
from drd.config.daemon_schema import DaemonFile
from drd.config.own_texts import OWN_TEXT
from drd.config.reading import LARGEST as LARGEST_TEXT
from drd.config.yaml import read
from drd.errors import ConfigError, DrdError, RepositoryDamaged
from drd.flows.backup.own_files import FILENAME, PLACES
from drd.model import strict
from drd.model.plan import NAME, OWN_COMPONENT
from drd.ports import Repository, SnapshotInfo

LARGEST = 8 << 30
"""The largest size in bytes of a snapshot of drd's own state. Anyone with the repository's password
can store a small snapshot that unpacks without end."""

CONFIG = "drd.yaml"
"""The usual name of drd.yaml, by which a broken one is recognised."""

_MOST_FILES = 50_000
_ALL_TEXTS = 256 << 20
_PIECE = 1 << 20
_TEXT = re.compile(rf"etc/([^/]+\.ya?ml|{OWN_TEXT.pattern})")


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """The content of a snapshot of drd's state. `catalogue` is None when the replica in it cannot
    be used; `why` gives the reason. `texts` are own regimes and templates. `left_out` is the number
    of rows that do not look like drd's own, and were not used. `config_place` is the place of
    drd.yaml by the copy, `broken_config` is a drd.yaml that is not YAML."""

    taken_at: datetime
    catalogue: Path | None
    plans: dict[str, str]
    config: str | None
    why: str = ""
    left_out: int = 0
    texts: Mapping[str, bytes] = field(default_factory=dict)
    config_place: str | None = None
    broken_config: str | None = None


def newest_own(repositories: Sequence[Repository]) -> tuple[Repository, SnapshotInfo] | None:
    """Return the newest snapshot of drd's own state in any of these repositories, with its
    repository."""
    snapshots = [
        (repository, snapshot)
        for repository in repositories
        for snapshot in repository.snapshots(tags=["drd", f"component:{OWN_COMPONENT}"], fresh=True)
    ]
    return max(snapshots, key=lambda f: f[1].time, default=None)


def fetch(
    repository: Repository, snapshot: SnapshotInfo, into: Path, now: datetime
) -> StateSnapshot:
    """Fetch drd's own snapshot into the new directory `into`, and unpack it there. Raises
    RepositoryError."""
    into.mkdir(mode=0o700)
    archive, catalogue = into / FILENAME, into / "drd.db"
    # The room must do for the tar, the replica in it and the catalogue made from that.
    most = min(LARGEST, shutil.disk_usage(into).free // 3)
    repository.save_file(snapshot.id, FILENAME, archive, most=most)
    try:
        texts = unpacked(archive, catalogue)
    except (OSError, ValueError, OverflowError, tarfile.TarError) as error:
        raise RepositoryDamaged(
            f"drd's own snapshot {snapshot.id[:8]} cannot be read: {error}",
            hint="check the repository: drd verify PLAN (the name of a plan that stores there)",
        ) from None
    finally:
        archive.unlink()
    own = {name: texts.pop(name) for name in list(texts) if OWN_TEXT.fullmatch(name)}
    places = _places(texts.pop(PLACES, None))
    plans, config, name = _texts(texts)
    state = StateSnapshot(
        snapshot.time, catalogue, plans, config, texts=own, config_place=places.get(name)
    )
    if config is None and (raw := texts.get(CONFIG)) is not None:
        state = replace(state, broken_config=raw.decode("utf-8", "replace"))
    try:
        return replace(state, left_out=make_ours(catalogue, now))
    except DrdError as error:
        return replace(state, catalogue=None, why=error.message)


def _places(raw: bytes | None) -> Mapping[str, str]:
    """Return where the files were on the host that stored them; empty for copies of an older
    drd."""
    try:
        given = strict.document(raw or b"{}", PLACES)
        return strict.by_key(strict.absolute_path, given, PLACES, most=_MOST_FILES)
    except ValueError:
        return {}


def unpacked(archive: Path, catalogue: Path) -> dict[str, bytes]:
    """Return the plans and configuration from a tar in drd's form, by file name; the replica is
    written to `catalogue`. Other names, and files that are not regular, are ignored. Raises
    tarfile.TarError and ValueError."""
    texts: dict[str, bytes] = {}
    members = held = 0
    with archive.open("rb") as file, tarfile.open(fileobj=_InPieces(file), mode="r:") as tar:
        while (entry := tar.next()) is not None:
            members += 1
            if members > _MOST_FILES:
                raise ValueError(f"the snapshot has more than {_MOST_FILES:,} files")
            name = entry.name.removeprefix("./")
            if not entry.isreg() or entry.issparse():
                continue
            text = _TEXT.fullmatch(name)
            content = tar.extractfile(entry)
            if content is None:
                continue
            if name == "drd.db":
                _save(content, catalogue)
            elif (text is not None or name == PLACES) and entry.size <= LARGEST_TEXT:
                held += entry.size
                if held > _ALL_TEXTS:
                    raise ValueError(
                        f"the plans in the snapshot have more than {_ALL_TEXTS >> 20} MiB"
                    )
                texts[text[1] if text is not None else PLACES] = content.read(LARGEST_TEXT)
    return texts


def _save(content: IO[bytes], catalogue: Path) -> None:
    with catalogue.open("xb") as target:
        os.fchmod(target.fileno(), 0o600)
        shutil.copyfileobj(content, target, _PIECE)


class _InPieces(io.RawIOBase):
    """A file that returns only a limited piece at once: the header of an entry states its own
    length, and is read into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _PIECE:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _texts(files: Mapping[str, bytes]) -> tuple[dict[str, str], str | None, str]:
    """Recognises plans and drd.yaml by their first key, whatever the files are called. The last is
    the name of drd.yaml."""
    plans: dict[str, str] = {}
    config: str | None = None
    config_name = ""
    for name, raw in sorted(files.items()):
        try:
            data = read(raw, name, allow_empty=True).data
        except ConfigError:
            continue
        if not isinstance(data, dict):
            continue
        text = raw.decode("utf-8-sig")
        if isinstance(plan := data.get("plan"), str):
            # It becomes the name of a file.
            plans |= {plan: text} if NAME.fullmatch(plan) else {}
        elif set(data) <= set(DaemonFile.model_fields):
            config, config_name = text, name
    return plans, config, config_name

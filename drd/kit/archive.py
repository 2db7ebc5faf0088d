"""The tar inside a kit: text files below one directory, with an index that vouches for each."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace

from drd.errors import KitDamaged
from drd.model.kit import INDEX, ROOT, KitIndex, index_from_json

Files = Mapping[str, bytes]
"""By path below the kit's directory."""


@dataclass(frozen=True, slots=True)
class Kit:
    """An opened kit."""

    index: KitIndex
    files: Files

    def text(self, name: str) -> str:
        return self.files[name].decode()


def pack(index: KitIndex, files: Files) -> bytes:
    """A tar whose files have the mode 0600, and the directories 0700."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    index = replace(index, digests=digests)
    text = json.dumps(index.to_json(), indent=2, ensure_ascii=True).encode()
    everything = {INDEX: text, **files}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for directory in _directories(everything):
            tar.addfile(_entry(directory, index, kind=tarfile.DIRTYPE, mode=0o700))
        for name, data in sorted(everything.items()):
            entry = _entry(f"{ROOT}/{name}", index, kind=tarfile.REGTYPE, mode=0o600)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _directories(files: Files) -> list[str]:
    found = {ROOT}
    for name in files:
        parts = name.split("/")[:-1]
        found |= {"/".join([ROOT, *parts[: n + 1]]) for n in range(len(parts))}
    return sorted(found)


def _entry(name: str, index: KitIndex, *, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    entry.mtime = int(index.made_at.timestamp())
    return entry


def unpack(archive: bytes, *, name: str) -> Kit:
    """What a kit's tar holds, each file compared with the index. Raises KitDamaged."""
    try:
        files = _contents(archive)
        index = index_from_json(json.loads(files.pop(INDEX)))
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
        raise KitDamaged(
            f"what is in {name} cannot be read: {error}",
            hint="take another copy, or a drd of the version that made it.",
        ) from None
    wrong = [f for f, digest in index.digests.items() if _digest(files, f) != digest]
    if wrong:
        raise KitDamaged(
            f"{name} is damaged inside: {', '.join(wrong)}", hint="take another copy of the kit."
        )
    return Kit(index, files)


def _contents(archive: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for entry in tar:
            file = tar.extractfile(entry) if entry.isfile() else None
            if file is not None:
                files[entry.name.removeprefix(f"{ROOT}/")] = file.read()
    return files


def _digest(files: Files, name: str) -> str:
    return hashlib.sha256(files.get(name, b"")).hexdigest()

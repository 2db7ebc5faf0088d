"""The tar inside a kit: text files below one directory, with an index that has the
digest of each."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace

from drd.errors import KitDamaged
from drd.model import strict
from drd.model.kit import INDEX, ROOT, KitIndex
from drd.model.kit_index import index_from_json, inner_name

Files = Mapping[str, bytes]
"""Contents by path below the kit's directory."""


@dataclass(frozen=True, slots=True)
class Kit:
    """An opened kit."""

    index: KitIndex
    files: Files

    def text(self, name: str) -> str:
        """Raise KitDamaged for a file that is not text."""
        try:
            return self.files[name].decode()
        except (KeyError, UnicodeDecodeError):
            raise KitDamaged(
                f"{name} in the kit is not a text file", hint="use another copy of the kit."
            ) from None


def pack(index: KitIndex, files: Files) -> bytes:
    """Return a tar whose files have the mode 0600, and the directories 0700."""
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
    directories = {ROOT}
    for name in files:
        parts = name.split("/")[:-1]
        directories |= {"/".join([ROOT, *parts[: n + 1]]) for n in range(len(parts))}
    return sorted(directories)


def _entry(name: str, index: KitIndex, *, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    entry.mtime = int(index.made_at.timestamp())
    return entry


def unpack(archive: bytes, *, name: str) -> Kit:
    """Return the content of a kit's tar, each file compared with the index. Raises KitDamaged."""
    try:
        files = _contents(archive)
        index = index_from_json(strict.document(files.pop(INDEX, b""), INDEX))
        named = {p.file for p in index.plans} | {s.file for s in index.secrets}
        named |= {p.file for p in index.programs} | {*index.files.values()}
        named |= {index.config} if index.config else set()
        if lacking := sorted(named - files.keys()):
            raise strict.UnexpectedValue(
                f"the kit does not contain {', '.join(lacking[:5])}, which its index lists"
            )
        if strangers := sorted(files.keys() - index.digests.keys()):
            raise strict.UnexpectedValue(
                f"the kit contains {', '.join(strangers[:5])}, which its index does not list"
            )
    except (tarfile.TarError, ValueError, EOFError, OSError, OverflowError) as error:
        raise KitDamaged(
            f"cannot read the content of {name}: {error}",
            hint="use another copy of the kit, or the drd version that made the kit.",
        ) from None
    wrong = [f for f, digest in index.digests.items() if _digest(files, f) != digest]
    if wrong:
        raise KitDamaged(
            f"{name} is damaged: the content of {', '.join(wrong)} differs from the kit's index",
            hint="use another copy of the kit.",
        )
    return Kit(index, files)


def _contents(archive: bytes) -> dict[str, bytes]:
    """Check that there are only directories and files, each once, below the kit's directory."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for entry in tar:
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse() or entry.size > len(archive):
                raise strict.refuse("an entry", "is not a regular file", entry.name)
            if not entry.name.startswith(f"{ROOT}/"):
                raise strict.refuse("an entry", f"is not below {ROOT}", entry.name)
            name = inner_name(entry.name.removeprefix(f"{ROOT}/"), "an entry")
            file = tar.extractfile(entry)
            if name in files or file is None:
                raise strict.refuse("an entry", "appears twice", entry.name)
            files[name] = file.read()
    return files


def _digest(files: Files, name: str) -> str:
    return hashlib.sha256(files.get(name, b"")).hexdigest()

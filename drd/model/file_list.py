"""The list of the files of an export, and the entry of the chain that seals it. Pure.

Each line has the SHA-256 of a file and its name, as `sha256sum -c` reads it. The last entry of an
export has the SHA-256 of the list. So every changed, removed or added file is found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256

from drd.model.chain import Fault
from drd.model.records import KEY, Entry, body_of

KIND = "export"
"""The kind of the entry that seals the files of an export."""
LIST = "files.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]+)", re.ASCII)


def digest_of(data: bytes) -> str:
    return sha256(data).hexdigest()


def list_of(digests: Mapping[str, str]) -> str:
    """Return the text of the list. `digests` are the SHA-256 by name of the file."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def sealed_list(entries: Sequence[Entry]) -> str | None:
    """Return the SHA-256 of the list from the last entry; None if this entry does not have it."""
    last = entries[-1] if entries else None
    if last is None or last.header.kind != KIND:
        return None
    return str(body_of(last).get("list_sha256") or "") or None


def file_faults(
    entries: Sequence[Entry], found: Mapping[str, str], listed: bytes | None
) -> list[Fault]:
    """Return what is wrong with the files of an export. `found` has the SHA-256 of all files by
    name, except the records and the list; empty for what is no file. `listed` is the content of the
    list. An older export has no list of files: then nothing is reported."""
    seal = sealed_list(entries)
    seq = entries[-1].seq if entries else 0
    if seal is None and listed is None:
        return []
    if seal is None:
        return [
            Fault(seq, "file", f"{LIST} exists, but the last entry does not contain its digest")
        ]
    if listed is None:
        return [Fault(seq, "file", f"{LIST} is missing, but this entry contains its digest")]
    if digest_of(listed) != seal:
        return [Fault(seq, "file", f"{LIST} does not match its digest in this entry")]
    if not entries[-1].signature and any(entry.header.kind == KEY for entry in entries):
        # Anybody can put such an entry in the place of the one that drd signed.
        text = "this entry seals the files, but nobody signed it: export the incident again"
        return [Fault(seq, "file", text)]
    digests = _read(listed.decode("ascii", "replace"))
    wrong = [
        f"{name} was changed" if name in found else f"{name} is missing"
        for name, digest in digests.items()
        if name not in found or found[name] != digest
    ]
    others = sorted(found.keys() - digests.keys())
    wrong += [f"{name} does not belong to this export" for name in others]
    return [Fault(seq, "file", text) for text in wrong]


def _read(text: str) -> dict[str, str]:
    lines = (_LINE.fullmatch(line) for line in text.splitlines())
    return {line[2]: line[1] for line in lines if line is not None}

"""The file in which a snapshot contains the documents of a component, and what a manifest says
about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import pbkdf2_hmac, sha256
from pathlib import Path
from typing import Any

from drd.errors import RepositoryDamaged, SourceError
from drd.kinds.file_system import ANOTHER_POINT
from drd.kinds.http.canonical import (
    canonical_json,
    is_nothing,
    json_digest,
    parsed,
    readable,
)
from drd.kinds.http.limits import MOST_BYTES, MOST_DOCUMENTS
from drd.kinds.http.pages import LONGEST_NAME
from drd.kinds.http.pointers import leaves
from drd.kinds.http.reading import Document
from drd.kinds.http.settings import HttpSettings
from drd.kinds.one_file import landed_file
from drd.model import strict
from drd.model.difference import HIDDEN_FIELDS
from drd.model.json_pointer import to_pointer
from drd.model.malformed import Malformed
from drd.model.snapshot import (
    ComponentSnapshot,
    FileEntry,
    Fingerprint,
    TreeFingerprint,
)
from drd.model.units import format_size

FORMAT = 1
LARGEST_FILE = 4 * MOST_BYTES
MOST_FIELDS = 10_000
"""Up to this many fields of all documents together have an entry in the fingerprint."""

_ROUNDS = 2000
_NAME = re.compile(rf"[A-Za-z0-9_%-]{{1,{LONGEST_NAME}}}")
_PLAIN_PART = re.compile(r"(?!\.\.?$)[^/\0\ud800-\udfff]{1,100}")
_SECRET = re.compile(r"password|passwd|secret|token|private|credential|key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Saved:
    """A document of a restore point. `of` is the `save_as` of its entry in the plan."""

    of: str
    data: Any


def filename(component: str) -> str:
    """Return the name of the file in a snapshot."""
    return f"{component}.json"


def to_bytes(state: Mapping[str, Document]) -> bytes:
    """Return the file: the same bytes for the same documents."""
    documents = {
        name: {"save_as": one.of.save_as, "document": one.data} for name, one in state.items()
    }
    return readable({"format": FORMAT, "documents": documents})


def require_storable(data: bytes) -> None:
    """Raise SourceError for a file that no recovery would read."""
    if len(data) > LARGEST_FILE:
        raise SourceError(
            f"the documents are nested so deep that their file is larger than "
            f"{format_size(LARGEST_FILE)}",
            hint="divide `documents` among several components.",
        )


def landed(landing: Path, snapshot: ComponentSnapshot) -> dict[str, Saved]:
    """Read the restored file as strictly as everything from a repository. Raises
    RepositoryDamaged."""
    if snapshot.bytes > LARGEST_FILE:
        raise RepositoryDamaged("the documents are larger than drd stores", hint=ANOTHER_POINT)
    file = landed_file(landing, snapshot, filename(snapshot.component))
    try:
        data = strict.mapping(parsed(file.read_bytes()), "file")
        if data.get("format") != FORMAT:
            raise strict.refuse("file.format", f"is not {FORMAT}")
        documents = strict.mapping(strict.member(data, "documents", "file"), "documents")
        saved = {_name(name): _saved(one, name) for name, one in documents.items()}
    except (Malformed, ValueError) as error:
        raise RepositoryDamaged(
            f"the documents of {snapshot.component} are unusable: {error}", hint=ANOTHER_POINT
        ) from None
    if isinstance(snapshot.fingerprint, TreeFingerprint):
        _require_as_described(saved, snapshot.fingerprint, snapshot.component)
    return saved


def _name(name: str) -> str:
    return strict.matching(name, "the name of a document", _NAME, "name of a document")


def _saved(value: Any, name: str) -> Saved:
    one = strict.mapping(value, f"documents.{name}")
    of = strict.text(strict.member(one, "save_as", name), f"documents.{name}.save_as", most=100)
    return Saved(of, strict.member(one, "document", name))


def _require_as_described(
    saved: Mapping[str, Saved], described: TreeFingerprint, component: str
) -> None:
    known = digests(described)
    wrong = [n for n in saved.keys() | known.keys() if _digest_of(saved, n) != known.get(n)]
    if wrong:
        raise RepositoryDamaged(
            f"document {min(wrong)} of {component} differs from the document that was saved",
            hint=ANOTHER_POINT,
        )


def _digest_of(saved: Mapping[str, Saved], name: str) -> str | None:
    return json_digest(saved[name].data) if name in saved else None


# --- the fingerprint ----------------------------------------------------------------------------


def fingerprint_of(state: Mapping[str, Any]) -> TreeFingerprint:
    """Describe documents: an entry for each document, and an entry for each field, so that a
    comparison says which field differs. Fields whose names sound like secrets have no entries of
    their own. All such fields of a document, and fields with unusual names, share one entry
    (`HIDDEN_FIELDS`)."""
    entries = {f"/{name}": _entry(data) for name, data in state.items()}
    fields: dict[str, FileEntry] = {}
    for name, data in state.items():
        hidden: list[tuple[str, Any]] = []
        for parts, value in leaves(data):
            if parts and not _is_shown(parts):
                hidden.append((to_pointer(parts), value))
            elif parts:
                # Without a size: a comparison then says that the value differs, not by how much.
                fields[f"/{name}{to_pointer(parts)}"] = replace(_entry(value), size=0)
                if len(fields) > MOST_FIELDS:
                    return TreeFingerprint(entries)
        if len(fields) >= MOST_FIELDS:
            return TreeFingerprint(entries)
        fields[f"/{name}{HIDDEN_FIELDS}"] = _together(name, hidden)
    return TreeFingerprint({**entries, **fields})


def _together(name: str, hidden: list[tuple[str, Any]]) -> FileEntry:
    """Describe the fields that have no entries of their own. The digest is slow to make, because a
    secret may be short: whoever reads it must not find the secret by trying."""
    text = canonical_json([list(row) for row in hidden])
    digest = pbkdf2_hmac("sha256", text, name.encode(), _ROUNDS if hidden else 1)
    return FileEntry("file", 0, 0, 0, 0, digest.hex())


def _is_shown(parts: Sequence[str]) -> bool:
    return len(parts) <= 20 and all(
        _PLAIN_PART.fullmatch(p) and p.isprintable() and not _SECRET.search(p) for p in parts
    )


def _entry(data: Any) -> FileEntry:
    text = canonical_json(data)
    return FileEntry("file", 0, 0, 0, len(text), sha256(text).hexdigest())


def digests(described: Fingerprint) -> dict[str, str]:
    """Return the digest of each document, without the digests of fields."""
    assert isinstance(described, TreeFingerprint)
    return {
        path[1:]: str(entry.digest)
        for path, entry in described.entries.items()
        if "/" not in path[1:]
    }


# --- the manifest -------------------------------------------------------------------------------


def facts_of(
    component: str, settings: HttpSettings, state: Mapping[str, Document]
) -> dict[str, Any]:
    """Return the facts that may be printed, with the fields that were left out, and the number of
    documents of each entry of the plan: so the next backup notices missing documents."""
    lists = {d.save_as: 0 for d in settings.documents}
    for one in state.values():
        lists[one.of.save_as] += _count(one)
    return {
        "filename": filename(component),
        "url": settings.url,
        "documents": len(state),
        "lists": lists,
        "left_out": {d.save_as: list(d.leave_out) for d in settings.documents if d.leave_out},
        "unordered": {d.save_as: list(d.unordered) for d in settings.documents if d.unordered},
    }


def _count(one: Document) -> int:
    if one.of.is_list:
        return 1
    if isinstance(one.data, list):
        return len(one.data)
    return 0 if is_nothing(one.data) else 1


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raise Refused for what no source of this kind writes."""
    place, facts = f"facts of {snapshot.component}", snapshot.facts
    if strict.member(facts, "filename", place) != filename(snapshot.component):
        raise strict.refuse(f"{place}.filename", f"is not {filename(snapshot.component)}")
    strict.text(strict.member(facts, "url", place), f"{place}.url")
    strict.count(strict.member(facts, "documents", place), f"{place}.documents")
    for name, count in strict.mapping(facts.get("lists", {}), f"{place}.lists").items():
        strict.count(count, f"{place}.lists.{name}")
    for key in ("left_out", "unordered"):
        patterns = strict.mapping(strict.member(facts, key, place), f"{place}.{key}")
        for name, each in patterns.items():
            strict.each(strict.text, each, f"{place}.{key}.{name}")
    if private:
        raise strict.UnexpectedValue(f"private of {snapshot.component} is not empty")
    if not isinstance(snapshot.fingerprint, TreeFingerprint):
        raise strict.UnexpectedValue(
            f"the fingerprint of {snapshot.component} does not describe documents"
        )
    names = digests(snapshot.fingerprint)
    if len(names) > MOST_DOCUMENTS or facts["documents"] != len(names):
        raise strict.UnexpectedValue(f"{place}.documents is not the number of documents")
    for name in names:
        _name(name)


def kept_from(data: bytes) -> dict[str, Saved]:
    """Read the documents that this host has kept. Raises ValueError."""
    known = parsed(data)
    return {n: Saved(d["save_as"], d["document"]) for n, d in known["documents"].items()}

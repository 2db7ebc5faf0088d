"""Compute the requests that bring a server to the saved documents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drd.errors import TargetError
from drd.kinds.http.canonical import json_digest
from drd.kinds.http.pointers import (
    FIELD,
    field_with_slash,
    fields_of,
    filled,
    filled_path,
    value_of,
)
from drd.kinds.http.reading import Document
from drd.kinds.http.saved import Saved
from drd.kinds.http.settings import DOCUMENT, DocumentSettings, RequestSettings
from drd.model.malformed import Malformed
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted

Does = Literal["create", "update", "delete"]
RESTORE_POINT = "the restore point"


@dataclass(frozen=True, slots=True)
class Change:
    """A document that differs, and the request for it. The `body` of a DELETE is `...`."""

    does: Does
    name: str
    method: str
    path: str
    body: Any = ...

    @property
    def line(self) -> str:
        """The request for a person, without its body, which may contain secrets."""
        return f"{self.method} {self.path} ({self.does}s {self.name})".replace("deletes", "removes")


@dataclass(frozen=True, slots=True)
class Changes:
    """`requests` in their order. `unplaced` documents differ, and the plan has no request for
    that; each with the reason."""

    requests: tuple[Change, ...]
    unplaced: Mapping[str, str]


def entries_by_name(
    saved: Mapping[str, Saved], documents: Sequence[DocumentSettings]
) -> dict[str, DocumentSettings]:
    """Return for each saved document the entry of the plan that it belongs to, if there is one."""
    known = {d.save_as: d for d in documents}
    return {name: known[one.of] for name, one in saved.items() if one.of in known}


def changes(
    saved: Mapping[str, Saved],
    present: Mapping[str, Document],
    documents: Sequence[DocumentSettings],
    covered: Collection[str] | None = None,
    saved_in: str = RESTORE_POINT,
) -> Changes:
    """Return what has to be done so that the server has the documents that `saved_in` contains:
    first documents to create and change, in the order of the plan, then documents to remove, in the
    opposite order. `covered` are the entries that the restore point describes, None for all:
    documents of other entries are not removed."""
    entries = entries_by_name(saved, documents)
    order = {d.save_as: n for n, d in enumerate(documents)}
    changed: list[Change] = []
    unplaced: dict[str, str] = {}
    for name in sorted(saved, key=lambda n: (order.get(saved[n].of, len(order)), n)):
        now = present.get(name)
        if now is not None and now.digest == json_digest(saved[name].data):
            continue
        entry = entries.get(name)
        if entry is None or entry.put_back is None:
            unplaced[name] = "the plan has no `put_back` for it"
            continue
        changed += _brought(name, saved[name].data, now, entry)
    extra = (n for n in present if n not in saved)
    for name in sorted(extra, key=lambda n: (order[present[n].of.save_as], n), reverse=True):
        if (why := _why_it_stays(present[name], covered)) is not None:
            unplaced[name] = f"it is not in {saved_in}, and {why}"
        else:
            changed.append(_removal(name, present[name]))
    return Changes(tuple(changed), unplaced)


def _why_it_stays(now: Document, covered: Collection[str] | None = None) -> str | None:
    """Return why a document is not removed; None if it is."""
    if covered is not None and now.of.save_as not in covered:
        return "the restore point does not show which documents were in the same list"
    delete = now.of.put_back.delete if now.of.put_back is not None else None
    if delete is None:
        return "the plan has no `delete` for it"
    if (field := field_with_slash(delete.path, now.fields)) is not None:
        return (
            f"its {field} has a slash: some servers would remove another document, so remove this "
            "one yourself"
        )
    return None


def covered_by(
    snapshot: ComponentSnapshot, names: Iterable[str], documents: Sequence[DocumentSettings]
) -> Collection[str]:
    """Return the entries of the plan that a restore point describes. Missing are entries that were
    added to the plan later, and, in a point of an older drd, entries that had no documents."""
    lists = snapshot.facts.get("lists")
    if isinstance(lists, Mapping):
        return frozenset(lists)
    entries = (entry_of_name(name, documents) for name in names)
    return frozenset(entry.save_as for entry in entries if entry is not None)


def _brought(
    name: str, data: Any, now: Document | None, entry: DocumentSettings
) -> Iterator[Change]:
    assert entry.put_back is not None
    create, update = entry.put_back.create, entry.put_back.update
    if now is None:
        yield _change("create", name, create or update, data, data)
        return
    if update is not None:
        yield _change("update", name, update, now.fields, data)
        return
    if (why := _why_it_stays(now)) is not None:
        raise TargetError(
            f"document {name} differs, the plan has no `update` for it, and {why}",
            hint="add `update` to the `put_back` of this document.",
        )
    yield _removal(name, now)
    yield _change("create", name, create, data, data)


def _removal(name: str, now: Document) -> Change:
    assert now.of.put_back is not None
    return _change("delete", name, now.of.put_back.delete, now.fields, ...)


def _change(
    does: Does, name: str, request: RequestSettings | None, fields: Any, data: Any
) -> Change:
    assert request is not None
    try:
        path = filled_path(request.path, fields)
        sends = data is not ... and request.method != "DELETE"
        body = _body(request.body, data, name) if sends else ...
    except Malformed as error:
        raise TargetError(
            f"document {name} {error.fact}, so `{request.request}` cannot be filled in",
            hint=f"{error.remedy}."
            if error.remedy
            else f"correct `{does}` in the `put_back` of this document: name a field that drd "
            "saves.",
        ) from None
    return Change(does, name, request.method, path, body)


def _body(template: Any, data: Any, name: str) -> Any:
    if template == DOCUMENT:
        return data
    if isinstance(template, dict):
        return {k: _body(v, data, name) for k, v in template.items()}
    if isinstance(template, list):
        return [_body(v, data, name) for v in template]
    if isinstance(template, str) and FIELD.search(template):
        whole = FIELD.fullmatch(template)
        if whole is not None and value_of(data, whole[1]) is None:
            raise Malformed(f"has neither a text nor a number in {whole[1]}")
        return filled(template, data, str)
    return template


def expected_lines(
    digests: Mapping[str, str],
    present: Mapping[str, Document],
    documents: Sequence[DocumentSettings],
    covered: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Return what a recovery would do, only from the digests of the restore point: a dry run does
    not fetch its data."""
    order = {d.save_as: n for n, d in enumerate(documents)}

    def place(name: str) -> int:
        entry = present[name].of if name in present else entry_of_name(name, documents)
        return order[entry.save_as] if entry is not None else len(order)

    names = sorted(digests, key=lambda n: (place(n), n))
    lines = [*_missing_and_changed(names, digests, present, documents)]
    extra = (n for n in present if n not in digests)
    for name in sorted(extra, key=lambda n: (place(n), n), reverse=True):
        why = _why_it_stays(present[name], covered)
        lines.append(
            f"does not remove {name}: {why}" if why else _removal(name, present[name]).line
        )
    return tuple(lines)


def _missing_and_changed(
    names: Sequence[str],
    digests: Mapping[str, str],
    present: Mapping[str, Document],
    documents: Sequence[DocumentSettings],
) -> Iterator[str]:
    for name in names:
        now = present.get(name)
        if now is None:
            entry = entry_of_name(name, documents)
            put_back = entry.put_back if entry is not None else None
            request = (put_back.create or put_back.update) if put_back is not None else None
            yield _line("creates", name, request)
        elif now.digest != digests[name]:
            put_back = now.of.put_back
            if put_back is not None and put_back.update is not None:
                yield _change("update", name, put_back.update, now.fields, ...).line
            else:
                yield _line("replaces", name, put_back.create if put_back is not None else None)


def _line(does: str, name: str, request: RequestSettings | None) -> str:
    if request is None:
        return f"does not change {name}: the plan has no `put_back` for it"
    return f"{request.request} ({does} {name})"


def entry_of_name(name: str, documents: Iterable[DocumentSettings]) -> DocumentSettings | None:
    """Return the entry whose `save_as` matches a name. If several match, return the entry with the
    longest fixed text."""
    fitting = [d for d in documents if _fits(d.save_as, name)]
    return max(fitting, key=lambda d: len(FIELD.sub("", d.save_as)), default=None)


def _fits(template: str, name: str) -> bool:
    if not fields_of(template):
        return template == name
    head, *middle, tail = FIELD.sub("{}", template).split("{}")
    return (
        name.startswith(head)
        and name.endswith(tail)
        and len(name) > len(head) + len(tail)
        and all(part in name for part in middle)
    )


def in_words(found: Changes) -> str:
    counts = {
        d: sum(1 for c in found.requests if c.does == d) for d in ("create", "update", "delete")
    }
    said = [f"{counted(n, 'document')} to {d}" for d, n in counts.items() if n]
    return ", ".join(said) or "nothing to change"

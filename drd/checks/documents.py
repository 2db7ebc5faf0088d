"""The check `documents`: compares what an API contains with what it contained at backup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from drd import process
from drd.checks.fingerprints import at_backup, of_restored
from drd.checks.settings import CheckSettings
from drd.checks.words import (
    ALREADY_WRITES,
    not_run,
    nothing_counted,
    part_not_run,
    result,
    some,
)
from drd.model.difference import HIDDEN_FIELD, HIDDEN_FIELDS
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import WAS_EMPTY, FileEntry, TreeFingerprint
from drd.model.text import counted, escaped
from drd.model.text import some as few
from drd.ports import CheckContext, Inspector
from drd.ports.check import CheckKind
from drd.ports.kinds import KindSpec

_EXPECTED = "as at backup"
_BUDGET_S = 3600.0


class DocumentsCheck(CheckSettings):
    """Every restored document against the state at the backup."""

    kind: Literal["documents"]
    component: str = Field(
        description="The component of kind http whose documents are compared with those at the "
        "backup."
    )


class DocumentComparison:
    """Compares every document: documents that are missing, differ or are new. What the place of the
    drill does not prove is a separate part."""

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        settings = spec.settings
        assert isinstance(settings, DocumentsCheck)
        inspector = context.inspectors.get(settings.component)
        if inspector is None:
            return [not_run(spec, f"{settings.component} was not restored", _EXPECTED)]
        before = at_backup(context, settings.component, TreeFingerprint)
        if before is None:
            why = nothing_counted(
                context.point.id,
                "the backup did not record a fingerprint of the source, "
                "so this check cannot compare",
            )
            return [not_run(spec, why, _EXPECTED)]
        process.check_cancelled()
        now = of_restored(spec, inspector, before, budget_s=_BUDGET_S, expected=_EXPECTED)
        if isinstance(now, CheckResult):
            return [now]
        may_be_empty = context.may_be_empty(settings.component)
        own = _row(spec, before, now, may_be_empty=may_be_empty, exposed=context.exposed)
        return [own, *_parts(spec, inspector)]


def _row(
    spec: CheckSpec,
    before: TreeFingerprint,
    now: TreeFingerprint,
    *,
    may_be_empty: bool,
    exposed: bool,
) -> CheckResult:
    had, has = _documents(before), _documents(now)
    extra = has.keys() - had.keys()
    differing = [
        f"{escaped(name[1:])}: {why}"
        for name in sorted(had.keys() | has.keys())
        if (why := _difference(name, before, now))
    ]
    if differing:
        text = f"{counted(len(differing), 'document')} differ: " if len(differing) > 1 else ""
        asks = f": {ALREADY_WRITES}" if exposed and len(extra) == len(differing) else ""
        return result(spec, CheckVerdict.FAILED, text + some(differing) + asks, _EXPECTED)
    if not had and not may_be_empty:
        return not_run(spec, WAS_EMPTY, _EXPECTED)
    text = f"{counted(len(had), 'document')}, 0 differ"
    return result(spec, CheckVerdict.PASSED, text, _EXPECTED)


def _documents(tree: TreeFingerprint) -> dict[str, FileEntry]:
    """Return the entries of documents, without those of their fields."""
    return {path: entry for path, entry in tree.entries.items() if "/" not in path[1:]}


def _difference(path: str, before: TreeFingerprint, now: TreeFingerprint) -> str:
    was, now_is = before.entries.get(path), now.entries.get(path)
    if was is None:
        return "did not exist at backup"
    if now_is is None:
        return "missing"
    if was.digest == now_is.digest:
        return ""
    fields = _fields(path, before), _fields(path, now)
    changed = [escaped(f) for f in sorted(dict(set(fields[0].items()) ^ set(fields[1].items())))]
    hidden = [tree.entries.get(f"{path}{HIDDEN_FIELDS}") for tree in (before, now)]
    if all(hidden) and hidden[0] != hidden[1]:
        changed.append(f"a {HIDDEN_FIELD}")
    return f"differs in {few(changed)}" if changed else "differs"


def _fields(path: str, tree: TreeFingerprint) -> dict[str, str | None]:
    """Return the digests of the fields of a document that have an entry."""
    above = f"{path}/"
    return {
        p[len(path) :]: e.digest
        for p, e in tree.entries.items()
        if p.startswith(above) and not p.endswith(HIDDEN_FIELDS)
    }


def _parts(spec: CheckSpec, inspector: Inspector) -> Iterator[CheckResult]:
    for part, why in inspector.not_proven.items():
        yield part_not_run(spec, part, why, _EXPECTED)


def _fits(spec: KindSpec) -> bool:
    return spec.comparison == SPEC.name


SPEC = CheckKind("documents", DocumentsCheck, DocumentComparison(), fits=_fits, compares=True)

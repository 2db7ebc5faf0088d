"""What people record of an investigation: hypotheses, indicators, evidence, the root cause."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from drd.errors import UsageError
from drd.exhaustion import system_reason
from drd.flows.incidents.texts import LONGEST_NAME, reason_of, text_of
from drd.flows.incidents.writing import Desk
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import draft
from drd.model.incidents.incident import Incident
from drd.model.incidents.indicators import (
    LONGEST_VALUE,
    IndicatorType,
    NotOfType,
    Value,
    value_of,
)
from drd.model.incidents.investigation import Investigation, Standing, investigation
from drd.model.nearest import meant
from drd.model.text import either, some
from drd.model.units import format_time

_CHUNK = 1 << 20


def known(desk: Desk) -> Investigation:
    """Return what the investigation has shown, without entries that the person may not read."""
    return investigation(desk.entries())


def suppose(desk: Desk, text: str) -> Incident:
    """Record a hypothesis, which is open."""
    return _add(desk, kinds.HYPOTHESIS, {"text": text_of(text, "the hypothesis")})


def judge(
    desk: Desk, hypothesis: int, to: Standing, *, evidence: Sequence[int], reason: str
) -> Incident:
    """Record that a hypothesis is supported, refuted or open again, and what shows it."""
    known_state = known(desk)
    _require_hypotheses(desk, known_state, [hypothesis])
    _require_evidence(desk, known_state, evidence)
    if to is Standing.OPEN and not reason.strip():
        raise UsageError(
            f"--reason is missing: why hypothesis {hypothesis} is open again",
            hint="add --reason TEXT",
        )
    if not evidence and not reason.strip():
        raise UsageError(
            f"--evidence or --reason is missing: why hypothesis {hypothesis} is {to}",
            hint="add --evidence ENTRY, or --reason TEXT",
        )
    body = {
        "entry": hypothesis,
        "to": str(to),
        "evidence": list(evidence),
        "reason": reason_of(reason, needed=False),
    }
    return _add(desk, kinds.HYPOTHESIS, body)


def typed_value(text: str, type_: str | None) -> Value:
    """Return the value of an indicator as a person typed it. Raises UsageError."""
    text = text_of(text, "the indicator", LONGEST_VALUE)
    try:
        value = value_of(text, _type(type_) if type_ is not None else None)
    except NotOfType as wrong:
        hint = f"write {wrong}, or give another --type"
        raise UsageError(f"{text!r} is not a valid {type_}", hint=hint) from None
    if value is None:
        raise UsageError(
            f"drd does not recognise the type of {text!r}",
            hint=f"add --type: {either(IndicatorType)}",
        )
    return value


def _type(name: str) -> IndicatorType:
    try:
        return IndicatorType(name)
    except ValueError:
        hint = meant(name, IndicatorType)
        raise UsageError(f"{name!r} is not a type of indicator", hint=hint) from None


def note_indicator(
    desk: Desk, value: Value, *, seen: datetime | None, expires: datetime | None, text: str
) -> Incident:
    """Record an indicator. If it is known already, it gets the earlier `seen`, and the new text and
    `expires`."""
    if seen is not None and expires is not None and expires <= seen:
        end = format_time(expires, zone=desk.zone)
        raise UsageError(
            f"the indicator would expire at {end}, which is before the time when it was seen",
            hint="correct --seen or --expires",
        )
    body = {
        "type": str(value.type),
        "value": value.text,
        "seen": seen,
        "expires": expires,
        "text": text_of(text, "the text", kinds.LONGEST_TEXT) if text.strip() else "",
    }
    return _add(desk, kinds.INDICATOR, body)


def withdraw_indicator(desk: Desk, indicator: int, reason: str) -> Incident:
    """Record that an indicator was recorded by mistake."""
    there = [i.entry for i in known(desk).indicators if not i.withdrawn]
    if indicator not in there:
        raise UsageError(
            f"incident {desk.number} has no indicator with entry {indicator} that can be withdrawn",
            hint=f"to list the indicators: drd incident indicator {desk.number}",
        )
    return _add(desk, kinds.INDICATOR, {"entry": indicator, "reason": reason_of(reason)})


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A file that was read: its absolute path, SHA-256 and size in bytes."""

    path: str
    sha256: str
    size: int


def read_file(name: str) -> FileDigest:
    """Read a file for its digest. Raises UsageError."""
    path = Path(name).absolute()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise IsADirectoryError(errno.EISDIR, "not a file")
            digest, size = sha256(), 0
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        reason = system_reason(error)
        raise UsageError(
            f"cannot read {path}: {reason}",
            hint="give a file. To pack a directory into a file: tar -cf FILE DIRECTORY",
        ) from None
    return FileDigest(str(path), digest.hexdigest(), size)


def collect(
    desk: Desk,
    text: str,
    *,
    where: str = "",
    sha256: str = "",
    size: int | None = None,
    taken_at: datetime | None = None,
    run: str = "",
) -> Incident:
    """Record an item of evidence: what it is, where it is kept, and, if a file was read, its digest
    and size in bytes."""
    body: dict[str, Any] = {
        "text": text_of(text),
        "where": text_of(where, "the place", LONGEST_NAME * 5) if where else "",
        "taken_at": taken_at,
        "run": _run(desk, run) if run else "",
    }
    if sha256:
        body |= {"sha256": sha256, "bytes": size}
    return _add(desk, kinds.EVIDENCE, body)


def _run(desk: Desk, run: str) -> str:
    """Return the run as it was typed: root signs nothing of a row that its user could write. Raises
    UsageError if there is none."""
    desk.catalogue.runs.get(run)
    return run


def explain(
    desk: Desk, text: str, *, evidence: Sequence[int], hypotheses: Sequence[int], reason: str
) -> Incident:
    """Record the root cause, with its evidence. If there is already a root cause, the new one is a
    correction, which needs a reason."""
    known_state = known(desk)
    if not evidence:
        recorded = some([item.entry for item in known_state.evidence], 10)
        raise UsageError(
            "no evidence given for the root cause",
            hint=f"add --evidence ENTRY. Entries with evidence: {recorded}"
            if recorded
            else f'first record evidence: drd incident evidence {desk.number} "TEXT" --file FILE',
        )
    _require_evidence(desk, known_state, evidence)
    _require_hypotheses(desk, known_state, hypotheses)
    if known_state.cause is not None and not reason.strip():
        raise UsageError(
            f"incident {desk.number} has a root cause already (entry {known_state.cause.entry})",
            hint="to replace it, add --reason TEXT: why the root cause changed.",
        )
    body = {
        "text": text_of(text, "the root cause"),
        "evidence": list(evidence),
        "hypotheses": list(hypotheses),
        "reason": reason_of(reason, needed=False),
    }
    return _add(desk, kinds.CAUSE, body)


def _require_evidence(desk: Desk, found: Investigation, numbers: Sequence[int]) -> None:
    there = {item.entry for item in found.evidence}
    _require(desk, numbers, there, "item of evidence", "evidence")


def _require_hypotheses(desk: Desk, found: Investigation, numbers: Sequence[int]) -> None:
    _require(desk, numbers, {h.entry for h in found.hypotheses}, "hypothesis", "hypothesis")


def _require(desk: Desk, numbers: Sequence[int], there: set[int], what: str, verb: str) -> None:
    for number in numbers:
        if number not in there:
            listed = f"to list the existing entries: drd incident {verb} {desk.number}"
            raise UsageError(
                f"incident {desk.number} has no {what} with entry {number}", hint=listed
            )


def _add(desk: Desk, kind: str, body: Mapping[str, Any]) -> Incident:
    made = draft(kind, desk.number, desk.author, body)
    return desk.catalogue.incidents.add(desk.number, lambda _: [made])

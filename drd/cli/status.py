"""`drd status`: the one screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike

from drd.cli.render import (
    measure,
    notes,
    shown,
    spread,
    table,
    terminal_height,
    terminal_width,
)
from drd.cli.status_reading import StatusQuery, read_document
from drd.config.location import ConfiguredPlaces
from drd.config.paths import public_of
from drd.errors import DrdError
from drd.flows.status.overview import StatusDocument, known_when, trouble_at_rest
from drd.flows.status.packages import missing_packages
from drd.model.cells import Cell, Note
from drd.model.exposure import age
from drd.model.facts import HoldFacts
from drd.model.rows import (
    READINESS_STYLE,
    STYLE,
    alert_note,
    copies_of,
    drilled,
    notes_of,
    objective,
    percent,
    row_of,
)
from drd.model.status_line import Brief, microseconds
from drd.model.status_notes import Telling, Told
from drd.model.text import noun, some
from drd.model.units import format_duration, format_time
from drd.model.verdicts import Assessment, Verdict, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from drd.model.plan import SecretRef

BEGIN = (
    "no plan yet: drd does not know what to protect\n"
    "\n"
    "Begin with   drd plan new       writes a plan for what it finds on this host\n"
    "then         drd plan check     says what is wrong with it\n"
    "             drd doctor         tries everything that a backup will need\n"
    "             drd backup PLAN    makes the first restore point\n"
    "             drd drill PLAN     proves that it can be restored"
)

Shown = Assessment | Brief | Told
"""A plan."""

_HEADER = (
    "PLAN",
    "VERDICT",
    "WOULD LOSE NOW",
    "RPO",
    "COMES BACK IN",
    "RTO",
    "LAST DRILL",
    "READINESS",
    "ATTAINED",
)
_COPY_AT = 4
"""The text in the column of data loss for what would be lost if only the copies were left."""

_MET = Cell(Verdict.MET.words, STYLE[Verdict.MET])
_READY = {r.value: Cell(r.value, style) for r, style in READINESS_STYLE.items()}
_IN_COUNTS = (Verdict.MET, Verdict.AT_RISK, Verdict.UNKNOWN, Verdict.BREACHED)

MANY = 40
"""The number of plans on one screen. With more, those with the worst verdicts come first."""


def render(
    document: StatusDocument, width: int, colour: bool, *, at_most: int | None = None
) -> str:
    """Return the screen: counts and time, a table by plan, then why, the worst plan first;
    `at_most` so many plans, and how many are left out.

    A narrow terminal drops columns from the right, never the verdict or a reason."""
    everyone = _everyone(document)
    if not everyone:
        return BEGIN
    plans: Sequence[Shown] = everyone
    if len(plans) > MANY:
        plans = sorted(plans, key=lambda p: -p.verdict.severity)
    plans, left_out = plans[:at_most], plans[len(plans[:at_most]) :]
    now = microseconds(document.at)
    tellings = {p.plan: p.telling(now) for p in plans if isinstance(p, Told)}
    rows = _rows(plans, document.at, tellings)
    header: Sequence[str] = _HEADER
    if any(p.copied is not None if isinstance(p, Brief) else p.copies for p in plans):
        header = (*header[:_COPY_AT], "COPY", *header[_COPY_AT:])
        for row, plan in zip(rows, plans, strict=True):
            row.insert(_COPY_AT, _copies(plan, now, tellings))
    lines = table(header, rows, width=width, keep=2, colour=colour)
    uncoloured = table(header, rows, width=width, keep=2, colour=False) if colour else lines
    plain_width = max(map(measure, uncoloured))
    at = format_time(document.at)
    worth_a_word = [p for p in plans if not isinstance(p, Brief)]
    below = notes(_notes(document, worth_a_word, tellings), width=width, colour=colour)
    if left_out:
        below.insert(
            0,
            f"and {_counts(left_out, more=' more')}. All plans: drd status --all; one plan: drd "
            "status PLAN",
        )
    head = spread(_counts(everyone), at, min(width, plain_width))
    return "\n".join([head, "", *lines, *([""] if below else []), *below])


def _everyone(document: StatusDocument) -> list[Shown]:
    """Return all plans by name."""
    everyone: list[Shown] = []
    everyone += document.plans
    everyone += document.briefs
    everyone.sort(key=lambda p: p.plan)
    return everyone


def _gravest(document: StatusDocument) -> str:
    """The summary at the end of a long screen whose beginning has scrolled away."""
    everyone = _everyone(document)
    names = [p.plan for p in everyone if p.verdict is document.verdict]
    said = f"{document.verdict.words}: {some(names, 5)}"
    return f"{_counts(everyone)}\n{said}; drd status {names[0]}"


def _counts(plans: Sequence[Shown], more: str = "") -> str:
    verdicts = [p.verdict for p in plans]
    counts = ((verdict, verdicts.count(verdict)) for verdict in _IN_COUNTS)
    counted = (f"{count} {verdict.words}" for verdict, count in counts if count)
    words = f"{len(plans):,}{more} {noun(len(plans), 'plan')}"
    return f"{words}: {', '.join(counted)}"


def _rows(
    plans: Sequence[Shown], at: datetime, tellings: Mapping[str, Telling]
) -> list[list[Cell]]:
    now = microseconds(at)
    texts: dict[float | None, Cell] = {}  # of objectives, of which there are few
    return [
        _brief_row(plan, now, texts)
        if isinstance(plan, Brief)
        else tellings[plan.plan].row
        if isinstance(plan, Told)
        else row_of(plan, at)
        for plan in plans
    ]


def _brief_row(plan: Brief, now: int, texts: dict[float | None, Cell]) -> list[Cell]:
    """Return the same row as `row_of` of the plan's assessment."""
    for seconds in (plan.rpo_s, plan.rto_s, plan.projected_s):
        if seconds not in texts:
            texts[seconds] = Cell(objective(seconds))
    return [
        Cell(plan.plan),
        _MET,
        Cell(format_duration(max(0, now - plan.data) / 1e6)),
        texts[plan.rpo_s],
        texts[plan.projected_s],
        texts[plan.rto_s],
        Cell(drilled("passed", max(0, now - plan.drilled) / 1e6, plan.rehearsed)),
        _READY[plan.readiness],
        Cell(percent(plan.attainment(now))),
    ]


def _notes(
    document: StatusDocument, plans: Sequence[Shown], tellings: Mapping[str, Telling]
) -> list[Note]:
    """Reasons of every plan that has any, each with its alert; then other alerts."""
    notes: list[Note] = []
    for plan in sorted(plans, key=lambda p: -p.verdict.severity):
        if isinstance(plan, Told):
            notes += tellings[plan.plan].notes
        elif not isinstance(plan, Brief):
            notes += notes_of(plan, document.at)
    if len(plans) == 1:
        notes += [_hold(plan.plan, hold) for plan in plans for hold in _holds_of(plan)]
    if document.trouble is not None:
        notes.append(Note("drd", Cell(document.trouble, "bad"), "df -h"))
    notes += [alert_note("drd", alert, document.at) for alert in document.alerts]
    return notes + _packages(document) + _daemon(document) + _written(document)


def _packages(document: StatusDocument) -> list[Note]:
    """Return a line for each missing package that no alert names."""
    known = {alert.subject for alert in document.alerts if alert.kind == "extension"}
    return [
        Note(
            "drd",
            Cell(f"the package {name} of drd.yaml is not installed", "warn"),
            "drd doctor",
        )
        for name in document.missing_packages
        if name not in known
    ]


def _copies(plan: Shown, now: int, tellings: Mapping[str, Telling]) -> Cell:
    """Return what the worst of the copies would lose."""
    if isinstance(plan, Told):
        return tellings[plan.plan].copies
    if not isinstance(plan, Brief):
        return copies_of(plan)
    if plan.copied is None:
        return Cell("-")
    return Cell(format_duration(max(0, now - plan.copied) / 1e6))


def _written(document: StatusDocument) -> list[Note]:
    text = known_when(document)
    return [Note("drd", Cell(text, "warn"), "sudo drd status")] if text else []


def _holds_of(plan: Shown) -> Sequence[HoldFacts]:
    """The holds of a plan. A `Brief` and a `Told` never have any."""
    return getattr(plan, "holds", ())


def _hold(plan: str, hold: HoldFacts) -> Note:
    until = f" until {format_time(hold.until)}" if hold.until else ""
    by = f" (by {hold.by})" if hold.by else ""
    return Note(plan, Cell(f"{hold.point} is held{until}: {hold.reason}{by}"), f"drd points {plan}")


def _daemon(document: StatusDocument) -> list[Note]:
    """Return a line about a daemon that does not work."""
    daemon = document.daemon
    if daemon is None or daemon.state == "running":
        return []
    if daemon.at is None:
        text, command = "the service is installed but has never run", "systemctl enable --now drd"
    else:
        ago = f"{format_duration(age(daemon.at, document.at))} ago"
        if daemon.state == "stopped":
            text, command = f"the daemon was stopped {ago}", "systemctl start drd"
        else:
            text, command = f"the daemon's last sign of life was {ago}", "systemctl status drd"
    return [Note("drd", Cell(f"{text}: scheduled runs do not start", "bad"), command)]


def status_command(
    *,
    state_url: str,
    state_password: SecretRef | None = None,
    extensions: Sequence[str] = (),
    plans_dir: str | PathLike[str],
    public_dir: str | None = None,
    plan: str | None,
    json: bool,
    nagios: bool,
    colour: bool,
    installed: bool = False,
    everything: bool = False,
    now: datetime | None = None,
    out: TextIO | None = None,
) -> int:
    """Print the status, on a terminal no more than a screen of plans without `everything`, and
    return the exit code: 0 met or at risk, 3 breached or unknown; with `nagios` 0 to 3 by that
    convention, even for errors. Raises DrdError otherwise."""
    out = out or sys.stdout
    now = now or datetime.now(UTC)
    places = ConfiguredPlaces(
        state_url,
        os.fspath(plans_dir),
        public_dir or public_of(state_url),
        state_password,
        tuple(extensions),
    )
    if nagios:
        wanted = StatusQuery(plan, 50, installed)
        return _nagios(lambda: _read(places, wanted, now), out)
    wanted = StatusQuery(plan, None if json else 0, installed)
    document = _read(places, wanted, now)
    if json:
        from json import dumps

        from drd.flows.status.document import status_json

        text = dumps(status_json(document), indent=2)
    else:
        at_most = MANY if out.isatty() and not everything else None
        text = render(document, terminal_width(out), colour, at_most=at_most)
        height = terminal_height(out)
        if height is not None and text.count("\n") >= height:
            text += f"\n\n{_gravest(document)}"
    print(shown(text, painted=colour), file=out)
    return exit_code(document.verdict)


def _read(places: ConfiguredPlaces, wanted: StatusQuery, now: datetime) -> StatusDocument:
    document = read_document(places, wanted, now)
    missing = missing_packages(places.extensions) if places.extensions else ()
    return document._replace(trouble=trouble_at_rest(places.state_url), missing_packages=missing)


def _nagios(document: Callable[[], StatusDocument], out: TextIO) -> int:
    """A plugin must print one line and must not exit with a code of another meaning."""
    from drd.flows.status.document import nagios, unbarred

    try:
        code, line = nagios(document())
    except DrdError as error:
        code, line = 3, unbarred(f"DRD UNKNOWN - {error}")
    print(shown(line), file=out)
    return code

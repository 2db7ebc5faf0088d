"""Show a plan without problems in `drd status` without assessing it again.

Of thousands of plans most are met and have no reason, alert or running copy to show. The result of
`assess()` stays valid until a known moment (`validity`), and its row consists of a few figures,
which age as they do in an assessment. For most other plans the sentences are known as well
(`Told`); the remaining plans are assessed each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from drd.model.compliance import assess
from drd.model.facts import AlertFacts, PlanFacts
from drd.model.status_notes import PLACE, Place, Told
from drd.model.verdicts import Assessment, CopyAssessment, PlanState, Reason, Verdict
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from drd.model.cells import Cell, Note

_SHORTEST_S = 1.0
"""Results that are valid for less time are not stored."""
_LONGEST_S = 366 * 86400.0
Course = tuple[float, float, float, float]
"""How a figure ages with t seconds: (a + b·t) / (c + d·t). See `validity`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Brief(NamedTuple):
    """The status of a plan that is ok, valid from `since` and before `until`. Times are
    microseconds since the epoch, since differences of these are exact. `file` with its time and
    size is the plan file as it was loaded. `copied` is the data time of the copy that is furthest
    behind, None without copies. `attainment` is how the attainment develops from `since` on.
    `packages` are the packages of the plan, as in its facts.
    """

    plan: str
    since: int
    until: int
    file: str
    file_mtime_ns: int
    file_size: int
    rpo_s: float
    data: int
    rto_s: float
    projected_s: float
    drilled: int
    rehearsed: tuple[int, int] | None
    copied: int | None
    attained: Course | None
    packages: dict[str, str]

    # What a full assessment would have in these places, so that either can stand for a plan.

    @property
    def verdict(self) -> Verdict:
        return Verdict.MET

    @property
    def state(self) -> PlanState:
        return PlanState.OK

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return ()

    @property
    def alerts(self) -> tuple[AlertFacts, ...]:
        return ()

    @property
    def copies(self) -> tuple[CopyAssessment, ...]:
        return ()

    def attainment(self, now: int) -> float | None:
        """The share of the window with the objective met, computed as `assess()` does."""
        if self.attained is None:
            return None
        a, b, c, d = self.attained
        later = (now - self.since) / 1e6
        return (a + b * later) / (c + d * later)


def microseconds(at: datetime) -> int:
    """Microseconds since the epoch."""
    return (at - _EPOCH) // _MICROSECOND


def in_advance(facts: PlanFacts, now: datetime) -> Brief | Told | None:
    """Return what will be shown of a plan for a while; None if that is about to change."""
    if facts.load_error is not None or facts.file_gone or facts.holds:
        return None
    from drd.model.validity import holds_with_places

    (assessed, row, why), for_s, places = holds_with_places(lambda at: _judged(facts, at), now)
    if for_s < _SHORTEST_S:
        return None
    since = microseconds(now)
    until = since + int(min(for_s, _LONGEST_S) * 1e6)
    if row and assessed.beside:
        return None
    if row:
        return _notes_in_advance(facts, assessed, (row, why, places), (since, until))
    return _brief(facts, assessed, (since, until))


def _judged(facts: PlanFacts, at: datetime) -> tuple[Assessment, list[Cell], Note | None]:
    """Assess a plan that has sentences to show, and note for how long they are valid."""
    from drd.model.rows import copies_of, note_of, row_of

    assessed = assess(facts, at)
    if _is_quiet(assessed) and assessed.drill.last_at is not None:
        return assessed, [], None
    why = note_of(facts.plan, assessed.why, at) if assessed.why else None
    return assessed, [*row_of(assessed, at), copies_of(assessed)], why


def _notes_in_advance(
    facts: PlanFacts,
    found: Assessment,
    said: tuple[list[Cell], Note | None, list[Place]],
    between: tuple[int, int],
) -> Told | None:
    """Return the sentences of a plan; None if they could change with time in other ways than their
    figures: which of several alerts of a kind belongs to a reason depends on the words.
    """
    row, why, places = said
    first = found.why.text if found.why else ""
    cells = [*row, why.text] if why else row
    texts = [*(cell.text for cell in cells), first]
    whole = "\n".join(texts)
    kinds = [alert.kind for alert in facts.alerts]
    if len(set(kinds)) < len(kinds) or whole.count("\n") != len(texts) - 1 or PLACE in repr(facts):
        return None
    template, used = _with_places(whole, places)
    return Told(
        plan=facts.plan,
        since=between[0],
        until=between[1],
        file=facts.file,
        file_mtime_ns=facts.file_mtime_ns,
        file_size=facts.file_size,
        word=found.verdict.value,
        state_word=found.state.value,
        texts=template,
        places=used,
        styles=[cell.style for cell in cells],
        command=why.command if why else "",
        has_copies=bool(found.copies),
        has_reason=why is not None,
        critical=[a.text for a in found.alerts if a.severity == "critical"],
        packages=facts.packages,
    )


def _with_places(text: str, places: list[Place]) -> tuple[str, list[Place]]:
    """Return the texts with a bare mark instead of each figure, and the places in the order of the
    marks.
    """
    from drd.model.validity import PLACE_END

    head, *rest = text.split(PLACE)
    parts, used = [head], []
    for part in rest:
        number, _, after = part.partition(PLACE_END)
        used.append(places[int(number)])
        parts.append(after)
    return PLACE.join(parts), used


def _brief(facts: PlanFacts, found: Assessment, between: tuple[int, int]) -> Brief | None:
    drill = found.drill
    if drill.last_at is None:
        return None
    from drd.model.validity import course

    projected_s, share = found.rto.projected_s, found.rpo.kept
    objective_s, data_time = found.rpo.objective_s, found.rpo.data_time
    attained = course(share) if share is not None else None
    if projected_s is None or objective_s is None or data_time is None:
        return None
    if drill.result != "passed" or (attained is None) != (share is None):
        return None
    copied = [microseconds(copy.data_time) for copy in facts.copies if copy.data_time is not None]
    return Brief(
        plan=facts.plan,
        since=between[0],
        until=between[1],
        file=facts.file,
        file_mtime_ns=facts.file_mtime_ns,
        file_size=facts.file_size,
        rpo_s=objective_s,
        data=microseconds(data_time),
        rto_s=facts.rto_s,
        projected_s=float(projected_s),
        drilled=microseconds(drill.last_at),
        rehearsed=drill.rehearsed,
        copied=min(copied, default=None),
        attained=attained,
        packages=facts.packages,
    )


def _is_quiet(found: Assessment) -> bool:
    """Return whether there is only a row to show, with a time in it that ages evenly."""
    verdicts = [found.verdict, found.rpo.verdict, found.rto.verdict, found.drill.verdict]
    verdicts += [copy.verdict for copy in found.copies]
    is_ok = found.state is PlanState.OK
    return is_ok and set(verdicts) == {Verdict.MET} and not found.reasons and not found.alerts


def briefs_from(rows: list[list[Any]]) -> list[Brief | Told]:
    """Read short forms back from what `json` wrote. Raises TypeError or ValueError for anything
    else.
    """
    return [
        Brief._make(row) if len(row) == _LENGTH else Told._make(row)  # which differ in it
        for row in rows
    ]


_LENGTH = len(Brief._fields)

"""A draft of a report about an incident: each item that it must contain, filled from what is known,
or marked as missing. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from zoneinfo import ZoneInfo

from drd.model.incidents import entries as kinds
from drd.model.incidents.affected import Affected, Known
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.incidents.timeline import MEASURE, Line, condensed
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import ClockState
from drd.model.obligations.conditions import PEOPLE, RECORDS, RESIDENTS, Fact
from drd.model.obligations.regime import ContentItem
from drd.model.obligations.words import local_time
from drd.model.text import counted

MISSING = "MISSING"
LATE = "late"

_KEYS_OF_MEASURES = frozenset(
    {"measures", "mitigation", "remedy", "resolution", "doing", "actions"}
)
"""The keys of items about measures; other items from the timeline also say what happened."""
_NATURE = "nature"
"""The key of an item that asks what happened, and to how many people."""
_HAPPENED = frozenset({kinds.OPEN, kinds.REPORT, kinds.SCOPE, kinds.LOG, kinds.STATE})
_ACHIEVED = re.compile(r"state (contained|eradicated|recovered)\b")
_SENT = re.compile(
    r"message \d+ to (customers|partners|status-page|regulator|press) sent to \d+ address(es)?"
)
_RECOVERED = re.compile(r"(recovery of \S+) from point \S+: passed.*", re.DOTALL)
_MAIL_ADDRESS = re.compile(r"[^\s<>@,;:]+@[^\s<>@,;:]+")
_PATH = re.compile(r"(?<![\w:/.<])/[\w.@+-][^\s,;:]*")


class ReportDraft:
    """The draft of one report, in Markdown. `data` is what the plans in the scope say about people,
    or what drd counted; `stated` are the names of the facts that a person gave."""

    def __init__(
        self,
        incident: Incident,
        state: ClockState,
        case: Case,
        lines: Sequence[Line],
        *,
        data: Sequence[Affected] = (),
        stated: Collection[str] = (),
    ) -> None:
        self.incident = incident
        self.state = state
        self.case = case
        self.lines = [line for line in condensed(lines) if not line.routine]
        self.data = data
        self.stated = stated
        self.zone = ZoneInfo(state.regime.zone or case.zone)

    def text(self) -> str:
        return "\n".join(self._text()) + "\n"

    def missing(self) -> list[str]:
        """Return the keys of the items that a person has to write or to complete; `late` is the
        reason why the report is late."""
        items = [item.key for item in self.state.regime.content if self._lacks(item)]
        return [*([LATE] if self._lacks_reason() else []), *items]

    def _lacks_reason(self) -> bool:
        state = self.state
        return state.regime.late_needs_reasons and state.late and not state.late_reason

    def _lacks(self, item: ContentItem) -> bool:
        told = list(self._value(item))
        return not told or (item.source == "scope.people" and any(MISSING in line for line in told))

    def _text(self) -> Iterator[str]:
        regime, state = self.state.regime, self.state
        yield f"# {regime.title}"
        yield ""
        yield f"Draft for {regime.id}, incident {self.incident.number}. This is not legal advice."
        yield ""
        yield f"- To: {regime.recipient}"
        if regime.how or regime.form:
            yield f"- How: {'; '.join(filter(None, (regime.how, regime.form)))}"
        if state.due_at is not None:
            yield f"- Due: {local_time(state.due_at, self.zone, state.last_day)}"
        if state.late and state.late_reason:
            yield f"- This report is late, because: {_without_places(state.late_reason)}"
        elif self._lacks_reason():
            yield f"- This report is late. A late report must give the reasons: {MISSING}"
        elif regime.late_needs_reasons:
            yield "- A late report must give the reasons."
        yield f"- By: {'; '.join(source.cite for source in regime.sources)}"
        for item in regime.content:
            yield ""
            yield f"## {item.text}"
            yield ""
            yield from list(self._value(item)) or [f"{MISSING}: {item.key}"]
        missing = self.missing()
        yield ""
        if missing:
            yield f"{counted(len(missing), 'item')} missing: {', '.join(missing)}"
        else:
            yield "No item is missing. A person must read this draft before it is sent."

    def _value(self, item: ContentItem) -> Iterator[str]:
        where, _, name = item.source.partition(".")
        if where == "moment" and name in set(Instant):
            at = self.incident.instants.get(Instant(name))
            if at is not None:
                yield local_time(at, self.zone)
        elif item.source == "scope.people":
            yield from self._people(item)
        elif where == "facts" and self.case.facts.get(name) is not None:
            yield f"{name}: {_words(self.case.facts[name])}"
        elif where == "timeline":
            yield from self._happened(item.key)

    def _happened(self, key: str) -> Iterator[str]:
        """Say what happened, or only what was done about it; entries that a person has starred, if
        there are any. Nothing internal, and no address or path, goes to people outside."""
        told = [(line, _measure(line)) for line in self.lines]
        if key not in _KEYS_OF_MEASURES:
            starred = [(line, line.text) for line in self.lines if line.starred]
            told = [(line, text or _happened(line)) for line, text in told]
        else:
            starred = [(line, text) for line, text in told if line.starred and text]
        for line, text in starred or told:
            if text:
                told_text = _without_places(text.removeprefix(MEASURE))
                yield f"- {local_time(line.at, self.zone)}: {told_text}"

    def _people(self, item: ContentItem) -> Iterator[str]:
        nature = item.key == _NATURE
        happened = list(self._happened(item.key)) if nature else []
        people = self.case.facts.get(PEOPLE)
        if people is None and not happened:
            return
        if nature:
            yield from happened or [f"- what happened: {MISSING}"]
            yield ""
        if people is None:
            yield f"number of people: {MISSING} (--fact {PEOPLE}=NUMBER)"
            return
        yield f"{people} people{self._estimated(PEOPLE)}"
        yield from self._residents(people)
        yield from self._categories(item)

    def _estimated(self, fact: str) -> str:
        """Say that a number is an estimate; empty if a person gave it, or drd counted all
        people."""
        counted_all = all(one.known is Known.COUNTED for one in self.data)
        return "" if fact in self.stated or counted_all else " (estimated)"

    def _residents(self, people: Fact) -> Iterator[str]:
        residents = {
            name: count for name, count in self.case.facts.items() if name.startswith(RESIDENTS)
        }
        for name, count in residents.items():
            number = MISSING if count is None else f"{count}{self._estimated(name)}"
            yield f"- {name.removeprefix(RESIDENTS)}: {number}"
        counts = [count for count in residents.values() if isinstance(count, int)]
        if not counts or len(counts) < len(residents) or not isinstance(people, int):
            return
        if sum(counts) < people:
            yield f"- unknown residence: {people - sum(counts)}"
        elif sum(counts) > people:
            yield (
                f"- the number of residents is higher by {sum(counts) - people} than the number of "
                "all people: correct the numbers"
            )

    def _categories(self, item: ContentItem) -> Iterator[str]:
        """Say what the item asks for besides the number of people."""
        if "categories" in item.text:
            for one in self.data:
                kinds_of_data = [*one.categories] + ["special category"] * one.special
                told = ", ".join(kinds_of_data) or MISSING
                yield f"- categories of data, {one.what} ({one.words()}): {told}"
            if not self.data:
                yield f"- categories: {MISSING}"
        if "records" in item.text:
            records = self.case.facts.get(RECORDS)
            if records is None:
                yield f"- number of records: {MISSING} (--fact {RECORDS}=NUMBER)"
            else:
                yield f"- number of records: {records}"


def _happened(line: Line) -> str:
    """Return the text of a report about a line that is not a measure; empty if the line is only for
    people inside."""
    return line.text if line.kind in _HAPPENED else ""


def _measure(line: Line) -> str:
    """Return what a report says of a line about what was done; empty for anything else: a note
    counts only if a person called it a measure."""
    if line.measure or line.kind == kinds.RECOVERY:
        return line.text
    if line.kind == kinds.STATE:
        return line.text if _ACHIEVED.match(line.text) else ""
    if line.kind == kinds.TASK:
        return line.text if re.match(r"task \d+ done", line.text) else ""
    if line.kind == kinds.MESSAGE and (sent := _SENT.match(line.text)) is not None:
        return f"a message to {sent[1]} was sent"
    if line.kind == "evidence" and (passed := _RECOVERED.fullmatch(line.text)) is not None:
        return f"{passed[1]} passed"
    return ""


def _without_places(text: str) -> str:
    """Return a text without mail addresses and paths of this host."""
    return _PATH.sub("(path)", _MAIL_ADDRESS.sub("(address)", text))


def _words(fact: Fact) -> str:
    return {"True": "yes", "False": "no"}.get(str(fact), str(fact))

"""A draft of a report about an incident: each item that it must contain, filled from what is known,
or marked as missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.incidents.timeline import Line, condensed
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import ClockState
from drd.model.obligations.conditions import PEOPLE, RESIDENTS, Fact
from drd.model.obligations.regime import ContentItem
from drd.model.obligations.words import local_time
from drd.model.text import counted

MISSING = "MISSING"


class ReportDraft:
    """The draft of one report, in Markdown."""

    def __init__(
        self, incident: Incident, state: ClockState, case: Case, lines: Sequence[Line]
    ) -> None:
        self.incident = incident
        self.state = state
        self.case = case
        self.lines = [line for line in condensed(lines) if not line.routine]
        self.zone = ZoneInfo(state.regime.zone or case.zone)

    def text(self) -> str:
        return "\n".join(self._text()) + "\n"

    def missing(self) -> list[str]:
        """Return the keys of the items that a person has to write."""
        return [item.key for item in self.state.regime.content if not list(self._value(item))]

    def _text(self) -> Iterator[str]:
        regime, state = self.state.regime, self.state
        yield f"# {regime.title}"
        yield ""
        yield f"Draft for {regime.id}, incident {self.incident.number}. This is no legal advice."
        yield ""
        yield f"- To: {regime.recipient}"
        if regime.how or regime.form:
            yield f"- How: {'; '.join(filter(None, (regime.how, regime.form)))}"
        if state.due_at is not None:
            yield f"- Due: {local_time(state.due_at, self.zone, state.last_day)}"
        if regime.late_needs_reasons:
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
            yield "No item is missing. A person must read it before it is sent."

    def _value(self, item: ContentItem) -> Iterator[str]:
        where, _, name = item.source.partition(".")
        if where == "moment" and name in set(Instant):
            at = self.incident.instants.get(Instant(name))
            if at is not None:
                yield local_time(at, self.zone)
        elif item.source == "scope.people":
            yield from self._people()
        elif where == "facts" and self.case.facts.get(name) is not None:
            yield f"{name}: {_words(self.case.facts[name])}"
        elif where == "timeline":
            starred = [line for line in self.lines if line.starred]
            for line in starred or self.lines:
                yield f"- {local_time(line.at, self.zone)}: {line.text}"

    def _people(self) -> Iterator[str]:
        people = self.case.facts.get(PEOPLE)
        if people is None:
            return
        yield f"{people} people"
        for name, count in self.case.facts.items():
            if name.startswith(RESIDENTS):
                number = MISSING if count is None else str(count)
                yield f"- {name.removeprefix(RESIDENTS)}: {number}"


def _words(fact: Fact) -> str:
    return {"True": "yes", "False": "no"}.get(str(fact), str(fact))

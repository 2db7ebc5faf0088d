"""The entries that people make in an incident.

Each function only adds what a person said: its consequences are computed when the entries are read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from drd.errors import UsageError
from drd.flows.incidents import times
from drd.flows.incidents.merged import left_behind, merge_notes, moments_of, tasks_of, told_of
from drd.flows.incidents.texts import LONGEST_NAME
from drd.flows.incidents.texts import name_of as _name
from drd.flows.incidents.texts import reason_of as _reason
from drd.flows.incidents.texts import text_of as _text
from drd.model.incidents import entries as kinds
from drd.model.incidents.affected import Affected
from drd.model.incidents.entries import LONGEST_TITLE, Author, draft, subject
from drd.model.incidents.fold import is_private
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.incidents.states import SETTABLE, State, goes_back
from drd.model.nearest import closest, meant
from drd.model.records import Draft, Entry
from drd.model.text import some
from drd.model.units import format_time
from drd.ports import Catalogue

_LARGEST = 10**9
"""No incident has a larger number."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a person adds entries to one incident. `zone` is the zone of times that people type and
    read. `typed` has typed times as drd understood them, `notes` what a person has to know after an
    act. `reads` returns the entries of an incident that the person may read, None if they may read
    all: texts must not say more than these. The methods raise UsageError.
    """

    catalogue: Catalogue
    number: int
    author: Author
    zone: tzinfo = UTC
    typed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reads: Callable[[Incident], Sequence[Entry]] | None = None

    def entries(self) -> Sequence[Entry]:
        """Return the entries of the timeline that the person may read."""
        reads = self.reads or self.catalogue.incidents.entries
        return reads(self.catalogue.incidents.get(self.number))

    def past(self, text: str) -> datetime:
        """Return the time of something that happened, as it was typed."""
        return self._typed(text, times.past(text, self.author.at, self.zone))

    def coming(self, text: str) -> datetime:
        """Return the time of something that is due, as it was typed."""
        return self._typed(text, times.coming(text, self.author.at, self.zone))

    def _typed(self, text: str, at: datetime) -> datetime:
        self.typed.append(times.recorded(text, at, self.zone))
        return at

    def open_report(
        self, title: str, *, plans: Sequence[str], severity: str, restricted: bool
    ) -> Incident:
        """Open an incident from a reported suspicion, whose number and text it keeps."""

        def drafts(incident: Incident) -> list[Draft]:
            if incident.state is not State.REPORTED:
                raise UsageError(
                    f"{self.number} is not a report that waits for an operator: the state of "
                    f"incident {self.number} is {incident.state}",
                    hint="to list the reports: drd incident list",
                )
            body = {
                "title": _text(title, "the title", LONGEST_TITLE) if title else "",
                "plans": list(dict.fromkeys(plans)),
                "severity": severity,
                "restricted": restricted,
                "instants": {},
            }
            return [self._draft(kinds.OPEN, body)]

        return self.catalogue.incidents.add(self.number, drafts)

    def log(
        self,
        text: str,
        happened_at: datetime | None,
        *,
        restricted: bool = False,
        measure: bool = False,
    ) -> Incident:
        """Note what happened, or what was found. `restricted`: only people with a role may read it.
        `measure`: it is something that was done about the incident."""
        mark = {"restricted": True} if restricted else {}
        mark |= {"measure": True} if measure else {}
        body = {"text": _text(text), "happened_at": happened_at, **mark}
        return self._add(kinds.LOG, body)

    def correct(self, entry: int, text: str, reason: str, *, restricted: bool = False) -> Incident:
        """Correct what an entry says: the entry stays, and the timeline shows the correction; a
        `restricted` correction is shown only to people with a role. The correction of a restricted
        entry is restricted."""
        known = self.catalogue.records.get(entry)
        header = known.header
        if header.subject != subject(self.number):
            raise UsageError(
                f"entry {entry} of the records does not belong to incident {self.number}",
                hint=f"to see the numbers of the entries: drd incident show {self.number}",
            )
        if header.kind == kinds.INDICATOR:
            raise UsageError(
                f"entry {entry} is an indicator, which cannot be corrected, because other systems "
                "may have read its value",
                hint=f"withdraw the indicator: drd incident indicator {self.number} "
                f"--withdraw {entry} --reason TEXT; then add the right indicator.",
            )
        mark = {"restricted": True} if restricted or is_private(known) else {}
        body = {"entry": entry, "text": _text(text), "reason": _reason(reason), **mark}
        return self._add(kinds.CORRECT, body)

    def star(self, entry: int, *, on: bool) -> Incident:
        """Mark an entry as important, or take the mark away."""
        if entry not in {e.seq for e in self.entries()}:
            raise UsageError(
                f"the timeline of incident {self.number} has no entry {entry}",
                hint=f"to see the numbers of the entries: drd incident show {self.number}",
            )
        return self._add(kinds.STAR, {"entry": entry, "on": on})

    def set_state(self, state: str, reason: str) -> Incident:
        """Change the state. Back to an earlier one needs a reason."""
        if state not in SETTABLE:
            raise UsageError(f"there is no state {state!r}", hint=meant(state, SETTABLE))
        wanted = State(state)
        if wanted is State.CLOSED:
            return self.close(reason)

        def body(incident: Incident) -> Mapping[str, Any]:
            require_opened(incident)
            if incident.state is wanted:
                raise UsageError(
                    f"incident {self.number} is {wanted} already",
                    hint=f"to see the incident: drd incident show {self.number}",
                )
            if goes_back(incident.state, wanted) and not reason.strip():
                raise UsageError(
                    f"incident {self.number} is {incident.state}: to change the state back "
                    f"to {wanted}, a reason is necessary",
                    hint="add --reason TEXT",
                )
            return {"to": wanted, "reason": _reason(reason, needed=False)}

        return self.catalogue.incidents.add(
            self.number, lambda incident: [self._draft(kinds.STATE, body(incident))]
        )

    def set_severity(
        self,
        severity: str,
        reason: str,
        known: Sequence[str],
    ) -> Incident:
        """Set the severity to one of the values that drd.yaml lists."""
        require_severity(severity, known)
        body = {"to": severity, "reason": _reason(reason, needed=False)}
        return self._add(kinds.SEVERITY, body)

    def anchor(self, name: str, at: datetime, reason: str) -> Incident:
        """State when a moment was. A correction needs a reason."""
        instant = instant_of(name)

        def body(incident: Incident) -> Mapping[str, Any]:
            known = incident.instants.get(instant)
            if known is not None and not reason.strip():
                raise UsageError(
                    f"incident {self.number} already has a time for {instant}: "
                    f"{format_time(known, zone=self.zone)}; to correct this time, a reason "
                    "is necessary",
                    hint="add --reason TEXT",
                )
            return {"instant": instant, "at": at, "reason": _reason(reason, needed=False)}

        return self.catalogue.incidents.add(
            self.number, lambda incident: [self._draft(kinds.ANCHOR, body(incident))]
        )

    def assign(self, name: str) -> Incident:
        """Say who leads the response."""
        return self._add(kinds.ASSIGN, {"to": _name(name)})

    def give_role(self, role: str, name: str) -> Incident:
        """Say who has a role in the response."""
        body = {"role": _text(role, "the role", LONGEST_NAME), "to": _name(name)}
        return self._add(kinds.ROLE, body)

    def add_task(self, text: str, to: str, due: datetime | None) -> Incident:
        """Add something to do; who does it and when it is due may be unknown."""
        body = {"text": _text(text), "to": to.strip(), "due": due}
        return self._add(kinds.TASK, body)

    def finish_task(self, task: int) -> Incident:
        """Say that a task is done."""

        def body(incident: Incident) -> Mapping[str, Any]:
            if task not in {t.number for t in incident.open_tasks}:
                raise UsageError(
                    f"incident {self.number} has no open task {task}",
                    hint=f"to see the tasks of the incident: drd incident show {self.number}",
                )
            return {"done": task}

        return self._noting_merge(
            self.catalogue.incidents.add(
                self.number, lambda incident: [self._draft(kinds.TASK, body(incident))]
            )
        )

    def change_scope(
        self,
        *,
        add: Sequence[str],
        remove: Sequence[str],
        reason: str,
    ) -> Incident:
        """Put plans into the scope, and take plans out of it."""
        if not add and not remove:
            raise UsageError("no plan given", hint="use --add PLAN or --remove PLAN")

        def body(incident: Incident) -> Mapping[str, Any]:
            strangers = [plan for plan in remove if plan not in incident.plans]
            if strangers:
                raise UsageError(
                    f"these plans are not in the scope of incident {self.number}: "
                    f"{some(strangers)}",
                    hint="plans in the scope of the incident: "
                    f"{some(incident.plans, 10) or 'none'}",
                )
            return {
                "add": list(add),
                "remove": list(remove),
                "reason": _reason(reason, needed=False),
            }

        return self.catalogue.incidents.add(
            self.number, lambda incident: [self._draft(kinds.SCOPE, body(incident))]
        )

    def record_affected(self, affected: Sequence[Affected]) -> Incident:
        """Record whose data the plans in the scope have, as counted or declared."""
        return self._add(kinds.AFFECTED, {"affected": [one.to_json() for one in affected]})

    def decide(self, text: str, reason: str) -> Incident:
        """Record a decision, with its reason if one was given."""
        body = {"text": _text(text), "reason": _reason(reason, needed=False)}
        return self._add(kinds.DECIDE, body)

    def link(self, to: str, text: str) -> Incident:
        """Point to something elsewhere: a ticket, a run, a document. A number is that of another
        incident."""
        body = {"to": _text(to, "the link", LONGEST_NAME * 5), "text": text.strip()}
        self._require_other(body["to"])
        return self._add(kinds.LINK, body)

    def _require_other(self, to: str) -> None:
        """Raise UsageError if this is a number, but not the number of another incident."""
        if not (to.isascii() and to.isdecimal()):
            return
        if int(to) == self.number:
            raise UsageError(
                f"the link leads to incident {self.number} itself",
                hint=f"give the number of the other incident: drd incident link {self.number} M",
            )
        try:
            self.catalogue.incidents.get(min(int(to), _LARGEST))
        except UsageError:
            raise UsageError(
                f"the link is the number {to}, but there is no incident {to}",
                hint="to list the incidents: drd incident list --all. For a ticket with this "
                f'number, give its address, or write "ticket {to}".',
            ) from None

    def recovering(self, plan: str, target: str, *, point: str = "", clean: str = "") -> Incident:
        """Record that a recovery of a plan begins, which is in the scope from now on. `clean` is
        why its `point` is the clean one."""
        chosen = {"point": point, "clean": clean} if clean else {}

        def drafts(incident: Incident) -> list[Draft]:
            require_open(incident)
            body = {"plan": plan, "target": target, **chosen}
            return [self._draft(kinds.RECOVERY, body)]

        return self.catalogue.incidents.add(self.number, drafts)

    def merge(self, into: int, reason: str) -> Incident:
        """Close an incident that continues in another one; the timeline of that one then contains
        the entries of both. If one of them is restricted, only the restricted one contains the
        reason."""
        if into == self.number:
            raise UsageError(
                f"--into names incident {self.number} itself",
                hint="give the number of the other incident: drd incident merge "
                f"{self.number} --into M",
            )
        target = self.catalogue.incidents.get(into)
        if not target.is_open:
            raise UsageError(
                f"incident {into}, which --into names, is {target.state}",
                hint="to list the open incidents: drd incident list",
            )

        def drafts(incident: Incident) -> list[Draft]:
            require_open(incident)
            why = _reason(reason, needed=False)
            here = "" if target.restricted and not incident.restricted else why
            there = "" if incident.restricted and not target.restricted else why
            self.notes.extend((*merge_notes(incident, target), *left_behind(incident, target)))
            end = {"merged_into": into, "reason": here}
            begin = {
                "from": self.number,
                "reason": there,
                "moments": moments_of(incident, target),
                "told": told_of(incident, target),
            }
            return [
                self._draft(kinds.CLOSE, end),
                draft(kinds.MERGE, into, self.author, begin),
                *(draft(kinds.TASK, into, self.author, b) for b in tasks_of(incident, target)),
            ]

        return self.catalogue.incidents.add(self.number, drafts)

    def close(self, reason: str) -> Incident:
        """Close an incident or a reported suspicion; a suspicion with a reason."""

        def body(incident: Incident) -> Mapping[str, Any]:
            if incident.state is State.CLOSED:
                raise UsageError(
                    f"incident {self.number} is closed already",
                    hint=f"to see the incident: drd incident show {self.number}",
                )
            needed = incident.state is State.REPORTED
            return {"reason": _reason(reason, needed=needed)}

        return self.catalogue.incidents.add(
            self.number, lambda incident: [self._draft(kinds.CLOSE, body(incident))]
        )

    def _add(self, kind: str, body: Mapping[str, Any]) -> Incident:
        return self._noting_merge(
            self.catalogue.incidents.add(self.number, lambda _: [self._draft(kind, body)])
        )

    def _noting_merge(self, incident: Incident) -> Incident:
        into = incident.merged_into
        if into is not None and not incident.is_open:
            self.notes.append(
                f"incident {self.number} is closed and continues in incident {into}. The timeline "
                f"of incident {into} also shows this entry. Use the number {into} from now on."
            )
        return incident

    def _draft(self, kind: str, body: Mapping[str, Any]) -> Draft:
        return draft(kind, self.number, self.author, body)


def instant_of(name: str) -> Instant:
    """Return the moment of this name; a hyphen may stand for an underscore."""
    try:
        return Instant(name.replace("-", "_"))
    except ValueError:
        hint = meant(name, (i.value for i in Instant))
        raise UsageError(f"there is no moment {name!r}", hint=hint) from None


def require_severity(severity: str, known: Sequence[str]) -> None:
    """Raise UsageError for a severity that drd.yaml does not know."""
    if severity not in known:
        raise UsageError(f"there is no severity {severity!r}", hint=meant(severity, known))


def require_plans(plans: Sequence[str], known: Collection[str]) -> None:
    """Raise UsageError for a plan that drd does not know."""
    for plan in plans:
        if plan not in known:
            near = closest(plan, sorted(known))
            hint = f"did you mean {near}?" if near else "to see all plans: drd status"
            raise UsageError(f"there is no plan {plan!r}", hint=hint)


def require_opened(incident: Incident) -> None:
    """Raise UsageError for a report from which nobody has opened an incident."""
    if incident.state is State.REPORTED:
        raise UsageError(
            f"{incident.number} is a report that nobody has examined yet, not an open incident",
            hint=f"open an incident from it: drd incident open --report {incident.number}",
        )


def require_open(incident: Incident) -> None:
    """Raise UsageError if nobody works on the incident any more, or if nobody has begun."""
    require_opened(incident)
    if incident.state is State.CLOSED:
        raise UsageError(
            f"incident {incident.number} is closed",
            hint=f"to open it again: drd incident state {incident.number} detected --reason TEXT",
        )

"""The post-mortem of an incident, as Markdown and as HTML: parts that drd writes, between markers,
and questions that people have to answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from drd.kit.document import Block, Comment, Heading, Items, Paragraph, Table, html, markdown
from drd.model.incidents.affected import resident_words
from drd.model.incidents.durations import durations
from drd.model.incidents.incident_words import action_state, line_text, standing
from drd.model.incidents.investigation_words import cause_text
from drd.model.incidents.lessons import went_badly, went_well
from drd.model.incidents.review import Recovery, Review
from drd.model.incidents.timeline import condensed
from drd.model.marked_parts import begin, end
from drd.model.run import Evidence
from drd.model.text import escaped
from drd.model.units import format_duration, format_time

Quote = Callable[[str], str]
"""Escapes a text that a person or another system wrote, for the format of the page."""

_MEANS = re.compile(r"[\\`*\[\]<~]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
_BEGINS = re.compile(r"^([#>+=-]|\d+(?=[.)]))")
_NEEDS = {
    "detect": "to detect: from the moment occurred to the first notice",
    "acknowledge": "to acknowledge: from the first notice to the first act of a person",
    "contain": "to contain: from the first notice to the moment contained",
    "recover": "to recover: from the first notice to the moment recovered_regular",
}


def about(number: int) -> str:
    """Return the words in the markers that name the incident of a post-mortem."""
    return f"incident {number}"


def as_markdown(review: Review) -> str:
    """Return the whole post-mortem as Markdown."""
    return markdown(list(_document(review, _quoted))).decode()


def as_html(review: Review) -> str:
    """Return the whole post-mortem as one HTML page, which does not load other files."""
    return html(list(_document(review, escaped))).decode()


def _quoted(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, no link."""
    text = _MEANS.sub(lambda found: "&lt;" if found[0] == "<" else f"\\{found[0]}", escaped(text))
    return _BEGINS.sub(lambda found: f"\\{found[0]}" if not found[0].isdigit() else found[0], text)


def _document(review: Review, quote: Quote) -> Iterator[Block]:
    number = review.incident.number
    yield from _part(number, "head", _head(review, quote))
    yield Heading(2, "What happened")
    yield Paragraph(
        "(In a few sentences, for somebody who was not there: what happened, whom it affected, "
        "what ended it.)"
    )
    yield Heading(2, "Impact")
    yield from _part(number, "impact", _impact(review, quote))
    yield Heading(3, "Costs")
    yield Table(
        ("what", "amount", "source of the amount"),
        (
            ("working hours of our people", "", ""),
            ("lost sales", "", ""),
            ("refunds, contract penalties", "", ""),
            ("fines", "", ""),
            ("external services", "", ""),
        ),
    )
    yield Heading(2, "Timeline")
    yield from _part(number, "timeline", _timeline(review, quote))
    yield Heading(2, "Detection and response")
    yield from _part(number, "detection", _detection(review, quote))
    yield Paragraph("(Could somebody have noticed the incident earlier? How?)")
    yield Heading(2, "What went well")
    yield from _part(number, "well", _sentences(went_well(review), quote))
    yield Paragraph("(What else went well, and should not be changed?)")
    yield Heading(2, "What went badly")
    yield from _part(number, "badly", _sentences(went_badly(review), quote))
    yield Paragraph("(What else went badly? What went well only by luck?)")
    yield Heading(2, "What the drills had predicted")
    yield from _part(number, "drills", _drills(review, quote))
    yield Heading(2, "Contributing factors")
    yield from _factors()
    yield Heading(2, "Action items")
    yield from _part(number, "actions", _actions(review, quote))


def _part(number: int, name: str, blocks: Iterable[Block]) -> Iterator[Block]:
    of = about(number)
    yield Comment(begin(of, name))
    yield from blocks
    yield Comment(end(of, name))


def _head(review: Review, quote: Quote) -> Iterator[Block]:
    incident = review.incident
    title = quote(incident.title) or "(no title)"
    yield Heading(1, f"Post-mortem of incident {incident.number}: {title}")
    if incident.restricted:
        yield Paragraph(
            "This incident is restricted: give this file only to those who may read it."
        )
    yield Paragraph(
        f"State of {_time(review, review.now)}, entry {incident.last} of the records. drd writes "
        "and renews the parts between the markers (comments with “drd begin” and “drd end”). Write "
        "your own text outside of these parts."
    )
    yield Paragraph(f"{quote(standing(incident, review.now, review.zone))}.")
    if incident.merged_into is not None:
        yield Paragraph(f"This incident continues in incident {incident.merged_into}.")
    plans = ", ".join(map(quote, incident.plans)) or "none"
    yield Paragraph(f"Plans in the scope: {plans}.")
    cause = review.found.cause if review.found is not None else None
    told = quote(cause_text(cause)) if cause is not None else "not recorded"
    yield Paragraph(f"Root cause: {told}.")
    for warning in review.warnings:
        yield Paragraph(f"Warning: {quote(warning)}.")


def _impact(review: Review, quote: Quote) -> Iterator[Block]:
    if review.recoveries:
        header = ("recovery", "plan", "result", "data lost", "RPO", "time to recover", "RTO")
        yield Table(header, tuple(_recovery(review, one, quote) for one in review.recoveries))
    elif not review.unfinished:
        yield Paragraph(
            "The record does not contain a recovery of a plan in the scope, so drd did not measure "
            "data loss or downtime."
        )
    for plan in review.unfinished:
        yield Paragraph(f"A recovery of {quote(plan)} began, and has not ended.")
    if not review.affected:
        yield Paragraph(
            "People affected: unknown, because the plans do not describe whose data they contain "
            "(`data` in the plan)."
        )
        return
    rows = tuple(
        (
            quote(one.plan),
            quote(one.what),
            one.words(),
            quote(", ".join(map(resident_words, one.residents))) or "unknown",
        )
        for one in review.affected
    )
    yield Table(("plan", "data", "people affected", "residents"), rows)


def _recovery(review: Review, one: Recovery, quote: Quote) -> tuple[str, ...]:
    goals = review.goals.get(one.plan)
    loss = review.loss_of(one)
    lost_s, whose = (one.loss_s, "") if loss is None else (loss.lost_s, loss.component)
    rpo_s = loss.rpo_s if loss is not None else goals.rpo_s if goals is not None else None
    rpo = format_duration(rpo_s) if rpo_s is not None else "unknown"
    of = f" of {quote(whose)}" if whose else ""
    rto = format_duration(goals.rto_s) if goals is not None else "unknown"
    word = one.back or one.state or one.result
    if one.partial:
        word += ", a part of the service"
        rpo = rto = "set only for the whole service"
    return (
        quote(one.run),
        quote(one.plan),
        quote(word),
        _measured(lost_s) + of + ", a person chose the restore point" * one.on_purpose,
        rpo,
        _measured(one.took_s),
        rto,
    )


def _measured(seconds: float | None) -> str:
    return format_duration(seconds) if seconds is not None else "not measured"


def _timeline(review: Review, quote: Quote) -> Iterator[Block]:
    starred = [line for line in condensed(review.lines) if line.starred]
    if not starred:
        yield Paragraph(
            "No entry is marked as important. To mark an entry: "
            f"`drd incident log {review.incident.number} --star ENTRY`. Then write this file again."
        )
        return
    rows = tuple(
        (
            _time(review, line.at)[:16],
            quote(line.by),
            quote(line_text(line, review.zone)),
            str(line.entry),
        )
        for line in starred
    )
    yield Paragraph(f"Times in {review.zone}.")
    yield Table(("time", "who", "what", "entry"), rows)


def _detection(review: Review, quote: Quote) -> Iterator[Block]:
    rows = tuple(
        (quote(_NEEDS[name]), _took(seconds))
        for name, seconds in durations(review.incident).items()
    )
    yield Table(("time", "measured"), rows)
    stated = sorted(review.incident.instants.items(), key=lambda each: each[1])
    if stated:
        moments = tuple((quote(str(name)), _time(review, at)) for name, at in stated)
        yield Table(("moment", "time"), moments)


def _took(seconds: float | None) -> str:
    if seconds is None:
        return "unknown: the time of a moment is missing (to record the time: drd incident anchor)"
    return format_duration(seconds)


def _sentences(told: Iterable[str], quote: Quote) -> Iterator[Block]:
    items = tuple(f"{quote(one)}." for one in told)
    yield Items(items) if items else Paragraph("The record does not contain facts about this.")


def _drills(review: Review, quote: Quote) -> Iterator[Block]:
    if not review.recoveries:
        yield Paragraph("There was no recovery to compare with a drill.")
        return
    rows = tuple(_compared(review, one, quote) for one in review.recoveries)
    yield Table(("plan", "last drill before", "its result", "it took", "the recovery took"), rows)


def _compared(review: Review, one: Recovery, quote: Quote) -> tuple[str, ...]:
    prediction = review.predictions.get(one.run)
    drill: Evidence | None = prediction.drill if prediction is not None else None
    took = _measured(one.took_s)
    if drill is None:
        return quote(one.plan), "never drilled", "-", "-", took
    return (
        quote(one.plan),
        f"{_time(review, drill.finished_at)} (run {drill.run}, {quote(drill.scenario)})",
        str(drill.result),
        _measured(drill.rta_s),
        took,
    )


def _factors() -> Iterator[Block]:
    yield Paragraph(
        "(Do not write who is guilty. Write what made this incident possible, and what made it "
        "worse. Write an answer below each line, or write that it was not a factor.)"
    )
    yield Items(
        (
            "What had to be true for this to happen? Ask “why” until the answer can be changed:",
            "What was changed before the incident, and on which system:",
            "Which safeguard existed, and why did it not work:",
            "What did people know, and what did they not know, when they decided:",
            "What made the response slower than it had to be:",
            "Which supplier or other team was involved:",
            "Where can the same happen again:",
        )
    )


def _actions(review: Review, quote: Quote) -> Iterator[Block]:
    incident = review.incident
    if not incident.actions:
        yield Paragraph(
            "There is no action item yet. To add an action item: "
            f'`drd incident action {incident.number} add "TEXT" --owner NAME --due TIME`. '
            "`--verified-by` names the check, control, drill or finding that shows that the item "
            "is done."
        )
        return
    rows = tuple(
        (
            str(item.entry),
            quote(item.text),
            quote(item.owner),
            _time(review, item.due),
            quote(item.verified_by) or "a person",
            quote(action_state(item, review.now, review.zone)),
        )
        for item in incident.actions
    )
    yield Table(("item", "what is to change", "owner", "due", "verified by", "state"), rows)


def _time(review: Review, at: datetime) -> str:
    return format_time(at, zone=review.zone)

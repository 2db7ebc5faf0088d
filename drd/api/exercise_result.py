"""The result of an exercise as a document and as a page in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

from drd.api.values import Document
from drd.model.exercises.played import MET, MISSED, PARTLY, Played, Said
from drd.model.exercises.result import EXPECTATION, LATE, Item, Result, result_of
from drd.model.text import counted, escaped
from drd.model.units import format_duration, format_time, to_rfc3339

_WORDS = {MET: "met", LATE: "late", PARTLY: "partly met", MISSED: "missed"}


def state_words(played: Mapping[str, Any]) -> str:
    """Return in words how many injects people got; if the exercise is over, how many of its
    questions and expectations were met. `played` is the document of the exercise."""
    told = sum(bool(one["told"]) for one in played["injects"])
    if played["ended_at"] is None:
        return f"not over: people got {told} of {counted(len(played['injects']), 'inject')}"
    words = f"{played['counts'][MET]} of {len(played['items'])} questions and expectations met"
    return words if told == len(played["injects"]) else f"ended early: {words}"


def played_document(played: Played) -> Document:
    """Return what was played, and its result."""
    result = result_of(played)
    return {
        "number": played.number,
        "exercise": played.exercise.name,
        "title": played.exercise.title,
        "digest": played.exercise.digest,
        "playbooks": list(played.exercise.playbooks),
        "begun_at": to_rfc3339(played.begun_at),
        "ended_at": to_rfc3339(played.ended_at) if played.ended_at is not None else None,
        "by": played.by,
        "speed": played.speed,
        "complete": result.complete,
        "passed": result.is_passed,
        "counts": {word: len(result.of(word)) for word in _WORDS},
        "injects": [
            {"name": one.name, "at_s": one.at_s, "told": one.name in played.told,
             "told_s": played.told.get(one.name)}
            for one in played.exercise.injects
        ],
        "items": [_item(item) for item in result.items],
        "notes": [_said(note) for note in played.notes if not note.improves],
        "improve": list(result.improve),
        "altered": list(played.altered),
    }  # fmt: skip


def _item(item: Item) -> Document:
    return {
        "name": item.name,
        "sort": item.sort,
        "inject": item.inject,
        "asked": item.asked,
        "result": item.verdict,
        "why": item.why or None,
        "answer": _said(item.said) if item.said is not None else None,
        "run": (item.said.run or None) if item.said is not None else None,
        "after_s": item.after_s,
        "within_s": item.within_s,
        "right": list(item.right),
        "explain": item.explain or None,
    }


def _said(said: Said) -> Document:
    return {
        "text": said.text,
        "by": said.by,
        "at": to_rfc3339(said.at),
        "elapsed_s": said.elapsed_s,
    }


# --- the page --------------------------------------------------------------------------------


def as_markdown(played: Played, zone: tzinfo) -> str:
    """Return the result as a page. Markdown shows what people typed as plain text."""
    result = result_of(played)
    return "\n".join([*_head(played, result, zone), *_all_items(result), *_end(played, result)])


def _head(played: Played, result: Result, zone: tzinfo) -> Iterator[str]:
    exercise = played.exercise
    yield f"# Exercise {played.number}: {_plain(exercise.title)}"
    yield ""
    yield "This was an exercise. Nothing in it happened."
    yield ""
    yield f"- exercise: {_plain(exercise.name)}, led by {_plain(played.by)}"
    yield f"- begun: {format_time(played.begun_at, zone=zone)}"
    ended = played.ended_at
    yield f"- ended: {format_time(ended, zone=zone) if ended is not None else 'not yet'}"
    if exercise.playbooks:
        yield f"- playbooks: {', '.join(map(_plain, exercise.playbooks))}"
    for source in exercise.sources:
        yield f"- source: {_plain(source)}"
    yield f"- clock: {_clock(played.speed)}"
    if played.altered:
        numbers = ", ".join(map(str, played.altered))
        yield f"- entries that somebody changed, and that the result does not count: {numbers}"
    yield ""
    counts = ", ".join(f"{len(result.of(v))} {w}" for v, w in _WORDS.items())
    whole = "" if result.complete else " The exercise was not played to its end."
    yield f"**Questions and expectations: {len(result.items)}, of them {counts}.**{whole}"


def _clock(speed: float | None) -> str:
    if speed is None:
        return "none: the answers and their times come from a file"
    if not speed:
        return "none: people asked for each news themselves, so drd did not judge times"
    return "as in reality" if speed == 1 else f"{speed:g} times faster than in reality"


def _all_items(result: Result) -> Iterator[str]:
    for title, verdicts in (
        ("What was missed", (MISSED, PARTLY)),
        ("What was late", (LATE,)),
        ("What was met", (MET,)),
    ):
        items = [item for item in result.items if item.verdict in verdicts]
        if items:
            yield from ("", f"## {title}", "")
            for item in items:
                yield from _lines(item)


def _lines(item: Item) -> Iterable[str]:
    time = f" after {format_duration(item.after_s)}" if item.after_s is not None else ""
    within = f" (within {format_duration(item.within_s)})" if item.within_s is not None else ""
    yield f"- **{_plain(item.name)}** ({item.sort}): {_plain(item.asked)}{within}"
    said = item.said
    if item.sort == EXPECTATION and said is not None:
        yield f"  - {_WORDS.get(item.verdict, '')}{time}, says {_plain(said.by)}"
        if said.text and said.text != item.why:
            yield f"  - {_plain(said.text)}"
    elif said is not None and said.text:
        yield f"  - answer{time}: {_plain(said.text)} ({_plain(said.by)})"
    if item.why:
        yield f"  - {_plain(item.why)}"
    if item.explain:
        yield f"  - to learn: {_plain(item.explain)}"


def _end(played: Played, result: Result) -> Iterator[str]:
    if notes := [note for note in played.notes if not note.improves]:
        yield from ("", "## Notes", "")
        yield from (f"- {_plain(note.text)} ({_plain(note.by)})" for note in notes)
    yield from ("", "## What to improve", "")
    improve = [*result.improve, *(f"practise {i.name} again: {i.asked}" for i in _gaps(result))]
    yield from (
        f"- {_plain(text)}" for text in improve or ["nobody said that something should change"]
    )
    yield ""


def _gaps(result: Result) -> list[Item]:
    return [item for item in result.items if item.verdict != MET]


def _plain(text: str) -> str:
    """Return what people typed in one line, escaped: Markdown and a terminal show it as text."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", escaped(" ".join(text.split())))

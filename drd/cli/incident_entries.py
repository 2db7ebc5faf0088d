"""The verbs of `drd incident` that add an entry."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drd.cli import incident_scope, output
from drd.cli.incident_acting import acted, warn_of_notes
from drd.cli.session import session
from drd.errors import UsageError
from drd.model.incidents.durations import contradictions
from drd.model.incidents.instants import Instant
from drd.model.text import counted, escaped
from drd.model.units import from_rfc3339

Gives = Callable[[Sequence[str]], Mapping[str, Any]]
"""Returns the content of an act, from the words that were given."""


def act(args: argparse.Namespace, words: int, gives: Gives) -> dict[str, Any]:
    """Add an entry, here or through the daemon; `words` is how many words follow the number of the
    incident."""
    number, rest = _split(args, words)
    given = gives(rest)
    with session(args, acts=False, records=True) as app:
        document = acted(app, args, args.incident_verb, number, given)
    _tell(args, document)
    return document


def _tell(args: argparse.Namespace, document: Mapping[str, Any]) -> None:
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        title = escaped(document["title"] or "")
        output.say(f"incident {document['incident']} ({title}): {_done(args, document)}")
        warn_of_notes(document)


def _split(args: argparse.Namespace, words: int) -> tuple[int | None, Sequence[str]]:
    """Return the number of the incident, if one was given, and the words after it."""
    if not hasattr(args, "words"):
        return args.number, ()
    given: list[str] = args.words
    if len(given) == words + 1 and given[0].isdecimal():
        return int(given[0]), given[1:]
    if len(given) == words:
        return None, given
    verb = f"drd incident {args.incident_verb}"
    texts = len(given) - (bool(given) and given[0].isdecimal())
    if texts > words:
        raise UsageError(
            f"incident {args.incident_verb}: the command needs {counted(words, 'word')}, but got "
            f"{texts}",
            hint=f"put a text of several words in quotes. To see examples: {verb} --help",
        )
    raise UsageError(
        f"incident {args.incident_verb}: an argument is missing",
        hint=f"for examples: {verb} --help",
    )


def _done(args: argparse.Namespace, document: Mapping[str, Any]) -> str:
    if args.incident_verb == "state":
        return f"{document['state']} (entry {document['entry']})"
    return f"entry {document['entry']} recorded{_times(args, document['times'])}"


_MEANT = {
    "task": {"due": "due "},
    "indicator": {"seen": "seen ", "expires": "expires "},
    "evidence": {"taken": "taken "},
}
"""What the times mean that were typed, by the option, where this is not the time of the entry."""


def _times(args: argparse.Namespace, times: Sequence[str]) -> str:
    meant = _MEANT.get(args.incident_verb, {})
    given = [words for name, words in meant.items() if getattr(args, name, None) is not None]
    if len(given) != len(times):
        return f" for {' and '.join(times)}" if times else ""
    return "".join(f", {words}{at}" for words, at in zip(given, times, strict=True))


def log(args: argparse.Namespace) -> int:
    marked = args.star or args.unstar

    def gives(words: Sequence[str]) -> Mapping[str, Any]:
        said = {"at": args.at, "restricted": args.restricted, "measure": args.measure}
        if marked:
            return {"star": args.star, "unstar": args.unstar, **said}
        return {"text": words[0], "correct": args.correct, "reason": args.reason, **said}

    act(args, 0 if marked else 1, gives)
    return 0


def anchor(args: argparse.Namespace) -> int:
    def gives(words: Sequence[str]) -> Mapping[str, Any]:
        return {"moment": words[0], "at": words[1], "reason": args.reason}

    moments = act(args, 2, gives)["moments"]
    known = {Instant(name): from_rfc3339(at) for name, at in moments.items()}
    for wrong in contradictions(known):
        output.warn(
            f"{wrong}. Correct the wrong time: drd incident anchor MOMENT TIME --reason TEXT"
        )
    return 0


def state(args: argparse.Namespace) -> int:
    act(args, 1, lambda words: {"state": words[0], "reason": args.reason})
    return 0


def severity(args: argparse.Namespace) -> int:
    act(args, 1, lambda words: {"severity": words[0], "reason": args.reason})
    return 0


def assign(args: argparse.Namespace) -> int:
    act(args, 1, lambda words: {"to": words[0]})
    return 0


def role(args: argparse.Namespace) -> int:
    act(args, 2, lambda words: {"role": words[0], "to": words[1]})
    return 0


def task(args: argparse.Namespace) -> int:
    def gives(words: Sequence[str]) -> Mapping[str, Any]:
        if args.done is not None:
            return {"done": args.done}
        return {"text": words[0], "to": args.to, "due": args.due}

    act(args, 0 if args.done is not None else 1, gives)
    return 0


def scope(args: argparse.Namespace) -> int:
    if args.count or not (args.add or args.remove):
        return incident_scope.show(args, _split(args, 0)[0])
    said = {"add": args.add, "remove": args.remove, "reason": args.reason}
    act(args, 0, lambda _: said)
    return 0


def rotated(args: argparse.Namespace) -> int:
    if args.withdraw is not None:
        act(args, 0, lambda _: {"withdraw": args.withdraw, "reason": args.reason})
        return 0
    act(args, 1, lambda words: {"credential": words[0], "plan": args.plan, "at": args.at})
    return 0


def decide(args: argparse.Namespace) -> int:
    act(args, 1, lambda words: {"text": words[0], "reason": args.reason})
    return 0


def link(args: argparse.Namespace) -> int:
    act(args, 1, lambda words: {"to": words[0], "text": args.text})
    return 0


def merge(args: argparse.Namespace) -> int:
    act(args, 0, lambda _: {"into": args.into, "reason": args.reason})
    return 0


def close(args: argparse.Namespace) -> int:
    act(args, 0, lambda _: {"reason": args.reason})
    return 0

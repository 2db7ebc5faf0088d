"""The verbs of `drd`, and the parser of their options.

Only the called verb builds its options and imports its module."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module

from drd import log
from drd.cli.options import global_options
from drd.cli.parser import MEANT, Parser, Verbs
from drd.cli.verbs.families import MEMBERS
from drd.model.text import either

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERBS = {
    "status": "whether each plan meets its RPO and RTO, on one screen",
    "plan": "new, check, show, readiness, schedule: the plans",
    "doctor": "test everything that a run will need",
    "backup": "make a restore point of a plan",
    "readiness": "whether the recovery of each plan is proven, or why not",
    "point": "list, ls, mount, diff, hold, forget: the restore points",
    "points": "the restore points of a plan",
    "ls": "what a restore point contains: files, tables",
    "mount": "mount the files of a restore point in a directory",
    "diff": "what changed since a restore point",
    "drill": "rehearse the recovery in a sandbox, check and measure it",
    "recover": "restore a service for real",
    "approve": "approve a step that a recovery waits for",
    "done": "report a manual step, or a whole recovery, as done",
    "resume": "continue a recovery that stopped",
    "retry": "try a failed step of a recovery again",
    "skip": "continue a recovery without one of its steps",
    "rollback": "roll back the steps of a recovery",
    "undo": "put back the data that a recovery replaced",
    "copy": "copy restore points to the plan's other repositories",
    "verify": "check that the repositories can still be read",
    "retention": "forget restore points by the plan's policy",
    "hold": "keep a restore point whatever the rules say",
    "release": "end a hold, so that retention may forget the restore point",
    "adopt": "show or decide which machine owns drd's state",
    "prune": "remove data that no restore point needs",
    "repository": "copy, verify, retention, prune, rekey: where the backups are",
    "schedule": "what runs next, for how long, and why",
    "training": "what people practised and read, until when it counts, what is overdue",
    "runs": "which runs there were, and how they ended",
    "run": "list, show, cancel, resume, retry, done, undo: what ran and runs",
    "evidence": "what drills and recoveries proved",
    "alert": "list, ack, notify, incident: what needs attention",
    "alerts": "open alerts, and who takes care of them",
    "ack": "acknowledge an alert: silence it for a while",
    "notify": "send a test through every channel; list the channels' state",
    "incident": "open, report, show, log, close: the response to an incident",
    "playbook": "list, show, check, run: how to contain an incident",
    "exercise": "list, show, run, report: table-top exercises",
    "obligations": "duties to report an incident, and when reports are due",
    "records": "the signed records of what was proven, decided and done",
    "daemon": "run the service: start what is due, supervise, alert",
    "worker": "execute one pending run",
    "receiver": "receive the log of one component",
    "cancel": "end a run and everything that it started",
    "kit": "export, verify, bootstrap: recover on a bare machine",
    "bootstrap": "make an empty machine ready to recover",
    "catalogue": "rebuild or verify drd's catalogue",
    "service": "install, uninstall, records, config, adopt: drd on this host",
    "install": "install the systemd service",
    "uninstall": "stop the service and remove the files that install wrote",
    "config": "check drd.yaml before the daemon reads it",
    "completion": "print the completion script for your shell",
}

SHOWN = (
    "status",
    "plan",
    "doctor",
    "backup",
    "point",
    "drill",
    "recover",
    "run",
    "alert",
    "repository",
    "kit",
    "service",
)
"""The verbs in the overview. The other verbs are in these families, and can also be given alone."""

NOT_FOR_PEOPLE = ("worker", "receiver")

EPILOG = (
    "Begin: `drd plan new`, `plan check`, `doctor`, `backup`, `drill`. "
    "In an incident: `drd incident`. "
    "`drd VERB --help` has examples, and all verbs of a family. These also work alone: "
    "`drd runs`, `drd undo`. Exit codes: 0 done, 1 failed, 2 usage, 3 "
    "plan breached or unknown, 4 check failed, 5 nothing proven, 10 no repository, 11 locked, "
    "12 wrong password or key, 13 no restore point, 130 cancelled."
)


class Overview(Parser):
    """All verbs on one screen: the help of each verb explains its options."""

    def format_help(self) -> str:
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        formatter.add_text("\n".join(f"  {name:<11} {VERBS[name]}" for name in SHOWN))
        formatter.add_text(self.epilog)
        return formatter.format_help()

    def meant(self, word: str) -> str:
        """Also the verbs that exist only in a family or below a verb."""
        if word in MEANT:
            return MEANT[word]
        return either(_commands(build_parser(tuple(VERBS)), word))


def _commands(parser: argparse.ArgumentParser, word: str) -> Iterator[str]:
    """The commands that end with the word. A verb in a family that works alone as well counts
    only once: alone."""
    family = MEMBERS.get(parser.prog.removeprefix("drd "), {})
    for action in parser._subparsers._group_actions if parser._subparsers else ():  # noqa: SLF001
        for name, below in dict(action.choices or {}).items():
            if name == word and name not in family:
                yield below.prog
            elif family.get(name, ("",))[0] not in VERBS:
                yield from _commands(below, word)


def build_parser(words: Sequence[str], *, every: bool = False) -> Parser:
    """Return the parser, with the options of the verbs that `words` name; for completion also with
    the verbs of the overview."""
    parser = Overview(
        prog="drd",
        description="Disaster recovery: backups that were restored, objectives that are measured.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="print the version"
    )
    global_options(parser, top=True)
    # Without `prog` argparse would lay out a usage line only to cut it off: 3 ms.
    sub = parser.add_subparsers(
        prog="drd", dest="verb", metavar="VERB", required=True, parser_class=Parser, action=Verbs
    )
    assert isinstance(sub, Verbs)
    sub.lines, sub.words, parser.offered = VERBS, None if every else words, SHOWN
    decided = bool(words) and words[0] in VERBS
    for name in VERBS:
        if name in words:
            import_module(f"drd.cli.verbs.{name}").add_parser(sub)
        elif name in SHOWN if every else not decided and name not in NOT_FOR_PEOPLE:
            sub.add_parser(name)  # for error messages: a third of a millisecond each
    return parser


def with_usual_verb(words: list[str]) -> list[str]:
    """Add the verb that people leave out: `list` after `drd run`, `drd alert`, `drd incident` and
    `drd training`; `show` in `drd run ID` and `drd incident N`."""
    at = next((n for n, word in enumerate(words) if word in _LISTED), None)
    if at is None or any(word in VERBS for word in words[:at] if word != _FAMILIES.get(words[at])):
        return words
    rest = words[at + 1 :]
    if words[at] in _WITH_OPTIONS and rest[:1] and rest[0].startswith("-") and not _asks(rest[0]):
        return [*words[: at + 1], "list", *rest]
    if not rest:
        return [*words, "list"]
    shows = {"run": _HEX, "incident": _DIGITS}.get(words[at], frozenset())
    if set(rest[0]) <= shows:
        return [*words[: at + 1], "show", *rest]
    return words


def _asks(word: str) -> bool:
    return word in ("-h", "--help")


_LISTED = frozenset({"run", "alert", "incident", "training"})
_WITH_OPTIONS = frozenset({"training"})
"""The verbs after which options without another word are options of `list`."""
_FAMILIES = {"training": "plan"}
"""The family in which a verb can also be given: `drd plan training`."""
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import drd

        print(f"drd {drd.__version__}")
        parser.exit(0)


def parsed(words: list[str]) -> argparse.Namespace | None:
    """Return the options of a command line; None if it is empty and the overview was printed.
    Prints completions and ends the process if a shell asks for them."""
    words = with_usual_verb(words)
    completes = "_ARGCOMPLETE" in os.environ
    typed = os.environ.get("COMP_LINE", "").split() if completes else words
    parser = build_parser(typed, every=completes)
    if completes:
        from drd.cli.completion import complete

        complete(parser)
    if not words:
        parser.print_help(sys.stderr)
        return None
    return parser.parse_args(words)


def configure_log(args: argparse.Namespace) -> None:
    """Choose what a command logs: DRD_LOG says it, for programs if it does not go to a terminal.
    Without it, people read the few warnings between the other lines of the command."""
    usual = "error" if args.quiet else "warning"
    level = os.environ.get("DRD_LOG", "")
    is_chosen = level in log.LEVELS
    log.configure(level=level if is_chosen else usual, style="auto" if is_chosen else "plain")

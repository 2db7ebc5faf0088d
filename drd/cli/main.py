"""`drd`: finds the verb, runs it, turns errors into messages and exit codes.

Only the called verb builds its options and imports its module: `drd status` must not pay for the
others."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from types import FrameType

from drd import record_writer
from drd.cli.options import global_options
from drd.cli.parser import Parser, Verbs
from drd.errors import Cancelled, CatalogueError, ConfigError, DrdError, NotOwner, UsageError
from drd.exhaustion import exhausted, system_reason
from drd.model.text import in_commands
from drd.users import user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

VERBS = {
    "status": "whether each plan meets its RPO and RTO, on one screen",
    "plan": "new, check, show, readiness, schedule: the plans",
    "doctor": "test everything that a run will need",
    "backup": "make a restore point of a plan",
    "readiness": "whether the recovery of each plan is proven, or why not",
    "point": "list, ls, mount, diff, hold, forget: the restore points",
    "points": "the restore points of a plan",
    "ls": "what a restore point contains: files, tables",
    "mount": "look at a restore point's files",
    "diff": "what changed since a restore point",
    "drill": "rehearse the recovery in a sandbox, check and measure it",
    "recover": "restore a service for real",
    "approve": "approve a step that a recovery waits for",
    "done": "report a manual step, or a whole recovery, as done",
    "resume": "continue a recovery that stopped",
    "retry": "try a failed step of a recovery again",
    "skip": "continue a recovery without one of its steps",
    "rollback": "roll back the steps of a recovery",
    "undo": "put back what a recovery replaced",
    "copy": "copy restore points to the plan's other repositories",
    "verify": "check that the repositories can still be read",
    "retention": "forget restore points by the plan's policy",
    "hold": "keep a restore point whatever the rules say",
    "release": "end a hold, so that retention may forget the restore point",
    "adopt": "show or decide which machine owns drd's state",
    "prune": "remove data that no restore point needs",
    "repository": "copy, verify, retention, prune, rekey: where the backups are",
    "schedule": "what runs next, for how long, and why",
    "runs": "which runs there were, and how they ended",
    "run": "list, show, cancel, resume, retry, done, undo: what ran and runs",
    "evidence": "what drills and recoveries proved",
    "alert": "list, ack, notify, incident: what needs attention",
    "alerts": "open alerts, and who takes care of them",
    "ack": "acknowledge an alert: silence it for a while",
    "notify": "send a test through every channel; list the channels' state",
    "incident": "open, report, show, log, close: the response to an incident",
    "obligations": "duties to report an incident, and when reports are due",
    "records": "the signed records of what was proven, decided and done",
    "daemon": "run the service: start what is due, supervise, alert",
    "worker": "execute one pending run",
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
"""The verbs of the overview. The others are in these families, and work by themselves as well."""

OF_ONE_PLAN = ("backup", "drill", "recover", "diff", "copy", "verify", "retention", "prune")
"""The verbs whose argument is always a plan, so that remedies can name it."""

NOT_FOR_PEOPLE = ("worker",)

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


def build_parser(words: Sequence[str], *, every: bool = False) -> Parser:
    """Return the parser, with the options of the verbs that `words` name; for completion also with
    the names of those in the overview."""
    parser = Overview(
        prog="drd",
        description="Disaster recovery: backups that were restored, objectives that are measured.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
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
    """`drd run`, `drd alert` and `drd incident` list; `drd run ID` shows the run, and so does
    `drd incident N`."""
    at = next((n for n, word in enumerate(words) if word in _LISTED), None)
    if at is None or any(word in VERBS for word in words[:at]):
        return words
    rest = words[at + 1 :]
    if not rest:
        return [*words, "list"]
    shows = {"run": _HEX, "incident": _DIGITS}.get(words[at], frozenset())
    if set(rest[0]) <= shows:
        return [*words[: at + 1], "show", *rest]
    return words


_LISTED = frozenset({"run", "alert", "incident"})
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import drd

        print(f"drd {drd.__version__}")
        parser.exit(0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is the contract of docs/commands.md."""
    if argv is None:
        signal.signal(signal.SIGINT, _interrupt)
        _leave(_run(sys.argv[1:]))
    return _run(list(argv))


_interrupts: list[int] = []


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    """Raise KeyboardInterrupt and remember it, because pydantic may replace it with its
    own error."""
    _interrupts.append(number)
    raise KeyboardInterrupt


def _run(words: list[str]) -> int:
    _begin_lightly()
    record_writer.begin()
    _stand_in_for_closed_streams()
    args = argparse.Namespace(json="--json" in words, nagios="--nagios" in words)
    try:
        words = with_usual_verb(words)
        completes = "_ARGCOMPLETE" in os.environ
        typed = os.environ.get("COMP_LINE", "").split() if completes else words
        parser = build_parser(typed, every=completes)
        if completes:
            from drd.cli.completion import complete

            complete(parser)
        if not words:
            parser.print_help(sys.stderr)
            return 2
        args = parser.parse_args(words)
        module, _, function = args.handler.partition(":")
        code: int = getattr(import_module(module), function)(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output is gone (`drd runs | head`): nobody reads an error message.
        _discard_output()
        return 1
    except KeyboardInterrupt:
        return _report(Cancelled("cancelled"), args)
    except (DrdError, Cancelled) as error:
        return _report(error, args)
    except Exception as error:  # noqa: BLE001 (the last one to tell)
        if _interrupts:
            return _report(Cancelled("cancelled"), args)
        return _unforeseen(error, args)
    return code


def _leave(code: int) -> NoReturn:
    """Everything is done and closed. Taking the interpreter apart would cost 4 ms of a status's 35
    and 90 ms of a drill's; and after a Ctrl-C during imports `python -m` ends by the signal."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _begin_lightly() -> None:
    """Skip pydantic's search for plugins: it took 10 of the 350 ms in which long work begins."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _stand_in_for_closed_streams() -> None:
    """`drd … >&-` leaves no stream, and the next opened file would get its number."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
            setattr(sys, name, os.fdopen(number, "w"))


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unforeseen(error: Exception, args: argparse.Namespace) -> int:
    """Output that cannot be written, or a bug: a bug keeps its traceback, on stderr."""
    from drd.cli import output
    from drd.extension_faults import fault

    try:
        if isinstance(error, OSError) and error.filename is None:
            sys.stdout.write("\n")  # drop the output, so that a flush does not try again
        sys.stdout.flush()
    except OSError as full:
        _discard_output()
        output.complain(f"cannot write the output: {system_reason(full)}")
        return 1
    known = exhausted(error) or fault(error) or _forbidden(error) or _of_catalogue(error, args)
    if known is not None:
        return _report(known, args)
    import traceback

    print(output.shown(output.masked(traceback.format_exc())), end="", file=sys.stderr)
    hint = "this is a bug in drd: please report it with the text above."
    return _report(DrdError(f"internal error: {type(error).__name__}: {error}", hint=hint), args)


def _forbidden(error: Exception) -> DrdError | None:
    """Name the file that only another user may read or write, if that was the cause."""
    if not isinstance(error, PermissionError) or error.filename is None or os.geteuid() == 0:
        return None
    from drd.process.actors import as_root_types_it

    me, file = user_name(os.geteuid()), os.fsdecode(error.filename)
    return NotOwner(f"this needs root: {me} has no access to {file}", hint=as_root_types_it())


def _of_catalogue(error: Exception, args: argparse.Namespace) -> DrdError | None:
    """Name the value in the catalogue that caused the error, if there is one."""
    from drd.bootstrap import app
    from drd.catalogue.diagnosis import explain

    try:
        with app(getattr(args, "config", None), reading=True) as opened:
            explain(error, opened.settings.state_url, opened.settings.state_password)
    except DrdError as explanation:
        return explanation if isinstance(explanation, CatalogueError) else None
    except OSError:
        return None
    return None


def _report(error: DrdError | Cancelled, args: argparse.Namespace) -> int:
    from drd.cli import output

    if isinstance(error, Cancelled) and error.program:
        error.message = f"drd {args.verb} was cancelled, and drd ended {error.program}"
    if isinstance(error, DrdError) and getattr(args, "verb", "") in OF_ONE_PLAN:
        error.hint = in_commands(error.hint, plan=args.plan)
    if getattr(args, "nagios", False):
        # A plugin must print one line, and 2 would mean a critical state.
        from drd.flows.status.nagios import unbarred

        print(output.shown(unbarred(f"DRD UNKNOWN - {output.masked(str(error))}")))
        return 3
    if getattr(args, "json", False):
        failed = output.error_document(error.message, error.hint, error.exit_code)
        output.print_json({"error": failed})
    elif isinstance(error, ConfigError):
        for problem in error.problems:
            output.complain(str(problem), problem.hint)
    else:
        untouched = isinstance(error, DrdError) and error.untouched
        says = untouched and not isinstance(error, UsageError)
        output.complain(error.message, error.hint, untouched=says)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())

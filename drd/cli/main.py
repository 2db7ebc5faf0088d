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

from drd.cli.options import global_options
from drd.cli.parser import Parser, Verbs
from drd.errors import Cancelled, CatalogueError, ConfigError, DrdError
from drd.exhaustion import exhausted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

VERBS = {
    "status": "whether each plan meets its RPO and RTO, on one screen",
    "plan": "check, show, schema, new: write and understand plans",
    "doctor": "try everything that a run will need",
    "backup": "make a restore point of a plan",
    "readiness": "whether the recovery of each plan is proven, or why not",
    "points": "the restore points of a plan",
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
    "release": "end the hold on a restore point",
    "adopt": "show or decide which machine owns drd's state",
    "prune": "remove data that no restore point needs",
    "repository": "give a repository a new password",
    "schedule": "what runs next, for how long, and why",
    "runs": "which runs there were, and how they ended",
    "run": "show one run with its steps",
    "alerts": "open alerts, and who takes care of them",
    "ack": "acknowledge an alert: silence it for a while",
    "notify": "send a test through every channel; list the channels' state",
    "daemon": "run the service: start what is due, supervise, alert",
    "worker": "execute one pending run",
    "cancel": "end a run and everything that it started",
    "kit": "one encrypted file to recover from on a bare machine",
    "bootstrap": "make an empty machine ready to recover",
    "catalogue": "rebuild or verify drd's catalogue",
    "install": "install the systemd service",
    "uninstall": "stop the service and remove the files that install wrote",
    "completion": "print the completion script for your shell",
}

# Their lines are left out of the overview, which must fit a screen of 24 lines and 80 columns.
LESS_USED = (
    "ack",
    "adopt",
    "approve",
    "bootstrap",
    "cancel",
    "catalogue",
    "completion",
    "copy",
    "daemon",
    "diff",
    "done",
    "hold",
    "install",
    "kit",
    "notify",
    "prune",
    "release",
    "repository",
    "resume",
    "retention",
    "retry",
    "rollback",
    "run",
    "skip",
    "undo",
    "uninstall",
    "verify",
)
NOT_FOR_PEOPLE = ("worker",)

EPILOG = (
    "Begin: `drd plan new`, `drd plan check`, `drd doctor`, `drd backup`, `drd drill`. "
    "`drd VERB --help` has examples. Exit codes: 0 done, 1 failed, 2 usage, 3 "
    "plan breached or unknown, 4 check failed, 5 nothing proven, 10 no repository, 11 locked, "
    "12 wrong password or key, 13 no restore point, 130 cancelled."
)


class Overview(Parser):
    """All verbs on one screen: the help of each verb explains its options."""

    def format_help(self) -> str:
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        shown = [name for name in VERBS if name not in (*LESS_USED, *NOT_FOR_PEOPLE)]
        formatter.add_text("\n".join(f"  {name:<10} {VERBS[name]}" for name in shown))
        formatter.add_text(f"Also {', '.join(LESS_USED)}. {self.epilog}")
        return formatter.format_help()


def build_parser(words: Sequence[str], *, every: bool = False) -> Parser:
    """Return the parser, with the options of the verbs that `words` name (all of them for
    completion)."""
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
    sub.lines = VERBS
    decided = bool(words) and words[0] in VERBS
    for name in VERBS:
        if name in words or (every and name not in NOT_FOR_PEOPLE):
            import_module(f"drd.cli.verbs.{name}").add_parser(sub)
        elif not decided and name not in NOT_FOR_PEOPLE:
            sub.add_parser(name)  # for error messages: a third of a millisecond each
    return parser


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
    _stand_in_for_closed_streams()
    args = argparse.Namespace(json="--json" in words, nagios="--nagios" in words)
    try:
        parser = build_parser(words, every="_ARGCOMPLETE" in os.environ)
        if "_ARGCOMPLETE" in os.environ:
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
        output.complain(f"cannot write the output: {(full.strerror or str(full)).lower()}")
        return 1
    known = exhausted(error) or fault(error) or _of_catalogue(error, args)
    if known is not None:
        return _report(known, args)
    import traceback

    print(output.shown(output.masked(traceback.format_exc())), end="", file=sys.stderr)
    hint = "this is a bug in drd: please report it with the text above."
    return _report(DrdError(f"internal error: {type(error).__name__}: {error}", hint=hint), args)


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

    if getattr(args, "nagios", False):
        # A plugin must print one line, and 2 would mean a critical state.
        from drd.flows.status.document import unbarred

        print(output.shown(unbarred(f"DRD UNKNOWN - {output.masked(str(error))}")))
        return 3
    if getattr(args, "json", False):
        failed = output.error_document(error.message, error.hint, error.exit_code)
        output.print_json({"error": failed})
    elif isinstance(error, ConfigError):
        for problem in error.problems:
            output.complain(str(problem), problem.hint)
    else:
        output.complain(error.message, error.hint)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())

"""`drd`: runs the verb that was called, turns errors into messages and exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from types import FrameType, SimpleNamespace

from drd import record_writer
from drd.cli import output
from drd.errors import Cancelled, CatalogueError, ConfigError, DrdError, NotOwner, UsageError
from drd.exhaustion import exhausted, system_reason
from drd.model.text import in_commands
from drd.users import user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

OF_ONE_PLAN = ("backup", "drill", "recover", "diff", "copy", "verify", "retention", "prune")
"""The verbs whose argument is always a plan, so that remedies can name it."""

_FLAGS = {"--json": "json", "--nagios": "nagios", "--all": "all", "--no-color": "no_color"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is the contract of docs/commands.md."""
    if argv is None:
        signal.signal(signal.SIGINT, _interrupt)
        _leave(_run(sys.argv[1:]))
    return _run(list(argv))


def status_options(words: Sequence[str]) -> SimpleNamespace | None:
    """Return the options of `drd status` and its flags, as the parser of all commands reads them;
    None for any other command line. Monitoring runs this command often, and argparse would take 6
    ms of 65."""
    flags = {word: word in words for word in _FLAGS}
    plain = words[:1] == ["status"] and set(words[1:]) <= _FLAGS.keys()
    if not plain or (flags["--json"] and flags["--nagios"]) or "_ARGCOMPLETE" in os.environ:
        return None
    given = {key: flags[word] for word, key in _FLAGS.items()}
    verb = {"verb": "status", "handler": "drd.cli.status_verb:run"}
    return SimpleNamespace(**verb, plan=None, config=None, quiet=False, **given)


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
    args: Any = SimpleNamespace(json="--json" in words, nagios="--nagios" in words)
    try:
        options: Any = status_options(words)
        if options is None:
            from drd.cli.command_line import configure_log, parsed

            options = parsed(words)
            if options is None:
                return 2
            configure_log(options)
        args = options
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


def _unforeseen(error: Exception, args: Any) -> int:
    """Output that cannot be written, or a bug: a bug keeps its traceback, on stderr."""
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
    return NotOwner(
        f"this command needs root: user {me} cannot access {file}", hint=as_root_types_it()
    )


def _of_catalogue(error: Exception, args: Any) -> DrdError | None:
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


def _report(error: DrdError | Cancelled, args: Any) -> int:
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

"""ArgumentParser that raises UsageError with hints."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Mapping, Sequence

from drd.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_CHOICE = r"(?s)argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)"

# drd speaks English. argparse would first search the system for translations: 2 ms of each start.
argparse._ = str  # type: ignore[attr-defined]


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Reads the terminal's width without shutil, which argparse would import for each parser, even
    if no help is printed: 4 ms of a cold `drd status`.

    Lines of examples are not wrapped; on a narrow terminal, their explanations are wrapped beside
    or below them. Other text is wrapped."""

    def __init__(self, prog: str) -> None:
        given = os.environ.get("COLUMNS", "")
        columns = int(given) if given.isdecimal() else 0
        if not columns:
            try:
                columns = os.get_terminal_size().columns
            except OSError:
                columns = 80
        super().__init__(prog, width=(columns or 80) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in _reflowed(text.split("\n"), width))


def _reflowed(lines: Sequence[str], width: int) -> Iterator[str]:
    from textwrap import wrap

    if all(len(line) <= width for line in lines):
        yield from lines
        return
    text: list[str] = []
    for line in lines:
        if line and not line.startswith((" ", "exit codes")):
            text.append(line)
            continue
        yield from wrap(" ".join(text), width)
        text = [line] if line.startswith("exit codes") else []
        if not text:
            yield from _example(line, width)
    yield from wrap(" ".join(text), width)


def _example(line: str, width: int) -> Iterator[str]:
    """A command, which is never broken, and its explanation."""
    from textwrap import wrap

    match = re.fullmatch(r"( *\S.*?)( {2,})(\S.*)", line)
    if len(line) <= width or match is None:
        yield line
        return
    beside = len(match[1] + match[2])
    if beside < width - 24:
        meaning = wrap(match[3], width - beside)
        yield match[1] + match[2] + meaning[0]
        yield from (" " * beside + rest for rest in meaning[1:])
    else:
        yield match[1]
        yield from (" " * 6 + rest for rest in wrap(match[3], width - 6))


MEANT = {
    "restore": "drd recover PLAN --dry-run",
    "list": "drd status, or drd points PLAN",
    "snapshots": "drd points PLAN",
    "show": "drd status PLAN",
    "logs": "drd run list PLAN",
    "check": "drd doctor PLAN",
    "test": "drd drill PLAN",
    "init": "drd plan new",
    "help": "drd --help",
    "version": "drd --version",
}
"""The verbs of drd that people probably mean by the words of other tools. The most similar verb of
drd may do something else."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of printing and exiting, so that `--json` gets its document.

    Options are never abbreviated: today's scripts keep their meaning when an option is added. An
    unexpected argument is reported by the verb that it was given to."""

    offered: Sequence[str] = ()
    """The verbs that an error names, if not all that are known."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", HelpFormatter)
        super().__init__(**{**options, "allow_abbrev": False})

    def parse_known_args(  # type: ignore[override]  # the stub's overloads say the same
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        parsed, rest = super().parse_known_args(args, namespace)
        rest = self._filled(parsed, rest)
        if rest:
            word = next((w for w in rest if w.startswith("-") and w != "-"), rest[0])
            self._refuse(word)
        return parsed, rest

    def _filled(self, parsed: argparse.Namespace, rest: list[str]) -> list[str]:
        """Give words to the optional arguments that are still empty, and to one that takes any
        number: argparse looks for these only before the first option."""
        is_time = self._negative_number_matcher.match
        if any(word.startswith("-") and not is_time(word) for word in rest):
            return rest
        for action in self._get_positional_actions():
            if rest and action.nargs == "*" and action.type is None and action.choices is None:
                setattr(parsed, action.dest, [*getattr(parsed, action.dest), *rest])
                return []
            if rest and action.nargs == "?" and getattr(parsed, action.dest) is None:
                setattr(parsed, action.dest, rest.pop(0))
        return rest

    def every_action(self) -> Iterator[argparse.Action]:
        """Arguments and options, including those of the verbs below."""
        for action in self._actions:
            yield action
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (no public name)
                for below in action.choices.values():
                    yield from below.every_action()

    def error(self, message: str) -> NoReturn:
        choice = re.fullmatch(_CHOICE, message)
        if choice is None:
            raise UsageError(f"{self._verb}{message}", hint=self._help)
        known = [word.strip(" '") for word in choice[3].split(",")]
        if meant := self.meant(choice[2]):
            raise UsageError(f"unknown verb '{choice[2]}'", hint=f"you probably want: {meant}")
        what = choice[1] if self._subparsers is None else "verb"
        raise UsageError(
            f"{self._verb}unknown {what} '{choice[2]}'",
            hint=_nearest(choice[2], known, self.offered or known),
        )

    def meant(self, word: str) -> str:  # noqa: ARG002 - for the overview, which knows all verbs
        """Return the commands that an unknown verb probably means; empty if there are none."""
        return ""

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            named = [action.dest for action in self._get_positional_actions()]
            only = "give only the restore point: its id already names the plan. Or "
            verb = self.prog.partition(" ")[2]
            raise unexpected(verb, word, remedy=only if named == ["point"] else "")
        name = word.partition("=")[0]
        close = _close(name, [o for o in self._option_string_actions if o.startswith("--")])
        hint = f"did you mean {close}?" if close else self._help
        raise UsageError(f"{self._verb}unknown option {name}", hint=hint)

    @property
    def _verb(self) -> str:
        verb = self.prog.partition(" ")[2]
        return f"{verb}: " if verb else ""

    @property
    def _help(self) -> str:
        return f"run `{self.prog} --help` for all options."


def is_time_of_day(word: str) -> bool:
    """Return whether a word may be the second half of a time that was not put in quotes."""
    return re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?Z?", word) is not None


def unexpected(verb: str, word: str, *, remedy: str = "") -> UsageError:
    """Return the error for an argument that a verb does not take. Often this is a part of an
    argument without quotes; then that is the remedy, unless the verb has its own `remedy`."""
    program = f"drd {verb}".rstrip()
    quotes = remedy
    if is_time_of_day(word):
        quotes = "put a time with a space in quotes, or "
    elif not remedy and os.path.lexists(word):
        quotes = "the shell replaces a pattern by names of files: put it in quotes, or "
    elif program.startswith("drd incident "):
        quotes = "put a text of several words in quotes, or "
    lead = f"{verb}: " if verb else ""
    return UsageError(
        f"{lead}unexpected argument '{word}'",
        hint=f"{quotes}run `{program} --help` for all options.",
    )


class Verbs(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001
    """The verbs. The overview's line of each is also its help in a completion."""

    lines: Mapping[str, str] = {}
    words: Sequence[str] | None = None
    """The words of the command line, which decide whose options are needed; None: all."""
    member: tuple[str, str] | None = None
    """The name and the line of the next parser, in the place of its own: see `families`."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        if self.member is not None:
            (name, options["help"]), self.member = self.member, None
        options.setdefault("help", self.lines.get(name))
        parser: argparse.ArgumentParser = super().add_parser(name, **options)
        return parser


def _nearest(word: str, known: Sequence[str], offered: Sequence[str]) -> str:
    close = _close(word, known)
    return f"did you mean {close}?" if close else f"use one of: {', '.join(offered)}."


def _close(word: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    longer = [k for k in known if len(word) > 2 and k.startswith(word)]
    return next(iter(longer or get_close_matches(word, known, n=1, cutoff=0.6)), "")

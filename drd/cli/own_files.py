"""Commands for files that come with drd and that an installation can replace by its own: playbooks,
exercises, regimes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drd.api.findings import finding_document
from drd.cli import output
from drd.cli.new_file import write_new
from drd.cli.plan import print_problem, problem_json
from drd.config.own_files import Own
from drd.errors import Problem, UsageError
from drd.model.finding import Finding
from drd.model.plan import NAME
from drd.model.text import counted, escaped, with_article


def warn_of(problems: Iterable[Problem], check: str) -> None:
    """Warn of each file that drd cannot use. `check` is the command that shows all problems."""
    for problem in problems:
        output.warn(f"{problem}. drd does not use this file. To see all problems: {check}")


def say_checked(
    args: argparse.Namespace,
    problems: Sequence[Problem],
    warnings: Sequence[Finding],
    count: str,
    *,
    named: bool = False,
) -> int:
    """Print the findings of a check. `count` says how many files there are if all are right, and
    `named` puts the name of a finding before its text. Return 2 if a file has an error."""
    if args.json:
        output.print_json(
            {
                "ok": not problems,
                "problems": [problem_json(p) for p in problems],
                "findings": [finding_document(f) for f in warnings],
            }
        )
        return 2 if problems else 0
    for problem in problems:
        print_problem(problem)
    for finding in [] if args.quiet else warnings:
        name = f"{escaped(finding.name)}: " if named else ""
        output.say_below("", f"warning: {name}{escaped(finding.text)}")
        output.say_remedy("HINT: ", escaped(finding.remedy))
    if not problems and not args.quiet:
        output.say(f"{count}: ok ({counted(len(warnings), 'warning')})")
    return 2 if problems else 0


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a `check` command, as paths of files and as names of files in force. An
    argument is a name if it has the form of a name, and no file of this path exists."""

    files: tuple[Path, ...]
    names: tuple[str, ...]


def given(words: Sequence[str]) -> Given:
    """Sort the arguments of a `check` command into paths and names."""
    names = [w for w in words if re.fullmatch(NAME, w) and not Path(w).exists()]
    return Given(tuple(Path(w) for w in words if w not in names), tuple(names))


def say_named(args: argparse.Namespace, found: Own[Any], names: Iterable[str]) -> None:
    """Print which file is in force under each name. A broken file is left out: it is among the
    problems. Raises UsageError if no file has this name."""
    for name in names:
        if name in found.broken:
            continue
        try:
            one = found.get(name)
        except UsageError as error:
            hint = f"{error.hint} (if it is a file: drd {found.sort.what} check ./{name})"
            raise UsageError(error.message, hint=hint) from None
        if not args.json and not args.quiet:
            whose = "your own" if one.own else f"the {found.sort.what} of drd"
            output.say(f"{name}: ok, {whose}: {escaped(one.file)}")


def how_many(own: Iterable[bool], sort: str) -> str:
    """Return how many there are of a sort, and how many of them are one's own."""
    marks = list(own)
    return f"{counted(len(marks), sort)}, {sum(marks)} of them your own"


def copied(shipped: Path, sort: str, directory: Path | None, name: str) -> Path:
    """Write a copy of the file `shipped` under another name, which it also contains; return the new
    file. Raises UsageError if there is no directory for this `sort` of files, or the file exists.
    """
    if directory is None:
        raise UsageError(
            f"drd.yaml does not name a directory for your own {sort}s",
            hint=f"add `{sort}s: {sort}s` to drd.yaml, and make the directory `{sort}s` "
            "beside drd.yaml.",
        )
    if not directory.is_dir():
        raise UsageError(
            f"{directory} is not a directory", hint=f"make the directory: mkdir -p {directory}"
        )
    if not re.fullmatch(NAME, name):
        hint = "use lower-case letters, digits and hyphens, at most 40."
        raise UsageError(f"{name!r} cannot be the name of {with_article(sort)}", hint=hint)
    text = shipped.read_text()
    text = text.replace(f"{sort}: {shipped.stem}\n", f"{sort}: {name}\n", 1)
    text = re.sub(r"^# To adapt it[^\n]*\n", "", text)
    file = directory / f"{name}.yaml"
    write_new(str(file), text.encode())
    return file


def tell_copied(sort: str, file: Path, adapt: str, check: str, *, quiet: bool) -> None:
    """Say what was written, what to adapt in it, and how to check it."""
    if quiet:
        return
    output.say(f"wrote {escaped(str(file))}")
    output.say(f"  next       {adapt}")
    output.say(f"  check      drd {sort} check && {check}")

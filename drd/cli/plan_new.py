"""`drd plan new`: a starting plan for this host."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name
from shlex import quote
from textwrap import fill
from typing import TextIO

from drd.cli import plan_stanza
from drd.cli.plan_adopt import adopted, say_what_is_next
from drd.cli.plan_adopt_dumps import AdoptedDumps, adopted_directory, place_of
from drd.cli.session import without_host
from drd.config.daemon import DaemonSettings, load_settings
from drd.config.location import config_path
from drd.config.plan_file import check
from drd.config.problems import NAME_HINT, Report, as_name
from drd.config.starter import (
    PLACEHOLDER,
    WHOLE,
    FoundComponents,
    Starter,
    starter,
    without_doubles,
)
from drd.config.yaml import read
from drd.errors import ConfigError, UsageError
from drd.exhaustion import system_reason
from drd.flows.host import containers
from drd.masking import masked
from drd.model.location import is_s3, normal_url
from drd.model.malformed import Malformed
from drd.model.plan import NAME
from drd.model.text import escaped
from drd.ports.kinds import KindSpec, Wish
from drd.registry import KINDS
from drd.secrets import directory_for_new

_OF_BUCKET = "drd.cli.plan_adopt_bucket:adopted_bucket"
"""Imports boto3, which only those need who have a bucket."""


def new(args: argparse.Namespace) -> int:
    """Write the plan and print what to do next. Overwrites nothing without --force. The programs
    that look around end with the command."""
    with without_host(args):
        return _adopt(args) if args.adopt is not None else _new(args)


def _new(args: argparse.Namespace) -> int:
    if args.kind:  # a package that drd.yaml names adds it
        _settings(args)
    candidates = _found(args)
    name = _name(args.name, candidates)
    _repository_fits(args.repository)
    made = starter(name, candidates, args.repository)
    _prove(made.text, f"{name}.yaml")
    if args.output == "-":
        sys.stdout.write(made.text)
        _say_what_is_in_it(made, candidates, sys.stderr)
        _say_what_is_next("FILE", made, args.repository, sys.stderr)
        return 0
    file = _write(made.text, _output(args, name), force=args.force)
    if not args.quiet:
        print(f"wrote {file}")
        _say_what_is_in_it(made, candidates, sys.stdout)
        called = name if args.output is None else str(file)
        _say_what_is_next(called, made, args.repository, sys.stdout)
    return 0


def _adopt(args: argparse.Namespace) -> int:
    """Write a plan for the copies that another tool makes."""
    name = _name(args.name, FoundComponents()) if args.name else None
    dumps = _adopted_dumps(args, name) if args.password_file is None else None
    left_out: list[str] = []
    if dumps is not None:
        name, made, seen, left_out = dumps
    else:
        if plan_stanza.asked(args.adopt) is not None:
            _refuse_choices(args, "a stanza was backed up", "")
        name = _name(name, FoundComponents())
        made, seen = adopted(args, name, _settings(args))
    _prove(made.text, f"{name}.yaml")
    to = sys.stderr if args.output == "-" else sys.stdout
    file = ""
    if args.output == "-":
        sys.stdout.write(made.text)
    else:
        file = str(_write(made.text, _output(args, name), force=args.force))
    if args.quiet:
        return 0
    if file:
        print(f"wrote {file}", file=to)
    print(fill(masked(f"Seen: {seen}"), 80, subsequent_indent="  ", **WHOLE), file=to)
    _say_what_is_in_it(made, FoundComponents(notes=left_out), to)
    called = name if args.output is None else file or "FILE"
    say_what_is_next(called, made, to)
    return 0


def _adopted_dumps(args: argparse.Namespace, name: str | None) -> AdoptedDumps | None:
    """Return a plan for dumps in a directory or a bucket; None if something else is there."""
    if plan_stanza.asked(args.adopt) is not None:
        return None
    place = place_of(args.adopt)
    dumps = None
    if place is None and is_s3(args.adopt):
        adopt: Callable[[str, str | None], AdoptedDumps | None] = resolve_name(_OF_BUCKET)
        dumps = adopt(args.adopt, name)
    if place is not None or dumps is not None:
        kind = "directory" if place is not None else "bucket"
        by_pattern = f", and choose the dumps by a pattern: --adopt '{kind.upper()}/web1-*'"
        _refuse_choices(args, f"dumps in a {kind} were made", by_pattern)
    return adopted_directory(*place, name) if place is not None else dumps


def _refuse_choices(args: argparse.Namespace, made: str, instead: str) -> None:
    """Raise UsageError for options that choose copies of restic."""
    if args.tag:
        raise UsageError("--tag works only for copies made by restic", hint="leave out --tag.")
    if args.host:
        raise UsageError(
            "--host works only for copies made by restic. drd cannot find out on which host "
            f"{made}",
            hint=f"leave out --host{instead}.",
        )


def _of_kinds(given: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Return what was given to `--kind`, by kind. Raises NotSupported for a kind that nothing adds,
    and UsageError for one with which no plan can begin.
    """
    by_kind: dict[str, list[str]] = {}
    for kind, *where in given:
        if KINDS[kind].starting is None:
            package = KINDS.extension(kind)
            keys = f"the documentation of {package.name}" if package else "docs/plan-reference.md"
            raise UsageError(
                f"drd plan new cannot write components of kind {kind}",
                hint=f"write the component into the plan by hand: {keys} lists its keys.",
            )
        if not where:
            raise UsageError(
                f"--kind {kind} needs the place of the data",
                hint=f"for example: --kind {kind} /srv/data",
            )
        by_kind.setdefault(kind, []).extend(where)
    return by_kind


def _found(args: argparse.Namespace) -> FoundComponents:
    by_kind = _of_kinds(args.kind)
    wishes: list[tuple[KindSpec, Wish]] = []
    notes: list[str] = []
    starting = [(spec, spec.starting) for spec in KINDS if spec.starting is not None]
    for spec, start in starting:
        option = spec.name.replace("-", "_")
        given = [*getattr(args, option, []), *by_kind.get(spec.name, ())]
        made = start.wishes(given)
        if not made and not getattr(args, f"no_{option}", False):
            made, noted = start.found()
            notes += noted
        wishes += [(spec, wish) for wish in made]
    wishes, doubles = without_doubles(wishes)
    notes += doubles + containers.notes()
    remark = ""
    if not wishes:
        remark = (
            "drd found no database, and none was given, so the plan begins with this host's "
            "configuration."
        )
        for spec, start in starting:
            wishes += [(spec, wish) for wish in start.wishes(start.otherwise)]
    return FoundComponents(wishes, notes, remark)


def _name(given: str | None, found: FoundComponents) -> str:
    if given is not None:
        if not NAME.fullmatch(given):
            better = as_name(given)
            hint = f'{NAME_HINT} "{better}" is allowed.' if better else NAME_HINT
            raise UsageError(f'"{given}" is not a valid name of a plan', hint=hint)
        return given
    wishes = [wish.name for _, wish in found.wishes if wish.names_plan]
    wishes.append(socket.gethostname().partition(".")[0])
    return next((name for wish in wishes if (name := as_name(wish))), "service")


def _repository_fits(url: str | None) -> None:
    if url is None:
        return
    try:
        normal_url(url)
    except ValueError as error:
        malformed = Malformed.of(error)
        hint = malformed.remedy or "see `drd plan schema`."
        raise UsageError(f"--repository: {malformed.fact}", hint=hint) from None


def _prove(text: str, file: str) -> None:
    """Check the text with `plan check`; otherwise it is not written."""
    report = Report(read(text.encode(), file))
    if check(report) is None or report.errors:
        raise ConfigError(report.errors)


def _output(args: argparse.Namespace, name: str) -> Path:
    if args.output is not None:
        return Path(args.output)
    directory = _settings(args).plans_dir
    if not directory.is_dir():
        _make_directory(directory)
    return directory / f"{name}.yaml"


def _make_directory(directory: Path) -> None:
    """Create the directory for plans. Raises UsageError if that is not possible."""
    try:
        directory.mkdir(mode=0o755, parents=True)
    except OSError as error:
        reason = system_reason(error)
        make = f"sudo mkdir -p {quote(str(directory))}"
        hint = f"{make}, or write elsewhere with --output FILE (- for stdout)."
        raise UsageError(f"cannot make the directory {directory}: {reason}", hint=hint) from None
    print(escaped(f"made the directory {directory}"), file=sys.stderr)


def _settings(args: argparse.Namespace) -> DaemonSettings:
    path, explicit = config_path(args.config)
    return load_settings(Path(path), explicit=explicit)


def _write(text: str, file: Path, *, force: bool) -> Path:
    try:
        # Complete or not at all: an existing file is never half overwritten.
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        with beside.open("x", encoding="utf-8") as handle:
            handle.write(text)
        try:
            if force:
                beside.replace(file)
            else:
                os.link(beside, file)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        hint = "choose another --output or --name, or overwrite it with --force."
        raise UsageError(f"{file} exists already", hint=hint) from None
    except OSError as error:
        reason = system_reason(error)
        hint = "choose a directory that you may write to with --output FILE (- for stdout)."
        raise UsageError(f"cannot write {file}: {reason}", hint=hint) from None
    return file


def _say_what_is_in_it(made: Starter, found: FoundComponents, to: TextIO) -> None:
    print("\nIn the plan:", file=to)
    widths = [max(len(row[column]) for row in made.components) for column in (0, 1)]
    for name, kind, where in made.components:
        line = f"  {name.ljust(widths[0])}  {kind.ljust(widths[1])}  {where}"
        print(escaped(line.rstrip()), file=to)
    if found.remark:
        print(fill(found.remark, 80), file=to)
    for heading, notes in (
        ("Not proven by drills of this plan:", made.unseen),
        ("Found, but not in the plan:", found.notes),
    ):
        if notes:
            print(f"\n{heading}", file=to)
        for note in notes:
            print(
                fill(escaped(note), 80, initial_indent="  - ", subsequent_indent="    ", **WHOLE),
                file=to,
            )


def _say_what_is_next(plan: str, made: Starter, repository: str | None, to: TextIO) -> None:
    """`plan` is how commands name the plan from now on: its name, or its file."""
    print("\nNext:", file=to)
    adapt = f"read the plan {plan}, and adapt it to your service"
    steps = [f"{adapt}\n     (drd does not find files of applications: add, for example, uploads)"]
    if repository is None:
        steps.append(f"replace {PLACEHOLDER} with your bucket")
    credentials = directory_for_new()
    steps.append(f"write the secrets into {credentials} (directory 0700, files 0600):")
    width = max(len(credential) for credential, _ in made.credentials)
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. {step}", file=to)
    for credential, purpose in made.credentials:
        print(f"       {credential.ljust(width)}  {purpose}", file=to)
    print(f"     umask 077; mkdir -p {quote(str(credentials))}", file=to)
    print(f"     openssl rand -base64 32 > {quote(str(credentials / made.password))}", file=to)
    print("     and keep a copy of this password on another host", file=to)
    for number, verb in enumerate(("plan check", "doctor", "backup", "drill"), len(steps) + 1):
        print(f"  {number}. drd {verb} {plan}", file=to)

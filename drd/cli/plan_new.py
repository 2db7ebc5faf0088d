"""`drd plan new`: a starting plan for this host."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path
from typing import TextIO

from drd.cli.discovery import Discovery, find_postgres
from drd.config.daemon import load_settings
from drd.config.location import config_path
from drd.config.plan_file import check
from drd.config.problems import NAME_HINT, Report, as_name
from drd.config.starter import PLACEHOLDER, Found, Starter, starter
from drd.config.yaml import read
from drd.errors import ConfigError, UsageError
from drd.kinds.postgres.dsn import holds_password
from drd.model.location import normal_url
from drd.model.malformed import Malformed
from drd.model.plan import NAME
from drd.secrets import CREDENTIALS


def new(args: argparse.Namespace) -> int:
    """Write the plan and print what to do next. Overwrites nothing without --force."""
    found = _found(args)
    name = _name(args.name, found)
    _repository_fits(args.repository)
    made = starter(name, found, args.repository)
    _prove(made.text, f"{name}.yaml")
    if args.output == "-":
        sys.stdout.write(made.text)
        _say_what_is_next("FILE", made, args.repository, sys.stderr)
        return 0
    file = _write(made.text, _output(args, name), force=args.force)
    if not args.quiet:
        print(f"wrote {file}")
        called = name if args.output is None else str(file)
        _say_what_is_next(called, made, args.repository, sys.stdout)
    return 0


def _found(args: argparse.Namespace) -> Found:
    named = [(_database(dsn), None if holds_password(dsn) else dsn) for dsn in args.postgres]
    discovery = Discovery()
    if not named and not args.no_postgres:
        discovery = find_postgres()
    databases = [*named, *discovery.databases]
    sqlite = [_sqlite(file) for file in args.sqlite]
    files = [_existing(path) for path in args.files]
    notes = list(discovery.notes)
    if not (databases or sqlite or files):
        notes.append(
            "Nothing else was found or named, so the plan begins with this host's configuration."
        )
        files = ["/etc"]
    return Found(databases, tuple(dict.fromkeys(sqlite)), tuple(dict.fromkeys(files)), tuple(notes))


def _database(dsn: str) -> str:
    """The database's name as far as the string shows it; only for naming things."""
    head = dsn.split("?", 1)[0]
    if "://" in head:
        return head.split("://", 1)[1].partition("/")[2]
    return next((w[len("dbname=") :] for w in dsn.split() if w.startswith("dbname=")), "")


def _existing(path: str) -> str:
    absolute = os.path.abspath(path)  # noqa: PTH100 (resolve would follow links)
    if not os.path.lexists(absolute):
        raise UsageError(f"there is no {absolute}", hint="name a file or directory that exists.")
    return absolute


def _sqlite(path: str) -> str:
    absolute = _existing(path)
    try:
        with open(absolute, "rb") as file:  # noqa: PTH123
            head = file.read(16)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"cannot read {absolute}: {reason}", hint="run this as its owner."
        ) from None
    if head != b"SQLite format 3\0":
        hint = "name the database's file; other files belong to --files."
        raise UsageError(f"{absolute} is not a SQLite database", hint=hint)
    return absolute


def _name(given: str | None, found: Found) -> str:
    if given is not None:
        if not NAME.fullmatch(given):
            better = as_name(given)
            hint = f'{NAME_HINT} "{better}" would do.' if better else NAME_HINT
            raise UsageError(f'"{given}" is not a name for a plan', hint=hint)
        return given
    wishes = [name for name, _ in found.databases]
    wishes += [Path(path).stem for path in found.sqlite]
    wishes.append(socket.gethostname().partition(".")[0])
    return next((name for wish in wishes if (name := as_name(wish))), "service")


def _repository_fits(url: str | None) -> None:
    if url is None:
        return
    try:
        normal_url(url)
    except ValueError as error:
        found = Malformed.of(error)
        hint = found.remedy or "see `drd plan schema`."
        raise UsageError(f"--repository: {found.fact}", hint=hint) from None


def _prove(text: str, file: str) -> None:
    """What drd writes must pass `plan check`; otherwise it is not written."""
    report = Report(read(text.encode(), file))
    if check(report) is None or report.errors:
        raise ConfigError(report.errors)


def _output(args: argparse.Namespace, name: str) -> Path:
    if args.output is not None:
        return Path(args.output)
    path, explicit = config_path(args.config)
    directory = load_settings(Path(path), explicit=explicit).plans_dir
    if not directory.is_dir():
        hint = f"mkdir -p {directory}, or write elsewhere with --output FILE (- for stdout)."
        raise UsageError(f"there is no directory {directory}", hint=hint)
    return directory / f"{name}.yaml"


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
        reason = (error.strerror or str(error)).lower()
        hint = "choose a directory that you may write to with --output FILE (- for stdout)."
        raise UsageError(f"cannot write {file}: {reason}", hint=hint) from None
    return file


def _say_what_is_next(plan: str, made: Starter, repository: str | None, to: TextIO) -> None:
    """`plan` is how commands name the plan from now on: its name, or its file."""
    print("\nNext:", file=to)
    steps = [f"read it and adapt it: {plan}"]
    if repository is None:
        steps.append(f"replace {PLACEHOLDER} with your bucket")
    steps.append(f"write the secrets into {CREDENTIALS} (directory 0700, files 0600):")
    width = max(len(credential) for credential, _ in made.credentials)
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. {step}", file=to)
    for credential, purpose in made.credentials:
        print(f"       {credential.ljust(width)}  {purpose}", file=to)
    restic = next(c for c, _ in made.credentials if c.endswith("-restic"))
    print(f"     umask 077; mkdir -p {CREDENTIALS}", file=to)
    print(f"     openssl rand -base64 32 > {CREDENTIALS / restic}", file=to)
    print("     and keep a copy of that one on another host", file=to)
    for number, verb in enumerate(("plan check", "doctor", "backup", "drill"), len(steps) + 1):
        print(f"  {number}. drd {verb} {plan}", file=to)

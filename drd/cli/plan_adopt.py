"""`drd plan new --adopt`: a starting plan for the copies that another tool makes."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from pkgutil import resolve_name
from shlex import quote
from typing import TextIO

from drd.cli import plan_stanza
from drd.config.adopted_starter import FoundCopies, FoundDatabase, FoundFiles, adopted_starter
from drd.config.daemon import DaemonSettings
from drd.config.starter import Starter
from drd.errors import RepositoryMissing, UsageError
from drd.model.location import is_s3, normal_url
from drd.model.malformed import Malformed
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.text import counted, escaped, some
from drd.model.units import format_time
from drd.ports.dumps import FirstChecks, FirstChecksOf
from drd.registry import KINDS
from drd.repositories.adopted.restic import ABSOLUTE
from drd.repositories.adopted.survey import FoundFile, Survey, survey
from drd.repositories.restic import ResticRepository
from drd.secrets import directory_for_new, resolve


def adopted(args: argparse.Namespace, name: str, settings: DaemonSettings) -> tuple[Starter, str]:
    """Examine the repository, and return a plan, and what was found there."""
    stanza = plan_stanza.asked(args.adopt)
    if stanza is not None:
        return plan_stanza.stanza_plan(name, stanza, settings.cache_dir)
    url = _url(args.adopt)
    if args.password_file is None:
        raise UsageError(
            "--adopt REPOSITORY needs the password of this repository",
            hint="give a file of mode 0600 that contains the password: --password-file FILE",
        )
    password = str(Path(args.password_file).absolute())
    spec = RepositorySpec("theirs", url, SecretRef("file", password))
    repository = ResticRepository(spec, cache_dir=settings.cache_dir, resolve=resolve)
    try:
        seen = survey(repository, args.host, args.tag)
    except RepositoryMissing as error:
        if not is_s3(url):
            raise
        hint = (
            "check the address of restic's repository. If the bucket contains dumps, and no "
            "repository, leave out --password-file"
        )
        raise RepositoryMissing(error.message, hint=hint, state=error.state) from error
    databases = [_database(file) for file in seen.databases]
    others = [
        FoundFiles(path, one.path, one.files, _unnamed(seen, path))
        for path, one in seen.others.items()
    ]
    if not (databases or others):
        raise UsageError(
            f"the newest copy in {url} does not contain a file",
            hint="choose the copies of another host: --host NAME",
        )
    copies = FoundCopies(url, password, seen.host, databases, others, args.tag or "")
    return adopted_starter(name, copies), _seen(seen)


def _database(found: FoundFile) -> FoundDatabase:
    spec = KINDS[found.kind]
    is_file = spec.plain_copies and "path" in spec.settings.model_fields
    if found.dump is not None:
        checks = FirstChecks(found.dump.checks, found.dump.suggested)
        return FoundDatabase(
            found.path, found.kind, found.dump.keys, checks, is_file, found.dump.unseen
        )
    ask: FirstChecksOf = resolve_name(spec.first_checks)
    first = ask(None)
    return FoundDatabase(found.path, found.kind, (), first, is_file, first.unseen)


def _unnamed(seen: Survey, path: str) -> str:
    """Return which dumps below a path no component can name."""
    below = {p: why for p, why in seen.unnamed.items() if p.startswith(f"{path.rstrip('/')}/")}
    reasons = [f"{p}: {why}" for p, why in below.items()]
    if not reasons:
        return ""
    return (
        "drills cannot prove these dumps, because drd cannot check them to their end: "
        f"{some(reasons)}"
    )


def _url(given: str) -> str:
    if ":" not in given and Path(given).is_dir():
        given = str(Path(given).absolute())
    try:
        return normal_url(given)
    except ValueError as error:
        malformed = Malformed.of(error)
        raise UsageError(f"--adopt: {malformed.fact}", hint=malformed.remedy) from None


def _seen(seen: Survey) -> str:
    copies = counted(seen.copies, "copy", "copies")
    text = (
        f"{copies} of host {seen.host}, the newest from {format_time(seen.made_at, seconds=True)}, "
        f"with {', '.join(seen.paths)}"
        + "".join(
            f". The file {path} in this copy is cut off: {why}"
            for path, why in seen.cut_off.items()
        )
    )
    if seen.other_paths:
        text += (
            f". The plan does not contain the copies of {some(seen.other_paths)}, which are "
            "from the same host. Write another plan for these, because one copy must contain "
            "all components of a plan"
            + (
                f": choose them by a tag, --tag {quote(seen.other_tags[0])}"
                if seen.other_tags
                else ""
            )
        )
    if seen.astray:
        text += (
            f". The plan does not contain {some(seen.astray)}, because restic was called with "
            f"a relative path: {ABSOLUTE.rstrip('.')}"
        )
    return escaped(text)


def say_what_is_next(plan: str, made: Starter, to: TextIO) -> None:
    """Print the commands up to a proven drill."""
    print("\nNext:", file=to)
    steps = [f"read the plan, and adapt its checks and `retention`: {plan}"]
    if made.credentials:
        names = ", ".join(f"{name} ({what})" for name, what in made.credentials)
        steps.append(
            f"write the secrets into {directory_for_new()} (directory 0700, files 0600): {names}"
        )
    missing = [program for program in made.programs if shutil.which(program) is None]
    if missing:
        steps.insert(0, f"install what the plan runs: apt-get install {' '.join(missing)}")
    steps += [f"drd {verb} {plan}" for verb in ("plan check", "doctor", "drill")]
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. {step}", file=to)

"""Copy a file of drd, a playbook or an exercise, into the directory of one's own."""

from __future__ import annotations

import re
from pathlib import Path

from drd.cli import output
from drd.cli.new_file import write_new
from drd.errors import UsageError
from drd.model.plan import NAME
from drd.model.text import escaped


def copied(shipped: Path, sort: str, directory: Path | None, name: str) -> Path:
    """Write a copy of `shipped`, of this `sort`, with another name in it; return the new file.
    Raises UsageError if there is no directory for it, or the file exists."""
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
        raise UsageError(f"{name!r} cannot be the name of {_a(sort)}", hint=hint)
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


def _a(sort: str) -> str:
    return f"{'an' if sort[0] in 'aeiou' else 'a'} {sort}"

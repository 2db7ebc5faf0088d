"""Measure what a second backup adds, against the changed data and every format of pg_dump."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.measure import Run
from bench.table import Row, mb
from bench.workshop import Workshop

_FORMATS = {
    "-Fp": "plain",
    "-Fc -Z0": "custom",
    "-Fc -Z zstd:1": "custom, zstd",
    "-Fd -Z0": "directory",
}
_STDIN = 'pg_dump {options} -d "$1" | restic backup --json --stdin --stdin-filename shop.dump'
_DIRECTORY = 'pg_dump {options} -f "$2" -d "$1" && restic backup --json "$2"'


def rows(workshop: Workshop, size: str) -> list[Row]:
    """Measure first backups of everything, change 1 % of the rows, measure the second ones;
    twice.
    """
    repository = workshop.new_repository()
    plan = workshop.new_plan(repository)
    others = {options: workshop.new_repository() for options in _FORMATS}
    workshop.drd("backup", plan)
    for options, place in others.items():
        _dump(workshop, options, place)
    found: list[Row] = []
    for scattered in (False, True):
        changed = workshop.change(scattered=scattered)
        drd = int(json.loads(workshop.drd("backup", plan).output)["components"][0]["added_bytes"])
        added = {options: _dump(workshop, options, place) for options, place in others.items()}
        where = "all over" if scattered else "the newest"
        found += _compare(f"second backup, {size}, 1 % changed ({where})", drd, changed, added)
    for place in (repository, *others.values()):
        workshop.remove(place)
    return found


def _compare(title: str, drd: int, changed: int, added: dict[str, int]) -> list[Row]:
    best = min(added, key=lambda options: added[options])
    ratio = drd / max(1, added[best])
    others = ", ".join(f"{options} {mb(size)}" for options, size in added.items())
    return [
        Row(title, mb(drd), f"{mb(changed)} changed", drd / max(1, changed), "", None),
        Row(f"  formats: {others}", mb(drd), f"{mb(added[best])} {best}", ratio, "", None),
    ]


def _dump(workshop: Workshop, options: str, repository: Path) -> int:
    """Back up in one format; return the bytes that it added to the repository, as stored."""
    directory = workshop.home / "directory-dump"
    script = _DIRECTORY if options.startswith("-Fd") else _STDIN
    done = workshop.bash(
        script.format(options=options),
        workshop.restic(repository),
        [workshop.conninfo, str(directory)],
    )
    shutil.rmtree(directory, ignore_errors=True)
    return added(done)


def added(done: Run) -> int:
    for line in reversed(done.output.splitlines()):
        message = json.loads(line)
        if message.get("message_type") == "summary":
            return int(message["data_added_packed"])
    raise ValueError("restic printed no summary")

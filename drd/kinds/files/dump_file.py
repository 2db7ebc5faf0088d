"""Recognise a tar archive, and find out what a plan can check in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from drd import process
from drd.errors import DeadlineExceeded, NotSupported
from drd.model.dump_names import base_of
from drd.model.first_checks import has_data, has_files
from drd.model.text import counted
from drd.ports.dumps import FILE, DumpFile, FoundDump, Unreadable
from drd.process import Command, find_tool

_LOOK_S = 60.0
_BY_HAND = "write the plan by hand: docs/adopted.md"
_MOST = 16 << 20
_LINE = re.compile(r"^([-d])\S* +\S+ +(\d+) +\S+ +\S+ (.+)$")
_ROOTS = frozenset({"boot", "etc", "home", "lib", "opt", "root", "srv", "usr", "var"})
"""Names by which an archive with whole paths begins."""


def recognise(file: DumpFile) -> FoundDump | None:
    """Implements `RecognisesOf`."""
    if file.inner[257:262] != b"ustar" or file.inner.startswith(b"toc.dat\0"):
        return None
    if not file.whole:
        raise NotSupported(
            "a tar archive that is too large for drd to fetch and list", hint=_BY_HAND
        )
    files = dict(_listed(file))
    if not files:
        raise Unreadable(
            "a tar archive that does not contain any files",
            hint="find out why the program that makes the copies stored nothing.",
        )
    top = {path.partition("/")[0] for path in files}
    is_whole = top <= _ROOTS
    name = base_of(file.path.name.partition(".")[0]) or "files"
    prefix = "" if is_whole else f"srv/{name}/"
    paths = [f"/{prefix}".rstrip("/")] if prefix else [f"/{p}" for p in _directories(files)]
    tar = [find_tool("tar", package="tar"), "--extract", "--directory=${into}"]
    if prefix:
        tar.append(rf"--transform=s|^\(\./\)*|{prefix}|S")  # a name may have a comma
    sample = max(files, key=lambda path: files[path])
    test = has_data(prefix + sample)
    keys: list[tuple[str, object]] = [("kind", "files")]
    if prefix:
        keys.append(("#", "CHANGE THIS, here and in the command below, to the directory where the"))
        keys.append(("#", "service keeps these files: the archive does not contain that path."))
    least = len(files) * 9 // 10  # a later copy may have fewer
    many = has_files(paths, least)
    checks = [_check("the largest file is there", test)]
    if least > 1:
        checks.append(_check(f"there are at least {least} files", many))
    return FoundDump(
        name,
        f"{counted(len(files), 'file')} in {', '.join(paths[:4])}",
        (*keys, ("paths", paths)),
        checks,
        unpack=(*tar, f"--file={FILE}"),
    )


def _check(name: str, script: str) -> dict[str, object]:
    return {"name": name, "kind": "command", "run": ["sh", "-c", script]}


def _directories(files: dict[str, int]) -> list[str]:
    """Return the deepest directories that together hold all files, one for each first name."""
    by_top: dict[str, list[tuple[str, ...]]] = {}
    for path in files:
        by_top.setdefault(path.partition("/")[0], []).append(PurePosixPath(path).parts)
    return sorted(map(_common, by_top.values()))


def _common(paths: list[tuple[str, ...]]) -> str:
    parents = [path[:-1] or path for path in paths]
    depth = 0
    while all(len(p) > depth and p[depth] == parents[0][depth] for p in parents):
        depth += 1
    return "/".join(parents[0][: max(depth, 1)])


def _listed(file: DumpFile) -> Iterator[tuple[str, int]]:
    """Yield the regular files with their sizes."""
    words = [find_tool("tar", package="tar"), "--list", "--verbose", f"--file={file.path}"]
    try:
        done = process.run(Command(words, deadline_s=_LOOK_S), limit=_MOST)
    except DeadlineExceeded as error:
        raise NotSupported(f"a tar archive: {error.message}", hint=error.hint) from error
    if done.exit_code != 0:
        raise Unreadable(
            f"an archive that tar cannot read: {done.complaint}",
            hint="check whether a program is still writing this copy. If none is, the "
            "copy is damaged: make a new one.",
        )
    for line in done.stdout.splitlines():
        match = _LINE.match(line)
        if match is not None and match[1] == "-":
            path = re.sub(r"^(?:\./|/)+", "", match[3])
            if path.isprintable() and "\\" not in path and ".." not in path:
                yield path, int(match[2])

"""Write a commented starting plan for the copies that another tool makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from drd.config.problems import as_name
from drd.config.starter import Starter, bucket_keys, in_comment
from drd.config.writing import inline
from drd.model.first_checks import has_data, has_files
from drd.model.location import is_s3
from drd.model.plan import OWN_COMPONENT
from drd.ports.dumps import FirstChecks


class FoundDatabase(NamedTuple):
    """A dump or file of a database in a copy, and the first checks for it in a new plan. `keys` are
    the keys of the component that drd found out from the file, with `#` for a comment. `is_file`:
    at this path, the service may have the file itself, not a dump. `unseen` has the same meaning as
    in `FoundDump`."""

    path: str
    kind: str
    keys: Sequence[tuple[str, Any]]
    checks: FirstChecks
    is_file: bool
    unseen: str = ""


class FoundFiles(NamedTuple):
    """A path that contains other files: one of them, and their number. `unseen` says which of them
    are dumps that no check can examine."""

    path: str
    sample: str
    files: int
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class FoundCopies:
    """The content of a restic repository. `password` is the file that opens the repository."""

    url: str
    password: str
    host: str
    databases: Sequence[FoundDatabase]
    others: Sequence[FoundFiles]
    tag: str = ""


@dataclass(slots=True)
class _Writer:
    name: str
    found: FoundCopies
    taken: set[str] = field(default_factory=lambda: {OWN_COMPONENT, "manifest"})
    credentials: list[tuple[str, str]] = field(default_factory=list)
    components: list[tuple[str, str, str]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    suggested: list[dict[str, Any]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        copies = self.found
        yield "# yaml-language-server: $schema=plan.schema.json"
        yield f"# Another tool makes the copies of this plan: restic, into {copies.url}."
        yield (
            "# drd lists, drills and recovers these copies, and never writes there "
            "(docs/adopted.md)."
        )
        yield f"plan: {inline(self.name)}"
        yield ""
        yield "# How much data may be lost: a little more than the time between two copies."
        yield "objectives: {rpo: 26h, rto: 1h}"
        yield ""
        yield "components:"
        yield from self._components()
        yield ""
        yield "repositories:"
        yield "  theirs:"
        yield "    made_by: restic"
        yield f"    url: {inline(copies.url)}"
        yield f"    password: {{file: {inline(copies.password)}}}"
        if is_s3(self.found.url):
            yield from bucket_keys(self.name, self.credentials)
        only = {"host": copies.host, **({"tag": copies.tag} if copies.tag else {})}
        yield f"    only: {inline(only)}"
        yield ""
        yield (
            "# How long the other tool keeps copies. If a copy disappears earlier, drd "
            "raises an alert."
        )
        yield "# CHANGE THIS to the rules of the other tool, and remove the first #."
        yield "#retention: {daily: 7, weekly: 4}"
        yield ""
        yield "# These checks prove little. Replace them by queries whose answers you know."
        yield "checks:" if self.checks else "checks: []"
        yield from (f"  - {inline(check)}" for check in self.checks)
        if self.suggested:
            yield "# Use this check if the data changes in every interval between two copies:"
            yield from (f"#  - {inline(check)}" for check in self.suggested)
        yield ""
        yield "drill: {every: 7d}"

    def _components(self) -> Iterator[str]:
        for database in self.found.databases:
            name = self._free(PurePosixPath(database.path).stem, "database")
            yield f"  {name}:"
            yield from self._unseen(name, database.unseen)
            for key, value in _keys(database):
                yield f"    # {value}" if key == "#" else f"    {key}: {inline(value)}"
            self.components.append((name, database.kind, database.path))
            self.checks += [self._check(check, name) for check in database.checks.checks]
            if database.checks.suggested is not None:
                self.suggested.append(self._check(database.checks.suggested, name))
        for files in self.found.others:
            name = self._free(PurePosixPath(files.path).name, "files")
            yield f"  {name}:"
            yield from self._unseen(name, files.unseen)
            yield "    kind: files"
            yield f"    paths: [{inline(files.path)}]"
            self.components.append((name, "files", files.path))
            if not files.unseen:
                self._files(name, files)

    def _unseen(self, name: str, why: str) -> Iterator[str]:
        """Yield why no check looks at the component, as a comment."""
        if why:
            self.unseen.append(f"{name}: {why}")
            yield from in_comment(why, "    ")

    def _files(self, name: str, files: FoundFiles) -> None:
        scripts = {"the largest file is there": has_data(files.sample)}
        least = files.files * 9 // 10  # a later copy may have fewer
        if least > 1:
            scripts[f"there are at least {least} files"] = has_files([files.path], least)
        for said, script in scripts.items():
            check = {"name": said, "kind": "command", "run": ["sh", "-c", script]}
            self.checks.append(self._check(check, name))

    def _check(self, check: Mapping[str, Any], component: str) -> dict[str, Any]:
        rest = {key: value for key, value in check.items() if key not in ("name", "kind")}
        name, kind = f"{component}: {check['name']}", check["kind"]
        return {"name": name, "kind": kind, "component": component, **rest}

    def _free(self, wish: str, fallback: str) -> str:
        base = as_name(wish)[:36] or fallback
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name)
        return name


def _keys(found: FoundDatabase) -> Iterator[tuple[str, Any]]:
    path = found.path
    yield "kind", found.kind
    if found.is_file:
        yield (
            "#",
            ("If this file is a dump: write under `path` where the service has the file, and"),
        )
        yield "#", f"add the path of the dump as copied_as: {inline(path)}"
        yield "path", path
        return
    if found.keys:
        yield from (row for row in found.keys if row[0] != "kind")
    else:
        yield "#", "The database of the dump. A drill does not connect to it."
        yield "dsn", f"postgresql:///{as_name(PurePosixPath(path).stem) or 'postgres'}"
    yield "copied_as", path


def adopted_starter(name: str, found: FoundCopies) -> Starter:
    """Return a plan that passes `drd plan check`."""
    writer = _Writer(name, found)
    text = "\n".join(writer.lines()) + "\n"
    return Starter(text, tuple(writer.credentials), "", writer.components, writer.unseen)

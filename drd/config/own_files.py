"""Read regimes, playbooks and exercises: YAML files that come with drd, and those of the
installation ("own" files).

An own file replaces the shipped file of the same name. All problems are reported with file and
line. A broken file does not prevent the use of other files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from drd.config.exposed_files import judged
from drd.config.json_schema import SchemaView
from drd.config.problems import Report
from drd.config.reading import read_bytes, read_reached
from drd.config.translation import translate
from drd.config.yaml import read
from drd.errors import ConfigError, Problem, UsageError
from drd.model.finding import Finding
from drd.model.nearest import closest

_One = TypeVar("_One")
_Schema = TypeVar("_Schema", bound=BaseModel)

MOST = 200
"""How many files of a directory drd reads at most."""


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of these files. `what` is its name in messages (`playbook`), `key` the key of drd.yaml
    that names the directory of own files, `named_by` the key of a file that holds its name,
    `shipped` the directory of drd's files, and `lists` the command that lists all."""

    what: str
    key: str
    named_by: str
    shipped: Path
    lists: str
    first: str = ""
    """What the hint for a file without keys says after its first part."""


@dataclass(frozen=True, slots=True)
class Own(Generic[_One]):
    """All usable files of one sort. `known` has what each describes, sorted by name. `problems` has
    what is wrong with files. `broken` has the errors of own files that cannot be used, by name: the
    shipped file of this name is then not used either."""

    sort: Sort
    known: Mapping[str, _One]
    problems: tuple[Problem, ...] = ()
    broken: Mapping[str, Sequence[Problem]] = field(default_factory=dict)

    def get(self, name: str) -> _One:
        """Return what the file of this name describes. Raises UsageError if there is none, and
        ConfigError if the file is broken."""
        if name in self.known:
            return self.known[name]
        if name in self.broken:
            raise ConfigError(self.broken[name])
        what = self.sort.what
        near = closest(name, list(self.known))
        hint = f"did you mean {near}?" if near else f"to see all {what}s: {self.sort.lists}"
        raise UsageError(f"there is no {what} {name!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file whose text could be read. `name` is the name that the file gives itself, also if the
    rest of the file is broken; `own` is False for a file of drd; `text` is the sha256 of its
    bytes, in hex."""

    report: Report
    name: str
    own: bool
    text: str

    @property
    def file(self) -> str:
        return self.report.document.file

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.report.data
        return data


@dataclass(slots=True)
class OwnFiles:
    """The readable files by name, and what is wrong with the others. A file that can be read but
    has errors in its values is also in `shipped` or `own`: the caller finds these errors. `broken`
    has errors by the name in the file, or, if the name cannot be read, by the name of the file."""

    shipped: dict[str, OwnFile] = field(default_factory=dict)
    own: dict[str, OwnFile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: dict[str, tuple[Problem, ...]] = field(default_factory=dict)

    def all(self) -> list[OwnFile]:
        """Return every file that was read, the shipped ones first."""
        return [*self.shipped.values(), *self.own.values()]

    def chosen(self) -> dict[str, OwnFile]:
        """Return the files that are in force, in the order of their names."""
        return dict(sorted({**self.shipped, **self.own}.items()))

    def breaks(self, name: str, problems: Sequence[Problem]) -> None:
        """Note that the file of this name cannot be used, and why."""
        self.problems += problems
        self.broken[name] = (*self.broken.get(name, ()), *problems)


def text_digest(raw: bytes) -> str:
    """Return the sha256 of a file's bytes, in hex, by which drd recognises its text."""
    return hashlib.sha256(raw).hexdigest()


def yaml_files(directory: Path) -> list[Path]:
    """Return the files `*.yaml` of a directory, sorted by name."""
    return sorted(directory.glob("*.yaml"))


def load_own(
    sort: Sort,
    build: Callable[[OwnFile], _One | None],
    directory: Path | None,
    files: Sequence[Path] = (),
    trusted: Collection[int] | None = None,
) -> Own[_One]:
    """Read the files as `read_own` does, and build what each describes. `build` returns None if a
    file has errors; they are then in the report of the file."""
    read_files = read_own(sort, directory, files, trusted)
    built: dict[str, _One] = {}
    for file in read_files.all():
        one = build(file)
        if one is None:
            read_files.breaks(file.name, file.report.errors)
        else:
            built[file.name] = one
    known = {k: built[k] for k in read_files.chosen() if k in built and k not in read_files.broken}
    return Own(sort, known, tuple(dict.fromkeys(read_files.problems)), read_files.broken)


def validated(
    schema: type[_Schema], report: Report, data: Mapping[str, Any] | None = None
) -> _Schema | None:
    """Return the model of a file, or of `data` that was made from the file. If the schema does not
    allow a value, add the errors to the report and return None."""
    data = report.data if data is None else data
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        translate(error, report, SchemaView(schema), data=data)
        return None


def broken_findings(code: str, problems: Iterable[Problem]) -> list[Finding]:
    """Return the findings of `drd doctor` about files that cannot be used."""
    return [Finding(code, "error", Path(p.file).name, str(p), p.hint) for p in problems]


def read_own(
    sort: Sort,
    directory: Path | None,
    files: Sequence[Path] = (),
    trusted: Collection[int] | None = None,
) -> OwnFiles:
    """Read the shipped files, those of `directory`, and the given files. With `trusted`, an own
    file is refused if users with other ids than these can change it."""
    read_files = OwnFiles()
    for path in yaml_files(sort.shipped):
        _open(sort, read_files, path, own=False, trusted=None)
    own = [*own_in(directory, sort, yaml_files, read_files.problems), *files]
    for path in dict.fromkeys(each.absolute() for each in own):
        _open(sort, read_files, path, own=True, trusted=trusted)
    return read_files


def own_in(
    directory: Path | None,
    sort: Sort,
    files: Callable[[Path], list[Path]],
    problems: list[Problem],
) -> list[Path]:
    """Return what `files` finds in the directory of own files. If this directory cannot be used,
    add to the problems why."""
    if directory is None:
        return []
    if not directory.is_dir():
        hint = f"make the directory, or correct the key `{sort.key}` of drd.yaml."
        problems.append(Problem(str(directory), 1, "", "is not a directory", hint))
        return []
    if not os.access(directory, os.R_OK | os.X_OK, effective_ids=True):
        hint = "let the user of drd's service read it: chmod a+rx DIRECTORY"
        problems.append(Problem(str(directory), 1, "", "cannot be read", hint))
        return []
    own = files(directory)
    if len(own) > MOST:
        message = f"contains {len(own)} {sort.what}s, but drd reads at most {MOST}"
        hint = f"remove files until the directory contains at most {MOST} {sort.what}s."
        problems.append(Problem(str(directory), 1, "", message, hint))
    return own[:MOST]


def _open(
    sort: Sort, found: OwnFiles, path: Path, *, own: bool, trusted: Collection[int] | None
) -> None:
    try:
        report, text = _report(sort, path, trusted)
    except ConfigError as error:
        found.breaks(path.stem, error.problems)
        return
    refused = report.is_broken(())
    name = _name(sort, report)
    there = found.own if own else found.shipped
    if name and own and name in there:
        hint = f"give one of the two files another `{sort.named_by}`, or remove one of them."
        message = f'{there[name].file} already has the {sort.what} "{name}"'
        report.error((sort.named_by,), message, hint)
        refused = True
    if refused or not name:
        found.breaks(name or path.stem, report.errors)
    else:
        there[name] = OwnFile(report, name, own, text)


def _report(sort: Sort, path: Path, trusted: Collection[int] | None) -> tuple[Report, str]:
    """Read a file. Return its report, with an error if other users can change the file, and the
    digest of its bytes. Raises ConfigError."""
    if trusted is None:
        raw, _ = read_bytes(path, what=sort.what)
        return Report(read(raw, str(path), allow_empty=True)), text_digest(raw)
    raw, reached = read_reached(path, what=sort.what)
    report = Report(read(raw, str(path), allow_empty=True))
    exposed = judged(reached, trusted)
    if exposed is not None and not exposed.is_told_only:
        report.error((), f"the file {exposed.why}", exposed.remedy)
    return report, text_digest(raw)


def _name(sort: Sort, report: Report) -> str:
    """Return the name that a file gives itself; if there is none, report it and return ""."""
    if not isinstance(report.data, dict):
        hint = f"write lines like `key: value`{sort.first}."
        report.error((), "is not a mapping", hint)
        return ""
    name = str(report.data.get(sort.named_by) or "")
    if not name:
        hint = f"add the key `{sort.named_by}`: the name of this {sort.what} in commands."
        report.error((), f"{sort.named_by} is missing", hint)
    return name

"""Lay out the new host: every file with its place, contents and mode, and the texts of plans and
drd.yaml with references to these places. Changes nothing."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drd.config.daemon_schema import DaemonFile
from drd.config.own_texts import OWN_TEXT
from drd.config.paths import DEFAULT_STATE, place, state_url
from drd.config.plan_file import plan_of_text
from drd.config.references import (
    daemon_references,
    plan_references,
    rewritten,
    written_references,
)
from drd.config.resolved import COMMAND_PATH
from drd.config.yaml import Path as YamlPath
from drd.config.yaml import read
from drd.errors import ConfigError, UsageError
from drd.kit.programs import file_of_word, named_by
from drd.model.plan import SecretRef
from drd.registry import unavailable

ETC = "/etc/drd"
CREDENTIALS = f"{ETC}/credentials"

_ON_PATH = COMMAND_PATH.split(":")
_SQLITE = "sqlite:///"
_NAME = re.compile(r"[\w.@+-]+")


@dataclass(frozen=True, slots=True)
class LostHost:
    """What is known about the lost host: plans by name and drd.yaml as texts, secrets by reference,
    and other files by their path. `config_file` is the path that drd.yaml gets: its relative paths
    begin in that directory, and the plans are there, too. `programs` are scripts that the plans
    run, with their modes. `texts` are the host's own regimes, playbooks, exercises and templates,
    by names such as `regimes/NAME`."""

    plans: Mapping[str, str]
    config: str | None
    config_file: str
    secrets: Mapping[SecretRef, str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    programs: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    texts: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def etc(self) -> str:
        """The directory of drd.yaml."""
        return os.path.dirname(self.config_file)  # noqa: PTH120 (of a path on another host)

    def plan_file(self, name: str) -> str:
        """Return the path that a plan gets."""
        return f"{self.etc}/plans/{name}.yaml"


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """One file to write. With `yields`, an existing file is not replaced; with `secret`, an
    existing file with the same secret is not replaced."""

    path: Path
    content: bytes
    mode: int
    yields: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Needed:
    """A missing secret or program: where it belongs, and its purpose (`components.db.dsn of shop`).
    `restoring` is True if a recovery needs it, False if only later backups need it."""

    path: str
    use: str
    restoring: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """`files` in the order in which they are written: secrets, then the files that refer to them.
    `state` is the catalogue's file, `notes` are for a person."""

    root: Path
    config: Path
    state: Path
    files: tuple[PlacedFile, ...]
    needed: tuple[Needed, ...]
    notes: tuple[str, ...] = ()


def lay_out(belongings: LostHost, root: Path) -> Layout:
    """Return the layout, with every path below `root`. Raises UsageError for a name that leads
    outside of `root`."""
    moving = _Moving(root, belongings)
    plans = [
        PlacedFile(
            root_path(root, belongings.plan_file(name)), moving.plan(name, text).encode(), 0o644
        )
        for name, text in belongings.plans.items()
    ]
    config, state = moving.config()
    secrets = [
        # The last line end of a file is not part of the secret.
        PlacedFile(
            path,
            f"{value}\n".encode() if value.endswith("\n") else value.encode(),
            0o600,
            secret=True,
        )
        for path, value in sorted(moving.secrets.items())
    ]
    others = [
        PlacedFile(root_path(root, path), data, 0o644)
        for path, data in sorted(belongings.files.items())
    ]
    texts = [
        PlacedFile(root_path(root, f"{belongings.etc}/{name}"), data, 0o644)
        for name, data in sorted(belongings.texts.items())
        if OWN_TEXT.fullmatch(name)
    ]
    programs = [
        PlacedFile(root_path(root, path), content, mode, yields=True)
        for path, (content, mode) in sorted(belongings.programs.items())
    ]
    drd_yaml = PlacedFile(root_path(root, belongings.config_file), config.encode(), 0o644)
    return Layout(
        root,
        drd_yaml.path,
        state,
        (*secrets, *others, *texts, *programs, *plans, drd_yaml),
        tuple(dict.fromkeys(moving.needed)),
        tuple(moving.notes),
    )


def root_path(root: Path, path: str) -> Path:
    """Return the place of an absolute path below `root`."""
    return root / os.path.normpath(path).lstrip("/")


class _Moving:
    """Rewrites texts, and collects where secrets must lie for that."""

    def __init__(self, root: Path, belongings: LostHost) -> None:
        self.root = root
        self.here = root == Path("/")
        self.belongings = belongings
        self.secrets: dict[Path, str] = {}
        self.needed: list[Needed] = []
        self.notes: list[str] = []

    def plan(self, name: str, text: str) -> str:
        file = Path(self.belongings.plan_file(name))
        try:
            plan = plan_of_text(text, file)
        except ConfigError:
            if not unavailable():
                raise
            return self._refused_plan(name, text)
        references = {}
        for path, ref in plan_references(text, file).items():
            # Without a target it is restored to where it was.
            wanted = "targets" if plan.targets else "components"
            restoring = path[0] in ("repositories", wanted)
            moved = self.reference(ref, f"{_path_text(path)} of {name}", restoring=restoring)
            if moved != ref:
                references[path] = moved
        values: dict[YamlPath, str] = {}
        if not self.here:
            data = read(text.encode(), str(file)).data
            values = dict(self._authorities(data)) | dict(self._programs(data, ()))
        hooks = {
            w for c in plan.components.values() for h in (c.before, c.after) if h for w in h.command
        }
        self.needed += [
            Needed(word, f"a program of {name}", restoring=word not in hooks)
            for word in named_by(plan)
            if file_of_word(word) is None and self._script(word, first=True) is None
        ]
        return rewritten(text, references, values)

    def _refused_plan(self, name: str, text: str) -> str:
        """Return the text of a plan that this drd refuses while a package is missing, as if it
        accepted it: it may do so as soon as the package is installed. Only what is beyond doubt a
        secret is taken for one."""
        try:
            data = read(text.encode(), self.belongings.plan_file(name)).data
        except ConfigError:
            return text
        if not isinstance(data, dict):
            return text
        references = {}
        for path, ref in written_references(data):
            if ref in self.belongings.secrets or ref.source == "credential":
                moved = self.reference(ref, f"{_path_text(path)} of {name}", restoring=True)
                if moved != ref:
                    references[path] = moved
        values: dict[YamlPath, str] = {}
        if not self.here:
            values = dict(self._authorities(data)) | dict(self._programs(data, ()))
        return rewritten(text, references, values)

    def _authorities(self, data: dict[Any, Any]) -> Iterator[tuple[YamlPath, str]]:
        """The certificate authorities of the repositories, below the root."""
        repositories = data.get("repositories")
        for key, given in repositories.items() if isinstance(repositories, dict) else ():
            for name, section in given.items() if isinstance(given, dict) else ():
                ca_cert = section.get("ca_cert") if isinstance(section, dict) else None
                if isinstance(ca_cert, str):
                    path: YamlPath = ("repositories", key, name, "ca_cert")
                    yield path, str(root_path(self.root, ca_cert))

    def _programs(self, value: Any, path: YamlPath) -> Iterator[tuple[YamlPath, str]]:
        """The words of commands that are scripts below the root."""
        if isinstance(value, dict):
            for key, item in value.items():
                if key not in ("paths", "exclude"):
                    yield from self._programs(item, (*path, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._programs(item, (*path, index))
        elif isinstance(value, str) and path and isinstance(path[-1], int):
            place = self._script(value, first=path[-1] == 0)
            if place is not None:
                yield path, str(root_path(self.root, place))

    def _script(self, word: str, *, first: bool) -> str | None:
        """Return the path of the script that a word names; the first word may be a name alone."""
        known = self.belongings.programs
        if word in known:
            return word
        names = (p for p in known if Path(p).name == word and str(Path(p).parent) in _ON_PATH)
        return next(names, None) if first else None

    def reference(self, ref: SecretRef, use: str, *, restoring: bool) -> SecretRef:
        """Return the place of a reference on the new host; its secret is written there, or reported
        as missing."""
        value = self.belongings.secrets.get(ref)
        if ref.source in ("env", "command") and value is None:
            self.needed.append(Needed(ref.describe(), use, restoring))
            return ref
        path = root_path(self.root, _file_of(ref, self.belongings.etc))
        if value is None:
            self.needed.append(Needed(str(path), use, restoring))
        else:
            self.secrets[path] = value
        if ref.source == "file" or path.parent != Path(CREDENTIALS):
            return SecretRef("file", str(path))
        return SecretRef("credential", path.name)

    def config(self) -> tuple[str, Path]:
        """Return the text of drd.yaml, and the file of the catalogue."""
        text = (self.belongings.config or "").removeprefix("\ufeff")
        file = Path(self.belongings.config_file)
        data = read(text.encode(), str(file), allow_empty=True).data
        known = DaemonFile.model_validate(data)
        references = {}
        # A channel of a package that is missing here is read only in part.
        written = {p: r for p, r in written_references(data) if r in self.belongings.secrets}
        for path, ref in {**written, **daemon_references(text, file)}.items():
            if path[0] == "state":
                continue  # here it begins as a file
            moved = self.reference(ref, f"{_path_text(path)} of drd.yaml", restoring=False)
            if moved != ref:
                references[path] = moved
        state = self._state(known.state.url)
        wanted: dict[str, tuple[str, str]] = {
            "state": (known.state.url, f"{_SQLITE}{state}"),
            "plans": (known.plans, "plans"),
            "work_dir": (known.work_dir, self._moved(known.work_dir)),
            "cache_dir": (known.cache_dir, self._moved(known.cache_dir)),
        }
        for key in ("regimes", "playbooks", "exercises", "templates", "awareness"):
            if (own := getattr(known, key)) is not None:
                wanted[key] = (own, key)
        if known.public_dir is not None:
            wanted["public_dir"] = (known.public_dir, self._moved(known.public_dir))
        values: dict[YamlPath, str] = {
            (key,): new for key, (old, new) in wanted.items() if old != new and (data or old != new)
        }
        if known.records.timestamp != "none":
            values["records", "timestamp"] = "none"
            stamped = known.records.timestamp
            self.notes.append(
                "the new drd.yaml has no time stamps (records: timestamp): they need "
                f"{stamped.ca} and the library rfc3161-client on this host. The former time "
                f"stamps came from {stamped.url}"
            )
        if known.metrics.textfile and not self.here:
            values["metrics", "textfile"] = self._moved(known.metrics.textfile)
        return rewritten(text, references, values) or "# every key has its default\n", state

    def _moved(self, path: str) -> str:
        return str(root_path(self.root, place(path, self.belongings.etc)))

    def _state(self, url: str) -> Path:
        if not url.startswith(_SQLITE):
            self.notes.append(
                "the catalogue was in PostgreSQL; on this host it is a new SQLite file, which "
                "needs no server"
            )
            url = DEFAULT_STATE
        path = state_url(url, self.belongings.etc).removeprefix(_SQLITE).partition("?")[0]
        return root_path(self.root, path)


def _file_of(ref: SecretRef, etc: str) -> str:
    """Return the file that holds a secret on the new host, whose drd.yaml is in the directory
    `etc`. drd looks for credentials in one place only."""
    if ref.source == "file":
        return str(ref.value)
    if ref.source == "command":
        words = "\0".join(ref.value)
        return f"{etc}/credentials/command-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
    name = str(ref.value)
    if not _NAME.fullmatch(name) or name.strip(".") == "":
        raise UsageError(
            f"drd cannot store {ref.describe()} in a file: the name of this secret is not "
            "valid as a file name",
            hint="give the secret another name in the plan.",
        )
    if ref.source == "credential":
        return f"{CREDENTIALS}/{name}"
    return f"{etc}/credentials/env-{name.lower()}"


def _path_text(path: YamlPath) -> str:
    return ".".join(str(p) for p in path)

"""Find drd's state and plans, for verbs that have no time to check all of drd.yaml.

`drd status` starts in a few milliseconds: no pydantic here, and YAML is loaded only for a file that
is more than plain `key: value` lines. For every drd.yaml that `load_settings` accepts, both return
the same places. `load_settings` refuses a broken file, but this module may read it.
"""

from __future__ import annotations

import os
import re

from drd.config.paths import (
    DEFAULT_CONFIG,
    DEFAULT_PLANS,
    DEFAULT_STATE,
    NOT_A_MAPPING,
    missing,
    place,
    public_of,
    state_url,
)
from drd.errors import ConfigError, Problem
from drd.exhaustion import system_reason
from drd.model.package_names import normal_name
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from drd.config.daemon import DaemonSettings
    from drd.config.yaml import Document
    from drd.model.plan import SecretRef

# Compiled at the first use; most lines need none of them.
_LINE = r"([a-z_]+):(?: +(.*?))? *"
_PLAIN = r"(?a)(?!(null|true|false)$)(?=[a-z/.])[\w./:+-]*[\w/]"
_QUOTED = r"\"[^\"\\]*\"|'[^']*'"
_COMMENT = r"(^|(?<= ))#.*"
_PAIRS = r"\[[^\[\]{}]*\]|\{[^\[\]{}]*\}"
_EXTENSIONS = r"^extensions: *(?:(\[[^\[\]]*\])|\n((?: *- .*(?:\n|$))+))"
_STATE = r"sqlite:///.|postgresql(\+\w+)?://(?![^/]*:[^/]*@)(?!.*password=)"
_FILE_STATE = r"(?a)sqlite:///[\w./-]*\w"
_OPEN = frozenset("[]{}\"'\t\r\\|>&*!%?")
_KEYS = {"state", "plans", "work_dir", "cache_dir", "run_as", "limits", "log"}
_KEYS |= {
    "extensions",
    "people",
    "groups",
    "notify",
    "kit",
    "metrics",
    "alerts",
    "public_dir",
    "records",
    "incident",
    "regimes",
    "organisation",
    "contacts",
    "on_call",
    "absences",
    "playbooks",
    "exercises",
    "templates",
    "awareness",
}
_READ = ("state", "plans", "public_dir")
"""Keys whose values are needed here."""


def config_path(given: str | None) -> tuple[str, bool]:
    """Return the path of drd.yaml (`--config`, $DRD_CONFIG, the default), and whether it was given
    explicitly."""
    chosen = given or os.environ.get("DRD_CONFIG")
    return (chosen, True) if chosen else (DEFAULT_CONFIG, False)


class ConfiguredPlaces(NamedTuple):
    """The places that a drd.yaml names, and its packages of others."""

    state_url: str
    plans_dir: str
    public_dir: str
    state_password: SecretRef | None = None
    extensions: tuple[str, ...] = ()


def state_and_plans(path: str | os.PathLike[str], *, explicit: bool) -> tuple[str, str]:
    """Return the state's URL and the plans directory that the drd.yaml at `path` gives. As
    `places`."""
    return places(path, explicit=explicit)[:2]


def places(path: str | os.PathLike[str], *, explicit: bool) -> ConfiguredPlaces:
    """Return the state's URL, the plans directory and the public directory from the drd.yaml at
    `path`. Raises ConfigError when the file was given explicitly and is missing, or when it cannot
    be read or is not YAML."""
    path = os.fspath(path)
    base = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 (pathlib costs 4 ms)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 4 ms)
            raw = file.read()
    except FileNotFoundError:
        if explicit:
            raise ConfigError([missing(path)]) from None
        raw = b""
    except OSError as error:
        message = f"cannot read drd.yaml: {system_reason(error)}"
        hint = (
            "give the user of this command the right to read drd.yaml, or name another "
            "file with --config."
        )
        raise ConfigError([Problem(path, 1, "", message, hint)]) from None
    values = _simple(raw)
    if values is None:
        values = _from_yaml(raw, path)
    if not re.match(_STATE, values.get("state", DEFAULT_STATE)):
        _load(path)
    state = state_url(values.get("state", DEFAULT_STATE), base)
    password = _load(path).state_password if "password" in values else None
    public = values.get("public_dir")
    return ConfiguredPlaces(
        state,
        place(values.get("plans", DEFAULT_PLANS), base),
        place(public, base) if public is not None else public_of(state),
        password,
        _extensions(raw) if b"extensions" in raw else (),
    )


def guessed_places(path: str | os.PathLike[str]) -> ConfiguredPlaces | None:
    """Return the places that a broken drd.yaml seems to name, so that a status can be shown beside
    its error; None if drd cannot find them out, or if there is no state."""
    base = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 (pathlib costs 4 ms)
    try:
        known = _load(os.fspath(path), enduring=True)
    except ConfigError:
        known = None  # not even its sound parts can be used
    if known is not None and (known.database is None or known.database.exists()):
        places = known.state_url, str(known.plans_dir), str(known.public_dir)
        return ConfiguredPlaces(*places, known.state_password)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            text = file.read()
    except OSError:
        return None
    line = rf"^({'|'.join(_READ)}): +([\w./:+-]+) *(?:#.*)?$"
    values = dict(re.findall(line, text, re.MULTILINE | re.ASCII))
    state = state_url(values.get("state", DEFAULT_STATE), base)
    file_of_state = state.removeprefix("sqlite:///").partition("?")[0]
    is_default = os.fspath(path) == DEFAULT_CONFIG and "state" not in text
    if not ("state" in values or is_default) or not os.path.exists(file_of_state):  # noqa: PTH110
        return None
    public = values.get("public_dir")
    return ConfiguredPlaces(
        state,
        place(values.get("plans", DEFAULT_PLANS), base),
        place(public, base) if public is not None else public_of(state),
    )


def _simple(raw: bytes) -> dict[str, str] | None:
    """`state`, `plans` and `public_dir` of a file of plain lines; None when only a YAML parser can
    be sure.

    A plain file has only unindented lines that are blank, a comment, or a known key that stands
    once; brackets and quotes close on the line that opens them; and these values are plain words
    that do not continue below."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        return None
    values: dict[str, str] = {}
    key = ""
    seen: set[str] = set()
    for line in text.split("\n"):
        bare, quoted = _bare(line)
        if _is_open(bare):
            return None
        if not bare.strip():
            continue
        if line[0] == " ":
            if key in ("", *_READ):
                return None
            continue
        match = re.fullmatch(_LINE, bare)
        if match is None or match[1] not in _KEYS or match[1] in seen:
            return None
        key = match[1]
        seen.add(key)
        if key in _READ:
            if quoted or not re.fullmatch(_PLAIN, match[2] or ""):
                return None
            values[key] = match[2]
    return values


def _extensions(raw: bytes) -> tuple[str, ...]:
    """Return the packages of a file that lists them in brackets or one a line; none if it lists
    them in another way."""
    text = re.sub(r"(^| )#.*", "", raw.decode("utf-8", "replace"), flags=re.MULTILINE)
    listed = re.search(_EXTENSIONS, text, re.MULTILINE)
    names = re.findall(r"\w[\w.-]*", listed[1] or listed[2]) if listed else ()
    return tuple(normal_name(name) for name in names)


def _bare(line: str) -> tuple[str, bool]:
    """Return the line without comment and quoted words, and whether it had such words."""
    quoted = ('"' in line or "'" in line) and re.search(_QUOTED, line) is not None
    bare = re.sub(_QUOTED, "Q", line) if quoted else line
    return (re.sub(_COMMENT, "", bare) if "#" in bare else bare), quoted


def _is_open(bare: str) -> bool:
    """Return whether only a YAML parser can read the line: a bracket or quote stays open, or it has
    special characters."""
    if _OPEN.isdisjoint(bare):
        return False
    return not _OPEN.isdisjoint(re.sub(_PAIRS, "", re.sub(_PAIRS, "", bare)))


def _from_yaml(raw: bytes, path: str) -> dict[str, str]:
    from drd.config.yaml import read

    document = read(raw, path, allow_empty=True)
    values = {} if document.data is None else document.data
    if not isinstance(values, dict) or values.keys() - _KEYS:
        # A misspelt `plans` must not look like a host without a plan: report the error.
        _refuse(document)
    known = {k: values[k] for k in _READ if isinstance(values.get(k), str)}
    state = values.get("state")
    if values.keys() & set(_READ) - known.keys() and not isinstance(state, dict):
        _load(path)
    if isinstance(state, dict) and isinstance(state.get("url"), str):
        known["state"] = state["url"]
        if state.get("password") is not None:
            known["password"] = ""  # only that there is one
    return known


def has_only_places(path: str) -> bool:
    """Return whether the file names only files and directories, in plain words, so that nothing in
    it can be wrong."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 4 ms)
            raw = file.read()
    except OSError:
        return False
    values = _simple(raw)
    if values is None or not re.fullmatch(_FILE_STATE, values.get("state", DEFAULT_STATE)):
        return False
    lines = [line for line in raw.split(b"\n") if line.strip() and not line.startswith(b"#")]
    return len(lines) == len(values)


def configuration_error(path: str) -> ConfigError | None:
    """Check the whole file, which takes longer; return its errors. No packages are imported for
    this: if the file names extensions, its channels are not checked."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 4 ms)
            extended = b"extensions" not in file.read()
        _load(path, extended=extended)
    except ConfigError as error:
        return error
    except OSError:
        return None  # it is gone, or was closed to us, a moment ago
    return None


def _load(path: str, *, extended: bool = False, enduring: bool = False) -> DaemonSettings:
    """Check the whole file, which takes longer. Raises ConfigError if it has errors."""
    from pathlib import Path

    from drd.config.daemon import load_settings

    return load_settings(Path(path), explicit=True, extended=extended, enduring=enduring)


def _refuse(document: Document) -> NoReturn:
    from drd.config.problems import Report, nearest

    report = Report(document)
    if not isinstance(document.data, dict):
        report.error((), "is not a mapping", NOT_A_MAPPING)
    else:
        known = sorted(_KEYS - document.data.keys())
        for key in document.data.keys() - _KEYS:
            report.error((key,), f'unknown key "{key}"', nearest(str(key), known), of_key=True)
    raise ConfigError(report.errors)

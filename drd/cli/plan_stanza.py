"""`drd plan new --adopt STANZA`: look into a stanza of pgBackRest."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from configparser import Error as NoConfiguration
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from shlex import quote

from drd.config.stanza_starter import MOST_COMPONENTS, FoundStanza, stanza_starter
from drd.config.starter import Starter
from drd.errors import NoRestorePoint, UsageError
from drd.model.adopted import Stanza
from drd.model.plan import SecretRef
from drd.model.text import counted, escaped, some
from drd.model.units import format_time
from drd.ports.dumps import FirstChecks, FirstChecksOf, ServerPlace
from drd.registry import KINDS
from drd.repositories.adopted.pgbackrest import StanzaCopies
from drd.repositories.adopted.stanza_place import configured
from drd.repositories.adopted.stanza_program import StanzaProgram
from drd.secrets import directory_for_new, resolve

USUAL = ("/etc/pgbackrest.conf", "/etc/pgbackrest/pgbackrest.conf")
"""Where pgBackRest looks for its configuration."""

_CREDENTIAL = "pgbackrest.conf"
_STANZA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_MOST = 20
_FIRST_OID = 16384
"""The first object id that no initdb gives: databases below it came with the server."""

_PLACE = {"pg1-host": "host", "pg1-socket-path": "host", "pg1-port": "port"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person gave: a configuration, or the directory of a repository; and a stanza."""

    stanza: str = ""
    config: Path | None = None
    directory: Path | None = None


def asked(given: str) -> Asked | None:
    """Return the stanza that a person gave; None if the word is something else."""
    name = given.removeprefix("pgbackrest:")
    path, _, stanza = given.partition(":")
    if given.startswith("/") and path.endswith(".conf"):
        return Asked(stanza, config=Path(path))
    directory = Path(path)
    if path.startswith("/") and all((directory / d).is_dir() for d in ("backup", "archive")):
        return Asked(stanza, directory=directory)
    is_word = _STANZA.fullmatch(given) is not None and not Path(given).exists()
    if given.startswith("pgbackrest:") or is_word:
        if not _STANZA.fullmatch(name):
            raise UsageError(
                f"--adopt: {name!r} is not the name of a stanza",
                hint="give the name of a stanza, as pgbackrest info shows it: --adopt main",
            )
        return Asked(name, config=_usual())
    return None


def stanza_plan(name: str, what: Asked, cache: Path) -> tuple[Starter, str]:
    """Examine the newest backup, and return a plan, and what was found there."""
    if what.config is not None:
        _require_own(what.config)
    said = _configuration(what.config) if what.config is not None else {}
    stanza = _stanza(what, said)
    reader = StanzaCopies("theirs", stanza, StanzaProgram("theirs", stanza, resolve, cache))
    copies = reader.copies()
    if not copies.copies:
        why = next(iter(copies.refused.values()), "pgBackRest has not made a backup yet")
        raise NoRestorePoint(
            f"no backup in stanza {stanza.name} can be restored: {why}",
            hint=f"make a backup: pgbackrest --stanza={stanza.name} backup",
        )
    newest = copies.copies[-1]
    every = reader.databases(newest)
    databases = [d for d, oid in every.items() if oid >= _FIRST_OID] or list(every)
    of_stanza = {**said.get("global", {}), **said.get(stanza.name, {})}
    credentials: list[tuple[str, str]] = []
    config: dict[str, str] = {}
    if what.config is not None:
        config = {"file": str(what.config)} if _is_private(what.config) else {}
        if not config:
            config = {"credential": _CREDENTIAL}
            credentials.append((_CREDENTIAL, f"a copy of {what.config}"))
    checks = {
        name: _checks(name, of_stanza, str(reader.system(newest))) for name in databases[:_MOST]
    }
    filled = [name for name in checks if not checks[name].is_empty] or list(checks)
    adopted = FoundStanza(
        stanza.name,
        filled,
        [name for name in checks if name not in filled],
        checks,
        config,
        {"repo1-path": str(what.directory)} if what.directory is not None else {},
        {_PLACE[key]: of_stanza[key] for key in _PLACE if of_stanza.get(key)},
        _keeps(of_stanza),
    )
    backups = {c.server.backup for c in copies.copies if c.server}
    seen = (
        f"{counted(len(backups), 'backup')} of stanza {stanza.name}, WAL up to "
        f"{format_time(newest.data_time, seconds=True)}, {counted(len(databases), 'database')}: "
        f"{', '.join(checks)}{_left_out(databases, filled[:MOST_COMPONENTS])}"
    )
    return stanza_starter(name, adopted, credentials), seen


def _left_out(databases: Sequence[str], planned: Sequence[str]) -> str:
    """Name the databases that are not in the plan."""
    left = [database for database in databases if database not in planned]
    if not left:
        return ""
    return (
        f". Not in the plan: {escaped(some(left))}. The plan has at most {MOST_COMPONENTS} "
        "databases that have rows: exchange them for those that matter"
    )


def _checks(database: str, of_stanza: Mapping[str, str], system: str) -> FirstChecks:
    """Return checks to begin with. If the server runs on this host, drd reads from it which tables
    it has."""
    (spec,) = (spec for spec in KINDS if spec.adopts_server)
    ask: FirstChecksOf = resolve_name(spec.first_checks)
    if "pg1-host" in of_stanza:
        return ask(None)
    port = of_stanza.get("pg1-port", "5432")
    directory = of_stanza.get("pg1-socket-path", "/var/run/postgresql")
    number = int(port) if port.isdecimal() else 0
    return ask(ServerPlace(database, directory, number, system, of_stanza.get("pg1-user", "")))


def _usual() -> Path:
    for path in USUAL:
        if Path(path).exists():
            return Path(path)
    raise UsageError(
        f"drd found no configuration of pgBackRest on this host: {' and '.join(USUAL)} do not "
        "exist",
        hint="give the path of the configuration: --adopt /PATH/pgbackrest.conf",
    )


def _configuration(file: Path) -> Mapping[str, Mapping[str, str]]:
    try:
        return configured(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, NoConfiguration) as error:
        why = (
            error.strerror
            if isinstance(error, OSError)
            else ("the file is not a configuration of pgBackRest")
        )
        raise UsageError(
            f"cannot read {file}: {why}", hint="run this as root, or as the owner of the file."
        ) from None


def _stanza(what: Asked, said: Mapping[str, Mapping[str, str]]) -> Stanza:
    if what.config is not None:
        names = [s for s in said if s.partition(":")[0] != "global" and ":" not in s]
        stanza = Stanza("", config=SecretRef("file", str(what.config)))
        place = str(what.config)
    else:
        assert what.directory is not None
        names = sorted(p.name for p in (what.directory / "backup").iterdir() if p.is_dir())
        stanza = Stanza("", options=(("PGBACKREST_REPO1_PATH", str(what.directory)),))
        place = str(what.directory)
    if what.stanza:
        return replace(stanza, name=what.stanza)
    if len(names) == 1:
        return replace(stanza, name=names[0])
    raise UsageError(
        f"{place} has {counted(len(names), 'stanza')}: {', '.join(names) or 'none'}",
        hint=f"name one stanza: --adopt {place}:{names[0] if names else 'STANZA'}",
    )


def _is_private(file: Path) -> bool:
    """Return whether nobody else can read or change the file, as a plan requires."""
    status = file.stat()
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o077


def _require_own(file: Path) -> None:
    """Refuse, as root, a configuration that somebody else can change: it names programs, which
    pgBackRest runs."""
    if os.geteuid() != 0 or not file.exists():
        return
    real, copy = file.resolve(), quote(str(directory_for_new() / _CREDENTIAL))
    for place in (real, *real.parents):
        status = place.stat()
        shared = status.st_mode & 0o022 and not (place != real and status.st_mode & 0o1000)
        if status.st_uid != 0 or shared:
            raise UsageError(
                f"drd run by root does not use {file}: users other than root can change {place}, "
                "and this file decides which programs pgBackRest runs",
                hint="read the file. If it is right, use a copy that belongs to root: "
                f"install -D -m 0600 {file} {copy} && drd plan new --adopt {copy}",
            )


def _keeps(said: Mapping[str, str]) -> Mapping[str, object]:
    """Return a rule that pgBackRest keeps. It keeps what depends on a full backup as long as that,
    unless there is a rule for differential ones: that lets them and their incremental ones expire
    earlier, and counts full ones, too."""
    full = said.get("repo1-retention-full", "")
    differential = said.get("repo1-retention-diff", "")
    if not full.isdecimal() or not 0 < int(full) <= 1000:
        return {}
    if differential and not differential.isdecimal():
        return {}
    if said.get("repo1-retention-full-type") == "time":
        return {"last": 1} if differential else {"keep_within": f"{full}d"}
    return {"last": max(1, min(int(full), int(differential or full)))}

"""Say whether the repositories of a stanza are directories of this host."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from configparser import ConfigParser
from configparser import Error as NoConfiguration

from drd.errors import DrdError
from drd.model.adopted import Stanza
from drd.model.plan import Plan, SecretRef

_USUAL = "/var/lib/pgbackrest"
_REPOSITORY = re.compile(r"repo([0-9]{1,3})-")
_IN_FILES = frozenset({"file", "credential"})
_PREFIX = "PGBACKREST_"


def configured(text: str) -> Mapping[str, Mapping[str, str]]:
    """Return the options of a configuration of pgBackRest by their sections. Raises configparser's
    Error."""
    parser = ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=False
    )
    parser.read_string(text)
    return {section: dict(parser.items(section)) for section in parser.sections()}


def only_here(plan: Plan, resolve: Callable[[SecretRef], str]) -> str:
    """Return the directory of the repository from which drd reads, if the stanza has only
    directories as repositories, and its server is also on this host. Empty if not, or if drd cannot
    find out."""
    adopted = plan.primary.adopted
    if adopted is None or adopted.stanza is None:
        return ""
    options = _options(adopted.stanza, resolve)
    if options is None or options.get("pg1-host"):
        return ""
    numbers = {int(match[1]) for name in options if (match := _REPOSITORY.match(name))}
    for number in numbers | {adopted.stanza.repo}:
        kind = options.get(f"repo{number}-type", "posix")
        if kind != "posix" or options.get(f"repo{number}-host"):
            return ""
    return options.get(f"repo{adopted.stanza.repo}-path", _USUAL)


def _options(stanza: Stanza, resolve: Callable[[SecretRef], str]) -> dict[str, str] | None:
    """Return the options that pgBackRest uses; None if drd cannot read them here."""
    said: Mapping[str, Mapping[str, str]] = {}
    if stanza.config is not None:
        if stanza.config.source not in _IN_FILES:
            return None
        try:
            said = configured(resolve(stanza.config))
        except (DrdError, NoConfiguration):
            return None
    own = {n.removeprefix(_PREFIX).lower().replace("_", "-"): v for n, v in stanza.options}
    return {**said.get("global", {}), **said.get(stanza.name, {}), **own}

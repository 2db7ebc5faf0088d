"""The people of drd.yaml, and the mail addresses in it."""

from __future__ import annotations

from pathlib import Path

from drd.config.daemon_schema import DaemonFile, Person
from drd.config.reading import read_bytes
from drd.config.yaml import read


def people(file: Path | None) -> tuple[Person, ...]:
    """Return the people of a drd.yaml that `load_settings` accepted; empty if there is no file."""
    return tuple(_file(file).people) if file is not None else ()


def addresses(file: Path | None) -> frozenset[str]:
    """Return the mail addresses of people and contacts in a drd.yaml that `load_settings` accepted,
    in lower case."""
    if file is None:
        return frozenset()
    known = _file(file)
    mails = [*(p.email for p in known.people), *(m for c in known.contacts for m in c.mail)]
    return frozenset(mail.casefold() for mail in mails if mail)


def _file(file: Path) -> DaemonFile:
    raw, _ = read_bytes(file, what="configuration")
    return DaemonFile.model_validate(read(raw, str(file), allow_empty=True).data)

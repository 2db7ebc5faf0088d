"""Try the PGP keys of contacts with gpg, so that people learn before an incident that drd cannot
encrypt to one."""

from __future__ import annotations

from collections.abc import Iterator

from drd.config.daemon import DaemonSettings
from drd.errors import DrdError
from drd.model.contacts import PGP_KEY
from drd.model.finding import Finding
from drd.notifiers import pgp


def findings(settings: DaemonSettings) -> list[Finding]:
    """Return the findings of `drd doctor` about the PGP keys of contacts."""
    works = "gpg can encrypt to the contact's PGP key"
    return [
        Finding("contact-key", "ok", name, works)
        if error is None
        else Finding("contact-key", "warning", name, error.message, error.hint)
        for _, name, error in tried_keys(settings)
    ]


def tried_keys(settings: DaemonSettings) -> Iterator[tuple[int, str, DrdError | None]]:
    """Try each PGP key. Yield the number and the name of its contact, and the error if drd cannot
    encrypt to it."""
    for index, contact in enumerate(settings.contacts.contacts):
        if contact.key.startswith(PGP_KEY):
            yield index, contact.name, _error(contact.key)


def _error(key: str) -> DrdError | None:
    try:
        pgp.encrypted("drd tries this key.", key)
    except DrdError as error:
        return error
    return None

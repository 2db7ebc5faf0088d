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
    unusable, found = dict(unusable_keys(settings)), []
    for index, contact in enumerate(settings.contacts.contacts):
        error = unusable.get(index)
        if error is not None:
            found.append(Finding("contact-key", "warning", contact.name, error.message, error.hint))
        elif contact.key.startswith(PGP_KEY):
            text = "gpg can encrypt to the contact's PGP key"
            found.append(Finding("contact-key", "ok", contact.name, text))
    return found


def unusable_keys(settings: DaemonSettings) -> Iterator[tuple[int, DrdError]]:
    """Try each PGP key. Yield the number of each contact to whose key drd cannot encrypt, and the
    error."""
    for index, contact in enumerate(settings.contacts.contacts):
        if contact.key.startswith(PGP_KEY):
            try:
                pgp.encrypted("drd tries this key.", contact.key)
            except DrdError as error:
                yield index, error

"""The playbooks in force: the daemon loads the files at its start and at each reload, as it does
with plans. While a daemon runs, an edited file is not executed before it was loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from drd.errors import UsageError
from drd.flows.status.daemon_alive import daemon_lives
from drd.model.finding import Finding
from drd.model.playbook import Playbook
from drd.model.text import escaped
from drd.model.units import format_time
from drd.ports import Catalogue, Queue

_KEY = "playbooks"
RELOAD = "systemctl reload drd"


class LoadedText(NamedTuple):
    """The file of one's own playbook, and the digest of its text, as the daemon loaded it."""

    file: str
    text: str


class Loaded(NamedTuple):
    """What the daemon loaded `at` this time: the installation's own playbooks by name, and why it
    refused others. `seen` are all files of the directory, with the digests of their texts at that
    time."""

    at: datetime
    known: Mapping[str, LoadedText]
    refused: Mapping[str, str]
    seen: Mapping[str, str]


def note_loaded(
    queue: Queue,
    own: Iterable[Playbook],
    refused: Mapping[str, str],
    seen: Mapping[str, str],
    now: datetime,
) -> None:
    """Record what the daemon has loaded. If it refused a file, the text that it loaded before stays
    in force."""
    before = loaded(queue)
    known = {one.name: LoadedText(one.file, one.text) for one in own}
    for name in refused:
        if before is not None and name in before.known:
            known.setdefault(name, before.known[name])
    texts = {name: list(text) for name, text in sorted(known.items())}
    queue.note(_KEY, {"known": texts, "refused": dict(refused), "seen": dict(seen)}, now)


def loaded(queue: Queue) -> Loaded | None:
    """Return what the daemon has loaded; None if no daemon has loaded playbooks here."""
    noted = queue.noted(_KEY)
    value = noted[1] if noted is not None else None
    if noted is None or not isinstance(value, dict):
        return None
    texts = value.get("known")
    known = {
        str(name): LoadedText(str(text[0]), str(text[1]))
        for name, text in (texts.items() if isinstance(texts, dict) else ())
        if isinstance(text, list) and len(text) == len(LoadedText._fields)
    }
    return Loaded(noted[0], known, _texts(value.get("refused")), _texts(value.get("seen")))


def _texts(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def not_in_force(catalogue: Catalogue, playbook: Playbook, now: datetime) -> str | None:
    """Say why the text of a playbook is not in force; None if it is. Without a running daemon, each
    text is in force."""
    there = loaded(catalogue.queue)
    if there is None or not daemon_lives(catalogue, now):
        return None
    known, at = there.known.get(playbook.name), format_time(there.at, seconds=True)
    if not playbook.own:
        gone = (
            "the daemon has loaded your own playbook {} from {}, but this file does not exist any "
            "more"
        )
        return gone.format(playbook.name, escaped(known.file)) if known is not None else None
    if known is not None and known.text == playbook.text:
        return None
    directory = os.path.dirname(playbook.file)  # noqa: PTH120 (keeps it a text)
    why = there.refused.get(playbook.name) or there.refused.get(directory)
    if why is not None and there.seen.get(playbook.file, playbook.text) == playbook.text:
        return f"the daemon could not load {playbook.file} at {at}: {escaped(why)}"
    edited = "edited" if known is not None else "added"
    return f"{playbook.file} was {edited} after the daemon loaded the playbooks at {at}"


def require_in_force(catalogue: Catalogue, playbook: Playbook, now: datetime) -> None:
    """Raise UsageError for a text that the running daemon has not loaded."""
    why = not_in_force(catalogue, playbook, now)
    if why is not None:
        raise UsageError(
            f"the present text of playbook {playbook.name} is not in force: {why}",
            hint=f"check the file: `drd playbook check`. Load it: `{RELOAD}`. Then run this "
            "command again.",
        )


def in_force_findings(
    catalogue: Catalogue, known: Iterable[Playbook], now: datetime
) -> Iterator[Finding]:
    """Return a finding for each playbook whose file the running daemon has not loaded."""
    for playbook in known:
        if (why := not_in_force(catalogue, playbook, now)) is not None:
            yield Finding("playbook-file", "warning", playbook.name, why, RELOAD)

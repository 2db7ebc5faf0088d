"""Entries of the records that are restored from the repositories after a loss, and how drd reports
them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from drd.bootstrap import App
from drd.catalogue.replica import entries_of
from drd.cli import output
from drd.cli.session import loaded_plans
from drd.errors import SecretUnavailable, UsageError
from drd.flows.records import anchors, continuing
from drd.flows.records.coming_back import CameBack, Known, bring_back
from drd.flows.records.key import RecordKey
from drd.kit.lost_records import stored_copy
from drd.model.kit import KitRecords
from drd.model.plan import Plan
from drd.model.records import Entry, moment
from drd.model.text import counted, escaped, some
from drd.model.units import format_time
from drd.signing import PublicKey

_SHOWN = 10


def loaded(app: App) -> Iterator[Plan]:
    """The plans of this host whose files can be read."""
    if not app.plans.names():
        return
    for name, plan in loaded_plans(app, None, refreshing=False):
        if isinstance(plan, Plan):
            yield plan
        else:
            output.warn(f"plan {name} cannot be read, so its repositories are left out: {plan}")


def brought_back(
    app: App,
    plans: Iterable[Plan],
    kit: KitRecords | None = None,
    copied: Iterable[Entry] = (),
) -> CameBack:
    """Add to the catalogue the records from anchors in the repositories of these plans, as far as a
    key that this host knows confirms them; before these, add the records of `copied`."""
    own = own_key(app)
    keys = frozenset({own.id} if own is not None else ())
    return bring_back(
        app.catalogue, anchors.places(plans), app.open_repository, Known(keys, kit), copied
    )


def own_key(app: App) -> PublicKey | None:
    """Return the public key of this host; None if its key cannot be read."""
    with suppress(SecretUnavailable):
        return RecordKey(app.settings.records_key).read().public
    return None


def rebuilt(app: App, aside: Path | None) -> CameBack:
    """Bring back what a lost catalogue had: from the damaged file that was set aside, from the
    newest copy of it in the repositories, and from the anchors."""
    plans, is_new = list(loaded(app)), app.catalogue.records.head() is None
    now, work = app.clock.now(), app.settings.work_dir
    with stored_copy(plans if is_new else [], app.open_repository, work, now) as copy:
        matching = (entries_of(path) for path in (aside, copy) if path is not None)
        return brought_back(app, plans, copied=chain.from_iterable(matching))


def recorded(app: App, came: CameBack, reason: str) -> Entry | None:
    """Record that entries were restored, if the key can sign the record; otherwise say how to do
    it."""
    if not came.count or came.newest is None:
        return None
    with suppress(UsageError):
        return continuing.came_back(app.catalogue, came.newest, reason=reason, at=app.clock.now())
    output.warn(
        "drd restored the records, but could not add the entry that states this, because drd "
        "cannot sign. Put the key back, or make a new key: drd records rotate --lost. Then: drd "
        "records continue --reason TEXT"
    )
    return None


def tell(app: App, came: CameBack, *, quiet: bool) -> None:
    """Say which records were restored, and which were not."""
    for why in came.refused[:_SHOWN]:
        output.warn(f"records: {escaped(why)}")
    if len(came.refused) > _SHOWN:
        output.warn(f"records: {counted(len(came.refused) - _SHOWN, 'more refusal')}")
    if came.on_trust:
        output.warn(
            "nothing on this host proves which key signs the records. Compare the key id "
            f"{came.on_trust} with the id that you noted elsewhere, for example on paper"
        )
    if came.count and not quiet:
        at = format_time(came.at, seconds=True) if came.at is not None else "unknown"
        output.say(
            f"records: {counted(came.count, 'entry', 'entries')} restored from the repositories, "
            f"up to entry {came.last} of {at}"
        )
        numbers = app.catalogue.incidents.open_numbers()
        if numbers:
            output.say(
                f"open incidents: {some(list(map(str, numbers)), 10)}. To see one: drd incident "
                f"show {numbers[-1]}"
            )
    gap = _gap(app, came)
    if gap:
        output.warn(gap)


RECORD_IT = (
    "record what is lost: drd records continue --reason TEXT. If the key of the records is lost, "
    "first run: drd records rotate --lost"
)
"""What ends the alert about entries that only the lost host had."""


def _gap(app: App, came: CameBack) -> str:
    """Say which entries an anchor knows of, if they did not come back."""
    newest, head = came.newest, app.catalogue.records.head()
    seq = head.seq if head is not None else 0
    if newest is None or newest.checkpoint.seq <= seq:
        return ""
    point = newest.checkpoint
    return (
        f"the records are not complete: {newest.place} has an anchor of entry {point.seq} of "
        f"{format_time(point.at, seconds=True)}, and the entries after {seq} were not restored. "
        f"Once the service is installed, {RECORD_IT}"
    )


def document(came: CameBack) -> dict[str, Any]:
    """Return the restored records as a document, for `--json`."""
    return {
        "entries": came.count,
        "first": came.first or None,
        "last": came.last or None,
        "at": moment(came.at) if came.at is not None else None,
        "refused": list(came.refused),
        "unreached": [{"place": p, "why": w} for p, w in came.unreached.items()],
        "unconfirmed_key": came.on_trust or None,
    }

"""Goes on with the chain of records of an installation that came back from a copy, or whose chain
was lost: by a signed record that names the last anchor found, and the gap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.errors import UsageError
from drd.flows.records.anchors import Open, Place, compare
from drd.model.checkpoint import Anchor
from drd.model.record_drafts import of_continuation
from drd.model.records import Entry
from drd.ports import Catalogue
from drd.process import actor_here


def go_on(
    catalogue: Catalogue,
    places: Sequence[Place],
    open_repository: Open,
    *,
    reason: str,
    at: datetime,
) -> list[Entry]:
    """Record each chain of which an anchor knows entries that this one does not have. Raises
    UsageError if there is none, or if the records themselves were changed."""
    report, vouched = compare(catalogue, places, open_repository)
    if report.faults:
        raise UsageError(
            f"the records themselves were changed, at entry {report.faults[0].seq}: a restored "
            "copy does not explain this",
            hint="to see what was changed: drd records verify",
        )
    if not vouched.contradicting:
        raise UsageError(
            "every anchor that drd could compare agrees with the records: there is no gap",
            hint="to see the anchors, and which repositories cannot be reached: drd records verify",
        )
    newest = vouched.newest
    common = newest.checkpoint.seq if newest is not None else 0
    entries = []
    for anchor in _last_of_each_chain(vouched.contradicting):
        head = catalogue.records.head()
        same = anchor.checkpoint.chain == report.chain
        draft = of_continuation(
            {"place": anchor.place, **anchor.checkpoint.to_json()},
            after=head.seq if head is not None else 0,
            common=common if same else 0,
            reason=reason,
            at=at,
            actor=actor_here(),
        )
        beyond = anchor.checkpoint.seq if same else 0
        entries.append(catalogue.records.go_on(draft, beyond=beyond))
    return entries


def _last_of_each_chain(anchors: Sequence[Anchor]) -> list[Anchor]:
    last: dict[str, Anchor] = {}
    for anchor in sorted(anchors, key=lambda a: a.checkpoint.seq):
        last[anchor.checkpoint.chain] = anchor
    return list(last.values())

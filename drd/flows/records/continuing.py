"""Continue the chain of records of an installation that was restored from a copy, or whose chain
was lost: by a signed record that names the last anchor found, and the gap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drd.errors import UsageError
from drd.flows.records.anchors import Open, Place, compare, continuations, installation
from drd.model.chain import CAME_SEALED, ChainReport
from drd.model.checkpoint import Anchor
from drd.model.record_drafts import of_continuation
from drd.model.records import Entry
from drd.ports import Catalogue
from drd.process import actor_here

_MOST_LOST = 10_000_000


def go_on(
    catalogue: Catalogue,
    places: Sequence[Place],
    open_repository: Open,
    *,
    reason: str,
    at: datetime,
    returned: Anchor | None = None,
    own: str | None = None,
) -> list[Entry]:
    """Record a continuation for each chain of which an anchor knows entries that this chain lacks;
    or that the entries were restored up to the anchor `returned`, or from another host. Raises
    UsageError if there is nothing to record, or if the records themselves were changed. `own` is
    the public key of this host."""
    report, vouched = compare(catalogue, places, open_repository, own=own)
    newest = vouched.newest
    sealed = [f.seq for f in report.faults if f.code == CAME_SEALED and _knows(newest, f.seq)]
    changed = [f for f in report.faults if f.code != CAME_SEALED or f.seq not in sealed]
    if changed:
        raise UsageError(
            f"somebody changed the records at entry {changed[0].seq}. This is not the "
            "effect of a restored copy",
            hint="to see what was changed: drd records verify",
        )
    from_elsewhere = newest if sealed or came_from(catalogue, newest) else None
    if not vouched.contradicting and (last := returned or from_elsewhere) is not None:
        return [came_back(catalogue, last, reason=reason, at=at)]
    if not vouched.contradicting:
        raise UsageError(
            "the records do not have a gap: they agree with every anchor that drd could compare",
            hint="to see the anchors, and which repositories drd cannot reach: drd records verify",
        )
    common = newest.checkpoint.seq if newest is not None else 0
    against = [a.checkpoint for a in vouched.contradicting if a.checkpoint.chain == report.chain]
    common = min([common, *(point.seq - 1 for point in against)])
    entries = []
    for anchor in _last_of_each_chain(vouched.contradicting):
        _require_possible(anchor, report)
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


def _knows(newest: Anchor | None, seq: int) -> bool:
    """Return whether the anchor covers this entry: an anchor can have brought it back encrypted,
    and a host that could not sign then has no record of it yet."""
    return newest is not None and seq <= newest.checkpoint.seq


def _require_possible(anchor: Anchor, report: ChainReport) -> None:
    """Raise UsageError for an anchor so far ahead that it must be false: its number would be the
    next one of this chain."""
    last = report.last.seq if report.last is not None else 0
    seq = anchor.checkpoint.seq
    if anchor.checkpoint.chain == report.chain and seq > last + _MOST_LOST:
        raise UsageError(
            f"{anchor.place} has an anchor of entry {seq}, but the records end with entry "
            f"{last}: a gap of more than {_MOST_LOST:,} entries is not plausible, so this "
            "anchor is false",
            hint="remove this anchor from the repository with restic: restic forget "
            f"{anchor.snapshot[:8]}",
        )


def came_back(catalogue: Catalogue, newest: Anchor, *, reason: str, at: datetime) -> Entry:
    """Record that entries came back from the repositories, up to the last anchor that was found.
    Raises UsageError if the record cannot be signed."""
    head = catalogue.records.head()
    seq = head.seq if head is not None else 0
    point = newest.checkpoint
    draft = of_continuation(
        {"place": newest.place, **point.to_json()},
        after=seq,
        common=min(point.seq, seq),
        reason=reason,
        at=at,
        actor=actor_here(),
    )
    return catalogue.records.go_on(draft, beyond=point.seq)


def came_from(catalogue: Catalogue, newest: Anchor | None) -> bool:
    """Return whether another installation stored the newest anchor of this chain, and no record
    says yet that this installation continues the chain."""
    if newest is None or newest.checkpoint.state == installation(catalogue):
        return False
    return all(one.seq < newest.checkpoint.seq for one in continuations(catalogue))


def _last_of_each_chain(anchors: Sequence[Anchor]) -> list[Anchor]:
    last: dict[str, Anchor] = {}
    for anchor in sorted(anchors, key=lambda a: a.checkpoint.seq):
        last[anchor.checkpoint.chain] = anchor
    return list(last.values())

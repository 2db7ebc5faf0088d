"""The documents of `drd records`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from drd.api.values import Document
from drd.model.chain import ChainReport
from drd.model.checkpoint import Anchor, Vouched
from drd.model.records import Entry, moment
from drd.model.timestamps import Stamped

_NAMED = 20
"""How many faults and numbers a text names."""


def entry_document(entry: Entry) -> Document:
    """Return one entry; `body` is null if it was removed, or is `sealed`: encrypted."""
    header = entry.header
    return {
        "entry": entry.seq,
        "at": moment(header.at),
        "actor": {"kind": header.actor_kind, "name": header.actor_name, "came": header.came},
        "subject": header.subject,
        "kind": header.kind,
        "digest": header.digest,
        "previous": header.previous,
        "hash": entry.hash,
        "key": entry.key or None,
        "signature": entry.signature or None,
        "salt": entry.body.salt if entry.body is not None else None,
        "body": json.loads(entry.body.text) if entry.body is not None else None,
        "sealed": bool(entry.sealed),
    }


def anchor_document(anchor: Anchor) -> Document:
    """Return one anchor."""
    point = anchor.checkpoint
    return {
        "place": anchor.place,
        "weak": anchor.weak,
        "entry": point.seq,
        "at": moment(point.at),
        "hash": point.hash,
        "host": point.host,
        "key": point.key,
    }


def stamps_document(stamped: Stamped) -> Document:
    """Return what time stamps prove about the chain."""
    return {
        "count": stamped.count,
        "proven": [
            {"entry": stamp.seq, "at": moment(at), "authority": stamp.authority}
            for stamp, at in stamped.proven
        ],
        "wrong": list(stamped.wrong),
        "unchecked": stamped.unchecked or None,
        "failing": stamped.failing or None,
    }


def report_document(report: ChainReport, vouched: Vouched | None) -> Document:
    """Return what a check of the chain found, and what anchors say about the chain."""
    anchors = vouched if vouched is not None else Vouched()
    newest, strong = anchors.newest, anchors.newest_strong
    last = report.last
    return {
        "entries": report.entries,
        "chain": report.chain or None,
        "first_at": moment(report.first_at) if report.first_at is not None else None,
        "last": {"entry": last.seq, "at": moment(last.header.at), "hash": last.hash}
        if last is not None
        else None,
        "whole": not (report.faults or anchors.faults),
        "faults": [
            {"entry": f.seq, "code": f.code, "text": f.text}
            for f in (*report.faults, *anchors.faults)
        ],
        "vouched_by": anchor_document(newest) if newest is not None else None,
        "vouched_by_strong": anchor_document(strong) if strong is not None else None,
        "unanchored_since": _unanchored(report, newest),
        "anchors": [anchor_document(a) for a in anchors.confirmed],
        "unreached": [{"place": p, "why": w} for p, w in anchors.unreached.items()],
        "strangers": [anchor_document(a) for a in anchors.strangers],
        "keys": [
            {"key": k.id, "public": k.public, "since": k.since, "attested": k.attested}
            for k in report.keys
        ],
        "continuations": [
            {
                "entry": c.entry,
                "at": moment(c.at),
                "after": c.after,
                "common": c.common,
                "chain": c.chain,
                "last_known": c.seq,
                "hash": c.hash,
            }
            for c in report.continuations
        ],
        "unsigned": list(report.unsigned),
        "redacted": list(report.redacted),
        "withheld": list(report.withheld),
        "sealed": list(report.sealed),
    }


def _unanchored(report: ChainReport, newest: Anchor | None) -> int | None:
    """The first entry that no anchor vouches for; None if there is none."""
    last = report.last.seq if report.last is not None else 0
    vouched_for = newest.checkpoint.seq if newest is not None else 0
    return vouched_for + 1 if vouched_for < last else None


def numbers(seqs: Sequence[int]) -> str:
    """Return entries in words, as ranges: `3, 7 to 9 and 4 more`."""
    ranges: list[tuple[int, int]] = []
    for seq in seqs:
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    shown = [str(a) if a == b else f"{a} to {b}" for a, b in ranges[:_NAMED]]
    more = len(ranges) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")

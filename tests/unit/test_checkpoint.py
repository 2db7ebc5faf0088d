"""What anchors show of a chain of records, and which of them are believed."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drd.daemon.anchoring import (
    AGAIN,
    AT_LEAST,
    EVERY,
    LOOK_SOON_S,
    SOON,
    SOON_AGAIN,
    is_due,
    is_soon,
    is_waiting,
)
from drd.flows.records.anchors import soon
from drd.model.chain import ChainCheck
from drd.model.checkpoint import (
    Anchor,
    Carried,
    Checkpoint,
    Vouched,
    carrying,
    from_json,
    judge,
    read_tag,
    to_take_back,
    with_redacted,
)
from drd.model.plan import Plan
from drd.model.record_drafts import of_continuation
from drd.signing import Signer, accepts
from tests.config_support import GOOD, load
from tests.records_support import ANNA, BEGUN, Chain, judged, key, signed

HERE, ELSEWHERE = "a" * 16, "b" * 16


@pytest.fixture(scope="module")
def chain() -> Chain:
    made = Chain(key())
    for number in range(4):
        made.note(number=number)
    return made


def point(chain: Chain, seq: int, signer: Signer | None = None, **other: Any) -> Checkpoint:
    by = signer or chain.signer
    assert by is not None
    made = Checkpoint(
        chain=chain.entries[0].hash,
        seq=seq,
        hash=chain.entries[min(seq, len(chain.entries)) - 1].hash,
        at=BEGUN + timedelta(hours=seq),
        host="db1",
        state=HERE,
        public=by.public.text,
        key=by.public.id,
    )
    made = replace(made, **other)
    return replace(made, signature=by.sign(made.message()))


def compared(
    chain: Chain,
    *points: Checkpoint,
    entries: int | None = None,
    own: str | None = None,
    trusted: bool = False,
    rotated: Mapping[str, int] | None = None,
) -> Vouched:
    """What anchors prove; each of their faults has the anchor that contradicts the chain."""
    anchors = [Anchor(p, "primary", f"{n:064x}", trusted=trusted) for n, p in enumerate(points)]
    checking = ChainCheck(accepts).keeping(p.seq for p in points)
    for entry in chain.entries[:entries]:
        checking.add(entry)
    vouched = judge(
        checking.done(), checking.hashes, anchors, HERE, accepts, own=own, rotated=rotated
    )
    contradicting = [anchor.checkpoint.seq for anchor in vouched.contradicting]
    assert contradicting == [fault.seq for fault in vouched.faults]
    return vouched


def codes(vouched: Vouched) -> list[tuple[int, str]]:
    return [(fault.seq, fault.code) for fault in vouched.faults]


@pytest.mark.parametrize(
    ("seq", "read"), [(0, False), (1, True), (2**53 - 1, True), (2**53, False), (True, False)]
)
def test_the_number_of_an_entry_is_one_that_json_can_express(
    chain: Chain, seq: int, *, read: bool
) -> None:
    values = {**point(chain, 4).to_json(), "seq": seq}
    if read:
        assert from_json(values).seq == seq
        return
    with pytest.raises(ValueError, match="not the number of an entry"):
        from_json(values)


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({}, True),
        ({"after": 0}, True),
        ({"after": 4}, False),
        ({"after": -1}, False),
        ({"after": True}, False),
        ({"after": "1"}, False),
        ({"size": 1}, True),
        ({"size": 0}, False),
        ({"size": True}, False),
        ({"size": 2**53 - 1}, True),
        ({"size": 2**53}, False),
        ({"sha256": "a" * 63}, False),
        ({"sha256": None}, False),
    ],
)
def test_the_entries_of_an_anchor_are_read_strictly(
    chain: Chain, changes: dict[str, Any], *, read: bool
) -> None:
    made = replace(point(chain, 4), carried=Carried(1, 10, "a" * 64))
    values = made.to_json()
    assert from_json(values) == made
    values["carried"] = {"after": 1, "size": 10, "sha256": "a" * 64, **changes}
    if read:
        assert from_json(values).carried == Carried(**values["carried"])
        return
    with pytest.raises(ValueError, match="not"):
        from_json(values)


def test_an_anchor_vouches_up_to_its_entry(chain: Chain) -> None:
    vouched = compared(chain, point(chain, 2), point(chain, 4))
    assert vouched.faults == vouched.strangers == []
    assert vouched.newest is not None
    assert vouched.newest.checkpoint.seq == 4


def test_a_chain_that_was_cut_off_is_found(chain: Chain) -> None:
    vouched = compared(chain, point(chain, 2), point(chain, 5), entries=4)
    assert codes(vouched) == [(5, "truncated")]
    assert vouched.newest is not None
    assert vouched.newest.checkpoint.seq == 2


def test_entries_younger_than_every_anchor_may_be_cut_off_unnoticed(chain: Chain) -> None:
    """This is said by `verify`, and no test may claim more."""
    assert codes(compared(chain, point(chain, 4), entries=4)) == []


def test_a_chain_that_was_rewritten_with_its_own_key_is_found(chain: Chain) -> None:
    other = Chain()
    other.entries, other.signer = chain.entries[:2], chain.signer
    for number in range(9):
        other.note(forged=number)
    assert codes(compared(other, point(chain, 2), point(chain, 4))) == [(4, "rewritten")]


def test_a_chain_that_was_rewritten_with_a_new_key_is_found(chain: Chain) -> None:
    other = Chain(key())
    for number in range(9):
        other.note(forged=number)
    vouched = compared(other, point(chain, 4))
    assert codes(vouched) == [(4, "replaced")]
    assert "No entry of this chain has that key" in vouched.faults[0].text
    assert vouched.newest is None


def test_an_anchor_of_a_former_key_counts() -> None:
    chain = Chain(key())
    chain.note()
    before = point(chain, 2)
    former = chain.signer
    chain.new_key(key())
    assert compared(chain, before).newest is not None
    chain.note()
    for seq, found in ((3, []), (4, []), (5, [(5, "truncated")])):
        vouched = compared(chain, before, point(chain, seq, former))
        assert codes(vouched) == found
        assert all("had been replaced before" in fault.text for fault in vouched.faults)
        assert vouched.newest is not None
        assert vouched.newest.checkpoint.seq == 2


def test_an_anchor_that_a_person_kept_needs_no_signature_and_no_key_in_force() -> None:
    chain = Chain(key())
    chain.note()
    former = chain.signer
    chain.new_key(key())
    chain.note()
    unsigned = replace(point(chain, 4), signature="")
    assert compared(chain, unsigned).newest is None
    assert compared(chain, unsigned, trusted=True).newest is not None
    assert codes(compared(chain, replace(unsigned, hash="0" * 64), trusted=True)) == [
        (4, "rewritten")
    ]
    assert compared(chain, point(chain, 4, former)).newest is None
    assert compared(chain, point(chain, 4, former), trusted=True).newest is not None
    cut = compared(chain, point(chain, 4, former), entries=3, trusted=True)
    assert codes(cut) == [(4, "truncated")]
    assert "had been replaced before" not in cut.faults[0].text


def test_a_key_that_replaced_a_lost_one_confirms_nothing_after_its_successor() -> None:
    chain = Chain(key())
    chain.new_key(key(), lost=True)
    second = chain.signer
    chain.note()
    chain.new_key(key())
    chain.note()
    assert compared(chain, point(chain, 3, second)).newest is not None
    after = compared(chain, point(chain, 5, second))
    assert (after.newest, len(after.strangers)) == (None, 1)


def test_an_entry_beside_the_anchor_that_names_its_key_shows_that_the_chain_was_cut(
    chain: Chain,
) -> None:
    other = key()
    anchor = point(chain, 5, other)
    vouched = compared(chain, anchor, rotated={other.public.text: 3})
    assert codes(vouched) == [(5, "truncated")]
    assert "Beside the anchor is entry 3" in vouched.faults[0].text
    assert codes(compared(chain, anchor, rotated={"x": 3})) == [(5, "replaced")]


@pytest.mark.parametrize("state", [HERE, ELSEWHERE])
def test_a_chain_that_was_cut_before_its_key_was_replaced_is_found(state: str) -> None:
    """Also on another machine, to which only a copy of the catalogue came."""
    chain = Chain(key())
    chain.note()
    chain.new_key(key())
    chain.note()
    anchor = point(chain, 4, state=state)
    assert compared(chain, anchor).faults == []
    vouched = compared(chain, anchor, entries=2)
    assert (codes(vouched), vouched.contradicting[0].checkpoint) == ([(4, "replaced")], anchor)
    assert "the chain was cut off before its key was replaced" in vouched.faults[0].text


def test_another_installation_in_the_same_repository_is_not_a_fault(chain: Chain) -> None:
    other = Chain(key())
    other.note()
    vouched = compared(chain, point(chain, 4), point(other, 2, state=ELSEWHERE))
    assert vouched.faults == []
    assert [a.checkpoint.seq for a in vouched.strangers] == [2]


@pytest.mark.parametrize(
    "forged",
    [
        {"signature": "AAAA"},
        {"hash": "0" * 64},
        {"seq": 9},
        {"at": BEGUN},
        {"host": "db2"},
        {"state": ELSEWHERE},
    ],
)
def test_an_anchor_that_was_changed_is_not_believed(
    chain: Chain, forged: Mapping[str, Any]
) -> None:
    vouched = compared(chain, replace(point(chain, 4), **forged))
    assert vouched.faults == vouched.confirmed == []
    assert len(vouched.strangers) == 1


def test_a_chain_that_keeps_only_its_beginning_without_a_signature_is_found() -> None:
    """Whoever has no key begins after the entries of before the first key."""
    chain = Chain()
    chain.note()
    chain.new_key(key())
    chain.note()
    other = Chain()
    other.entries = chain.entries[:1]
    other.new_key(key())
    for number in range(9):
        other.note(forged=number)
    assert other.entries[0].hash == chain.entries[0].hash
    assert codes(compared(other, point(chain, 3))) == [(3, "replaced")]


def test_another_chain_by_the_same_key_is_found_wherever_its_catalogue_was(chain: Chain) -> None:
    """A file of records that somebody emptied begins again with the key of the host."""
    assert chain.signer is not None
    again = Chain()
    again.note()
    again.new_key(chain.signer)
    moved = point(chain, 4, state="0123456789abcdef")
    vouched = compared(again, moved)
    assert codes(vouched) == [(4, "replaced")]
    assert "by a key of this chain" in vouched.faults[0].text
    assert codes(compared(again, point(chain, 4, key(), state=moved.state))) == []


def test_a_host_whose_records_are_all_gone_knows_the_anchors_by_its_own_key(chain: Chain) -> None:
    """Not even the entry is left that names the key, and the catalogue was elsewhere."""
    assert chain.signer is not None
    moved = point(chain, 4, state="0123456789abcdef")
    own = chain.signer.public.text
    vouched = compared(Chain(), moved, own=own)
    assert codes(vouched) == [(4, "replaced")]
    assert "this host has no records" in vouched.faults[0].text
    assert codes(compared(Chain(), moved, own=key().public.text)) == []
    assert codes(compared(Chain(), replace(moved, host="db2"), own=own)) == [], "not as signed"


def test_whoever_has_only_the_password_can_raise_a_false_alarm_and_is_named(chain: Chain) -> None:
    """Nobody can tell this from the attack above."""
    vouched = compared(chain, point(chain, 99, key()), point(chain, 4))
    assert codes(vouched) == [(99, "replaced")]
    assert "somebody who knows the repository's password" in vouched.faults[0].text
    assert vouched.newest is not None


def test_a_strong_anchor_is_reported_beside_a_newer_weak_one(chain: Chain) -> None:
    vouched = compared(chain, point(chain, 2), point(chain, 4))
    vouched.confirmed[0] = replace(vouched.confirmed[0], weak=False)
    assert vouched.newest is not None
    assert vouched.newest_strong is not None
    assert (vouched.newest.checkpoint.seq, vouched.newest_strong.checkpoint.seq) == (4, 2)


# --- tags -------------------------------------------------------------------------------------


def test_a_tag_gives_the_same_checkpoint(chain: Chain) -> None:
    for host in ("d", "db", "db1", "db12"):  # base64 of each length
        made = point(chain, 3, host=host)
        tag = made.tag()
        assert read_tag(tag) == made
        assert not set(",=") & set(tag), "restic divides tags at a comma"


def tagged(data: Any) -> str:
    return "checkpoint." + urlsafe_b64encode(json.dumps(data).encode()).decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq", "4"), ("seq", True), ("seq", 0), ("seq", 2**60), ("seq", None),
        ("chain", "x" * 64), ("hash", "A" * 64), ("key", ""), ("state", "b" * 17),
        ("at", "yesterday"), ("at", 5), ("host", "\x1b[2J"), ("public", "a b"),
        ("signature", ["A"]),
    ],
)  # fmt: skip
def test_a_tag_of_another_form_is_none(chain: Chain, name: str, value: object) -> None:
    good = point(chain, 3).to_json()
    assert read_tag(tagged(good)) is not None
    assert read_tag(tagged({**good, name: value})) is None
    assert read_tag(tagged({k: v for k, v in good.items() if k != name})) is None


@pytest.mark.parametrize(
    "tag", ["", "drd-records", "checkpoint.", "checkpoint.%", "checkpoint." + "A" * 9999,
            tagged([]), tagged(None), tagged("text")],
)  # fmt: skip
def test_a_tag_that_is_no_checkpoint_is_read_as_none(tag: str) -> None:
    assert read_tag(tag) is None


# --- when -------------------------------------------------------------------------------------


def test_one_anchor_a_day_stays_and_the_newest_of_all(chain: Chain) -> None:
    def of(hours: int) -> Anchor:
        at = BEGUN.replace(hour=0) + timedelta(hours=hours)
        return Anchor(replace(point(chain, 1), seq=hours + 1, at=at), "primary", f"{hours:064x}")

    anchors = [of(hours) for hours in (1, 5, 23, 25, 47, 48, 49)]
    gone = {a.checkpoint.seq - 1 for a in to_take_back(anchors)}
    assert gone == {1, 5, 25, 48}
    assert to_take_back(anchors[-1:]) == []
    assert to_take_back([]) == []


def test_the_newest_stays_whatever_the_clock_said(chain: Chain) -> None:
    late = Anchor(replace(point(chain, 1), seq=1, at=BEGUN + timedelta(hours=2)), "primary", "1")
    newest = Anchor(replace(point(chain, 1), seq=2, at=BEGUN), "primary", "2")
    assert to_take_back([newest, late]) == [late]


def noted(**place: Any) -> tuple[Any, dict[str, Any]]:
    return BEGUN, {"places": {"/repo": {"seq": 4, "error": "", **place}}}


def test_anchors_are_due_hourly_if_there_are_new_records() -> None:
    assert is_due(None, 4, BEGUN)
    assert not is_due(noted(), 5, BEGUN + EVERY / 2)
    assert is_due(noted(), 5, BEGUN + EVERY)
    assert not is_due(noted(), 4, BEGUN + EVERY)
    assert is_due(noted(), 4, BEGUN + AT_LEAST)


def test_a_failed_checkpoint_is_tried_again_sooner() -> None:
    assert not is_due(noted(error="no answer"), 4, BEGUN + AGAIN / 2)
    assert is_due(noted(error="no answer"), 4, BEGUN + AGAIN)


def test_while_an_incident_is_open_each_entry_has_anchors_within_a_minute() -> None:
    assert is_soon(None, 4, BEGUN)
    assert not is_soon(noted(), 5, BEGUN + SOON / 2)
    assert is_soon(noted(), 5, BEGUN + SOON)
    assert not is_soon(noted(), 4, BEGUN + EVERY)
    assert not is_soon(noted(error="no answer", failed=True), 5, BEGUN + SOON_AGAIN / 2)
    assert is_soon(noted(error="a backup runs"), 5, BEGUN + SOON), "it has the entries before"
    assert is_soon(noted(error="no answer"), 4, BEGUN + SOON_AGAIN)


def test_the_first_plan_gets_the_entries_of_an_incident_that_was_open_before_it() -> None:
    no_plan_yet = (BEGUN, {"places": {}})
    assert not is_soon(no_plan_yet, 5, BEGUN + SOON_AGAIN / 2)
    assert is_soon(no_plan_yet, 5, BEGUN + SOON_AGAIN)
    longest_s = SOON.total_seconds() + LOOK_SOON_S
    assert longest_s < 45


def test_new_entries_wait_for_the_repositories_until_they_are_stored_there() -> None:
    assert not is_waiting(None, 0)
    assert is_waiting(None, 4)
    assert not is_waiting(noted(), 4)
    assert is_waiting(noted(), 5)


def test_those_get_anchors_at_once_that_this_host_cannot_delete(tmp_path: Path) -> None:
    def plan(name: str, *urls: str, protection: str | None = None) -> Plan:
        made = load(tmp_path, GOOD.replace("plan: shop", f"plan: {name}")).plan
        first = made.repositories["primary"]
        given = {u: replace(first, name=u, url=u, protection=protection) for u in urls}
        return replace(made, repositories=given)

    plans = [
        plan("a", "/a1", "/a2"),
        plan("b", "/b1", "/b2", protection="append-only"),
        plan("c", "/b1", "/c1"),
    ]
    assert [p.spec.url for p in soon(plans, {"a", "b"})] == ["/b1", "/b2", "/a1", "/c1"]
    assert [p.spec.url for p in soon(plans, {"a", "b", "c"})] == ["/b1", "/b2", "/a1"]
    assert [p.spec.url for p in soon(plans, set())] == ["/b1"]


def test_a_clock_that_was_set_back_stops_no_anchor() -> None:
    assert is_due(noted(), 5, BEGUN - timedelta(days=1))


# --- after a loss -----------------------------------------------------------------------------


def gone_on(chain: Chain, lost: Checkpoint, *, after: int, common: int) -> Chain:
    """A copy of the chain up to entry `after`, that goes on beyond what an anchor knows."""
    copy = Chain()
    copy.entries, copy.signer = chain.entries[:after], chain.signer
    draft = of_continuation(
        lost.to_json(), after=after, common=common, reason="disk lost", at=BEGUN, actor=ANNA
    )
    copy.add(draft, beyond=lost.seq)
    copy.note()
    return copy


def test_a_chain_that_goes_on_after_a_loss_names_the_gap(chain: Chain) -> None:
    lost = point(chain, 5)
    copy = gone_on(chain, lost, after=3, common=2)
    assert [e.seq for e in copy.entries] == [1, 2, 3, 6, 7]
    vouched = compared(copy, point(chain, 2), point(chain, 4), lost, point(copy, 7))
    assert vouched.faults == []
    assert [a.checkpoint.seq for a in vouched.explained] == [4, 5]
    report = judged(copy.entries)
    assert report.faults == []
    [told] = report.continuations
    assert (told.entry, told.after, told.common, told.seq) == (6, 3, 2, 5)


def test_the_original_that_lives_on_is_still_found(chain: Chain) -> None:
    copy = gone_on(chain, point(chain, 4), after=3, common=2)
    assert codes(compared(copy, point(chain, 5))) == [(5, "rewritten")]


def test_a_gap_without_a_signature_is_a_fault(chain: Chain) -> None:
    copy = gone_on(chain, point(chain, 5), after=3, common=2)
    unsigned = [*copy.entries[:3], signed(copy.entries[3], None), *copy.entries[4:]]
    assert {(f.seq, f.code) for f in judged(unsigned).faults} == {(6, "missing")}


def test_a_gap_of_another_size_is_a_fault(chain: Chain) -> None:
    copy = gone_on(chain, point(chain, 5), after=3, common=2)
    fewer = [*copy.entries[:2], *copy.entries[3:]]
    assert (6, "missing") in {(f.seq, f.code) for f in judged(fewer).faults}


def test_a_chain_that_was_lost_is_named_by_the_one_that_was_begun(chain: Chain) -> None:
    new = Chain(key())
    new.add(
        of_continuation(
            point(chain, 4).to_json(), after=1, common=0, reason="lost", at=BEGUN, actor=ANNA
        )
    )
    vouched = compared(new, point(chain, 2), point(chain, 4))
    assert (vouched.faults, len(vouched.explained)) == ([], 2)
    assert codes(compared(new, point(chain, 5))) == [(5, "replaced")]


def entries(chain: Chain, after: int | None, seq: int, hours: int = 0) -> Anchor:
    """An anchor with the entries after one, up to its own; with none of them."""
    carried = None if after is None else Carried(after, 10, "a" * 64)
    made = replace(point(chain, 4), seq=seq, carried=carried, at=BEGUN + timedelta(hours=hours))
    return Anchor(made, "primary")


@pytest.mark.parametrize(
    ("known", "chosen"),
    [
        ([], []),
        ([(None, 3)], []),
        ([(1, 3)], []),
        ([(0, 3)], [0]),
        ([(0, 3), (3, 5)], [0, 1]),
        ([(0, 3), (4, 5)], [0]),
        ([(3, 5), (0, 3), (0, 4), (2, 5)], [2, 3]),
        ([(0, 3), (0, 3), (3, 3)], [1]),
        ([(0, 5), (2, 9), (5, 9)], [0, 2]),
    ],
)
def test_the_fewest_anchors_that_carry_the_chain_furthest(
    chain: Chain, known: list[tuple[int | None, int]], chosen: list[int]
) -> None:
    anchors = [entries(chain, after, seq, n) for n, (after, seq) in enumerate(known)]
    assert carrying(anchors) == [anchors[n] for n in chosen]


@pytest.mark.parametrize(
    ("after", "seq", "entry", "record", "spoiled"),
    [
        (2, 5, 3, 6, True),
        (2, 5, 5, 6, True),
        (2, 5, 2, 6, False),
        (2, 5, 6, 7, False),
        (2, 5, 3, 5, False),
        (None, 5, 3, 6, False),
    ],
)
def test_an_anchor_carries_what_was_redacted_since(
    chain: Chain, after: int | None, seq: int, entry: int, record: int, *, spoiled: bool
) -> None:
    anchor = entries(chain, after, seq)
    assert with_redacted([anchor], {1: 2, entry: record}) == [anchor] * spoiled

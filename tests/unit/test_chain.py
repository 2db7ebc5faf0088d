"""Each edit, deletion and reordering of a chain of records is found; its healthy twin passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.flows.records.export import check_export
from drd.model import record_file
from drd.model.chain import Continuation, KnownKey, check, in_force
from drd.model.malformed import Malformed
from drd.model.record_drafts import about, of_continuation
from drd.model.record_file import lines_of, lines_of_one, read
from drd.model.records import Body, Draft, Entry, canonical
from drd.signing import accepts
from tests.records_support import ANNA, BEGUN, Chain, chained, codes, judged, key, signed


@pytest.fixture(scope="module")
def chain() -> Chain:
    made = Chain(key())
    for number in range(1, 6):
        made.note(number=number)
    made.redact(3)
    return made


def test_a_whole_chain_has_no_fault(chain: Chain) -> None:
    report = judged(chain.entries)
    assert report.faults == []
    assert (report.entries, report.redacted, report.unsigned) == (7, [3], [])
    assert report.last == chain.entries[-1]
    assert chain.signer is not None
    assert report.key == chain.signer.public.id


def test_a_record_is_about_something_of_a_plan() -> None:
    assert about("shop", "1a2b3c4d") == "shop/1a2b3c4d"
    assert about(None, "1a2b3c4d") == "run:1a2b3c4d"
    assert about(None, "1a2b3c4d", "point") == "point:1a2b3c4d"


def test_nothing_is_a_chain_without_entries() -> None:
    assert judged([]).last is None


def changed(entry: Entry, **fields: object) -> Entry:
    return replace(entry, header=replace(entry.header, **fields))  # type: ignore[arg-type]


def rehashed(entry: Entry) -> Entry:
    return replace(entry, hash=entry.header.hash)


Attack = Callable[[list[Entry]], list[Entry]]
ATTACKS: dict[str, tuple[Attack, set[tuple[int, str]]]] = {
    "a changed subject": (
        lambda e: [*e[:3], changed(e[3], subject="other"), *e[4:]],
        {(4, "changed"), (4, "signature")},
    ),
    "a changed time, with a new hash": (
        lambda e: [*e[:3], rehashed(changed(e[3], at=BEGUN)), *e[4:]],
        {(4, "signature"), (5, "unlinked")},
    ),
    "a changed body": (
        lambda e: [*e[:3], replace(e[3], body=Body("0" * 32, '{"number":9}')), *e[4:]],
        {(4, "body")},
    ),
    "a changed salt": (
        lambda e: [*e[:3], replace(e[3], body=Body("1", e[3].body.text)), *e[4:]],  # type: ignore[union-attr]
        {(4, "body")},
    ),
    "a removed body": (
        lambda e: [*e[:3], replace(e[3], body=None), *e[4:]],
        {(4, "removed_body")},
    ),
    "a removed body whose redaction is removed": (lambda e: e[:6], {(3, "removed_body")}),
    "a removed entry": (lambda e: [*e[:3], *e[4:]], {(5, "missing"), (5, "unlinked")}),
    "a removed beginning": (
        lambda e: e[1:],
        {(2, "missing"), (2, "unlinked"), *((n, "signature") for n in range(2, 8)),
         (3, "removed_body")},
    ),
    "two that changed places": (
        lambda e: [*e[:3], e[4], e[3], *e[5:]],
        {(5, "missing"), (5, "unlinked"), (4, "order"), (4, "unlinked"), (6, "missing"),
         (6, "unlinked")},
    ),
    "a repeated entry": (
        lambda e: [*e[:4], e[3], *e[4:]],
        {(4, "order"), (4, "unlinked")},
    ),
    "a removed signature": (
        lambda e: [*e[:6], signed(e[6], None)],
        {(3, "removed_body")},
    ),
    "a signature of another entry": (
        lambda e: [*e[:3], replace(e[3], signature=e[4].signature), *e[4:]],
        {(4, "signature")},
    ),
    "a signature that is no base64": (
        lambda e: [*e[:3], replace(e[3], signature="!"), *e[4:]],
        {(4, "signature")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_on_the_chain_is_found(chain: Chain, name: str) -> None:
    attack, faults = ATTACKS[name]
    assert codes(attack(list(chain.entries))) == faults


def test_a_gap_is_told_with_the_entries_that_are_missing(chain: Chain) -> None:
    def told(*left_out: int) -> list[str]:
        left = [entry for entry in chain.entries if entry.seq not in left_out]
        return [fault.text for fault in judged(left).faults if fault.code == "missing"]

    assert told(4) == ["entry 4 is missing before it"]
    assert told(4, 5) == ["entries 4 to 5 are missing before it"]
    assert told() == []


@pytest.mark.parametrize(
    "draft",
    [
        Draft("redaction", "entry:2", {"entry": "two"}, BEGUN, ANNA),
        Draft("redaction", "entry:2", {}, BEGUN, ANNA),
        None,
        Draft("evidence", "shop/1a2b3c4d", {"entry": 2}, BEGUN, ANNA),
    ],
)
def test_only_a_record_of_a_redaction_says_who_removed_a_body(draft: Draft | None) -> None:
    made = Chain(key())
    made.note()
    made.entries[1] = replace(made.entries[1], body=None)
    if draft is None:
        draft = of_continuation({"entry": 2}, after=2, common=1, reason="", at=BEGUN, actor=ANNA)
    made.add(draft)
    assert codes(made.entries) == {(2, "removed_body")}
    made.add(Draft("redaction", "entry:2", {"entry": 2}, BEGUN, ANNA))
    assert codes(made.entries) == set()


def test_a_removed_signature_is_reported(chain: Chain) -> None:
    report = judged([*chain.entries[:4], signed(chain.entries[4], None), *chain.entries[5:]])
    assert report.unsigned == [5]


def test_a_chain_that_is_numbered_and_hashed_anew_has_no_valid_signature(chain: Chain) -> None:
    shorter = [*chain.entries[:3], *chain.entries[4:]]
    by_nobody = [
        replace(e, key=old.key, signature=old.signature)
        for e, old in zip(chained(shorter, None), shorter, strict=True)
    ]
    assert {code for _, code in codes(by_nobody)} == {"signature", "removed_body"}


def test_another_key_signs_nothing(chain: Chain) -> None:
    stranger = key()
    forged = [*chain.entries[:5], *(signed(e, stranger) for e in chain.entries[5:])]
    assert codes(forged) == {(6, "signature"), (7, "signature"), (3, "removed_body")}
    assert chain.signer is not None
    told = {fault.text for fault in judged(forged).faults if fault.code == "signature"}
    expected = "its signature is not valid, or was not made by the key that was in use then "
    assert told == {f"{expected}({chain.signer.public.id})"}
    [before_any_key, *_] = judged(chain.entries[1:]).faults[2:]
    assert before_any_key.text == f"{expected}(none)"


def test_a_new_key_needs_the_signature_of_the_former() -> None:
    chain, stranger = Chain(key()), key()
    chain.note()
    chain.new_key(key())
    chain.note()
    assert codes(chain.entries) == set()
    assert len(judged(chain.entries).keys) == 2
    forged = [*chain.entries[:2], signed(chain.entries[2], stranger), *chain.entries[3:]]
    assert codes(forged) == {(3, "key"), (4, "signature")}


def test_the_former_key_signs_nothing_after_its_successor() -> None:
    former = key()
    chain = Chain(former)
    chain.new_key(key())
    entry = chain.note()
    assert codes([*chain.entries[:-1], signed(entry, former)]) == {(3, "signature")}


def test_a_lost_key_is_told_of_its_successor() -> None:
    chain = Chain(key())
    chain.new_key(key(), lost=True)
    chain.note()
    report = judged(chain.entries)
    assert report.faults == []
    assert [k.attested for k in report.keys] == [True, False]


def test_a_key_is_in_force_until_another_key_follows() -> None:
    keys = [KnownKey(name, "", since, attested=True) for name, since in (("a", 1), ("b", 5))]
    assert [in_force(keys, "a", seq) for seq in (1, 4, 5, 6)] == [True, True, False, False]
    assert in_force(keys, "b", 9)
    assert in_force(keys, "of nobody", 9)
    again = [*keys, KnownKey("a", "", 9, attested=True)]
    assert in_force(again, "a", 20)
    assert not in_force(again, "b", 20)


def test_the_newest_key_is_that_of_the_chain() -> None:
    chain = Chain(key())
    chain.new_key(key())
    assert chain.signer is not None
    assert judged(chain.entries).key == chain.signer.public.id
    assert judged(chain.entries[:0]).key == ""


def test_a_continuation_explains_the_lost_entries_of_its_chain_alone() -> None:
    lost = Continuation(6, BEGUN, 3, 2, "a" * 64, 5, "b" * 64)
    explained = [seq for seq in range(1, 9) if lost.explains("a" * 64, seq)]
    assert explained == [3, 4, 5]
    assert not lost.explains("c" * 64, 4)


def test_an_encrypted_body_needs_a_record_that_it_was_restored_so() -> None:
    chain = Chain()
    chain.note()
    chain.new_key(key())
    for number in (0, 2):
        chain.note(number=number)
    for seq in (1, 4):
        chain.entries[seq - 1] = replace(chain.entries[seq - 1], body=None, sealed="YWdl")
    assert codes(chain.entries) == {(1, "sealed"), (4, "sealed")}
    assert check(chain.entries, accepts, withheld=[4]).sealed == [1, 4]
    assert {f.seq for f in check(chain.entries, accepts, withheld=[4]).faults} == {1}
    values = {"chain": chain.entries[0].hash, "seq": 5, "hash": "0" * 64}
    chain.add(of_continuation(values, after=3, common=3, reason="lost", at=BEGUN, actor=ANNA))
    assert {f.seq for f in judged(chain.entries).faults if f.code == "sealed"} == {4}


def test_entries_before_the_first_key_are_reported_as_unsigned() -> None:
    chain = Chain()
    chain.note()
    chain.new_key(key())
    chain.note()
    report = judged(chain.entries)
    assert (report.faults, report.unsigned) == ([], [1])


# --- the file ---------------------------------------------------------------------------------


def test_a_file_gives_the_same_entries(chain: Chain) -> None:
    found = read(f"{line}\n" for line in lines_of(chain.entries))
    assert found.entries == chain.entries
    assert check_export(found).faults == []


def test_a_file_of_a_part_verifies_and_names_what_it_leaves_out(chain: Chain) -> None:
    found = read(lines_of(chain.entries, shows=frozenset({5})))
    report = check_export(found)
    assert (report.faults, report.withheld, report.redacted) == ([], [2, 4, 6], [3])


def test_a_body_that_is_hidden_is_sealed_only_where_it_is_shown(chain: Chain) -> None:
    entry = chain.entries[3]
    assert list(lines_of_one(entry, lambda _: "YWdl"))[-1] == "body - sealed YWdl"
    assert list(lines_of_one(entry, lambda _: "YWdl", shown=False))[-1] == "body - withheld"
    assert list(lines_of_one(entry, lambda _: ""))[-1] == "body - withheld"


def test_a_file_has_unsigned_encrypted_and_redacted_entries_as_they_are() -> None:
    made = Chain()
    for number in range(3):
        made.note(number=number)
    sealed = "QUJD" * 10
    made.entries[1] = replace(made.entries[1], body=None, sealed=sealed)
    made.entries[2] = replace(made.entries[2], body=None)
    lines = list(lines_of(made.entries))
    assert lines[2::3] == ["signature - -"] * 3
    assert lines[6::3] == [f"body - sealed {sealed}", "body - redacted"]
    found = read(lines)
    assert (found.entries, found.withheld) == (made.entries, {2})
    hidden = list(lines_of(made.entries, shows=frozenset({1})))
    assert hidden[6::3] == ["body - withheld", "body - redacted"]
    assert read(hidden).withheld == {2}


@pytest.mark.parametrize(
    ("key", "signature"), [("-", "QUJD"), ("x" * 16, "QUJD"), ("a" * 16, "!"), ("a" * 16, "-")]
)
def test_a_signature_of_another_form_is_refused(chain: Chain, key: str, signature: str) -> None:
    first = list(lines_of(chain.entries))[1:4]
    first[1] = f"signature {key} {signature}"
    with pytest.raises(Malformed, match="line 3 is not the signature of an entry"):
        read(["drd records 1", *first])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("drd records 1", "drd records 2"),
        ("header {", "header  {"),
        ("header {", "HEADER {"),
        ("signature ", "SIGNATURE "),
        ('"seq":4', '"seq":4.5'),
        ('"seq":4', '"seq":0'),
        ('"seq":4', '"seq":-4'),
        ('"digest":"', '"digest":"0'),
        ('"seq":4', '"seq":4.0'),
        ('"seq":4', '"seq":"4"'),
        ('"seq":4', '"seq":true'),
        ('"came":"terminal"', '"came":["terminal"]'),
        ('"subject":"shop/1a2b3c4d"', '"subject":"shop/1a2b3c4d","more":1'),
        ("body - redacted", "body - gone"),
        ("body 0", "body x"),
        ("signature ", "signatur "),
        ("drd-record-1", "drd-record-2"),
    ],
)
def test_a_file_of_another_form_is_refused(chain: Chain, old: str, new: str) -> None:
    text = "\n".join(lines_of(chain.entries))
    assert old in text
    with pytest.raises(Malformed):
        read(text.replace(old, new).split("\n"))


def test_a_body_is_read_from_all_of_its_bytes() -> None:
    for text in ('{"a":1}', "", "two\nlines"):
        body = Body("ab" * 16, text)
        assert Body.read(body.whole) == body
    for wrong in (b"", b"salt", b"salt\ntext", b"\xff\n\n"):
        with pytest.raises(ValueError):  # noqa: PT011 - whichever words
            Body.read(wrong)


def test_a_file_that_is_too_large_is_refused(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = list(lines_of(chain.entries))
    monkeypatch.setattr(record_file, "MOST_ENTRIES", len(chain.entries))
    assert len(read(lines).entries) == len(chain.entries)
    monkeypatch.setattr(record_file, "MOST_ENTRIES", len(chain.entries) - 1)
    with pytest.raises(Malformed, match="there are more than"):
        read(lines)
    longest = max(map(len, lines))
    monkeypatch.setattr(record_file, "LONGEST_LINE", longest)
    with pytest.raises(Malformed, match="there are more than"):
        read(lines)
    monkeypatch.setattr(record_file, "LONGEST_LINE", longest - 1)
    with pytest.raises(Malformed, match="is too long"):
        read(lines)


def test_a_file_that_was_cut_is_refused(chain: Chain) -> None:
    lines = list(lines_of(chain.entries))
    for length in (0, 2, 3, len(lines) - 1):
        with pytest.raises(Malformed):
            read(lines[:length])


# --- canonical JSON ---------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_every_value_can_be_recorded(value: object) -> None:
    """Also numbers that JSON does not know, and halves of characters: the end of a run must not
    fail."""
    text = canonical({"value": value})
    assert b"\n" not in text
    assert canonical({"value": value}) == text


def test_canonical_json_is_that_of_rfc_8785() -> None:
    values = {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27], "€": "\n\u000f", "a": None}
    wanted = '{"a":null,"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"€":"\\n\\u000f"}'
    assert canonical(values) == wanted.encode()

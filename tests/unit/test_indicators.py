"""What each entry of an investigation changes, values of indicators, and their form in STIX."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.indicators import IndicatorType, NotOfType, Value, pattern, value_of
from drd.model.incidents.investigation import (
    Cause,
    EvidenceItem,
    Hypothesis,
    Indicator,
    Investigation,
    Standing,
    cause_words,
    evidence_words,
    hypothesis_words,
    indicator_words,
    investigation,
)
from drd.model.incidents.investigation_words import evidence_row, indicator_row
from drd.model.incidents.stix import bundle, bundle_text, left_out
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
IP = Value(IndicatorType.IP, "203.0.113.7")


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def said(*entries: tuple[str, dict[str, Any]]) -> Investigation:
    chain = Chain()
    for number, (kind, body) in enumerate(entries):
        chain.add(draft(kind, 1, Author("anna", minute(number), ANNA), body))
    return investigation(chain.entries)


THOUGHT = Hypothesis(1, NOON, "anna", "a key")


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([(kinds.HYPOTHESIS, {"text": "a key"})], Investigation(hypotheses=(THOUGHT,))),
        (
            [
                (kinds.HYPOTHESIS, {"text": "a key"}),
                (kinds.HYPOTHESIS, {"text": "an insider"}),
                (kinds.HYPOTHESIS, {"entry": 1, "to": "supported", "evidence": [7]}),
            ],
            Investigation(
                hypotheses=(
                    replace(THOUGHT, standing=Standing.SUPPORTED, evidence=(7,)),
                    Hypothesis(2, minute(1), "anna", "an insider"),
                )
            ),
        ),
        (
            [
                (kinds.HYPOTHESIS, {"text": "a key"}),
                (kinds.HYPOTHESIS, {"entry": 1, "to": "refuted", "evidence": [7], "reason": "x"}),
                (kinds.HYPOTHESIS, {"entry": 1, "to": "open"}),
            ],
            Investigation(hypotheses=(THOUGHT,)),
        ),
        (
            [(kinds.EVIDENCE, {"text": "log"})],
            Investigation(evidence=(EvidenceItem(1, NOON, "anna", "log"),)),
        ),
        (
            [
                (kinds.EVIDENCE, {"text": "log", "where": "/a", "sha256": "ab", "bytes": 0,
                                  "taken_at": NOON - HOUR, "run": "1f"}),
                (kinds.EVIDENCE, {"text": "disk"}),
            ],
            Investigation(
                evidence=(
                    EvidenceItem(1, NOON, "anna", "log", "/a", "ab", 0, NOON - HOUR, "1f"),
                    EvidenceItem(2, minute(1), "anna", "disk"),
                )
            ),
        ),
        (
            [(kinds.CAUSE, {"text": "a key"})],
            Investigation(cause=Cause(1, NOON, "anna", "a key", ())),
        ),
        (
            [
                (kinds.CAUSE, {"text": "a key", "evidence": [2], "hypotheses": [3], "reason": "x"}),
                (kinds.CORRECT, {"entry": 1, "text": "two keys"}),
            ],
            Investigation(
                cause=Cause(1, NOON, "anna", "two keys", (2,), (3,), "x"), corrected={1: "two keys"}
            ),
        ),
        (
            [
                (kinds.HYPOTHESIS, {"text": "a key"}),
                (kinds.EVIDENCE, {"text": "log"}),
                (kinds.CORRECT, {"entry": 1, "text": "keys"}),
                (kinds.CORRECT, {"entry": 2, "text": "logs"}),
            ],
            Investigation(
                hypotheses=(replace(THOUGHT, text="keys"),),
                evidence=(EvidenceItem(2, minute(1), "anna", "logs"),),
                corrected={1: "keys", 2: "logs"},
            ),
        ),
        ([(kinds.LOG, {"text": "x"}), (kinds.EVIDENCE, {}), (kinds.CAUSE, {"entry": 1})],
         Investigation()),
    ],
)  # fmt: skip
def test_hypotheses_indicators_and_questions_are_read_from_the_entries(
    entries: list[tuple[str, dict[str, Any]]], wanted: Investigation
) -> None:
    found = said(*entries)
    assert found == wanted
    assert bool(found) is (found != Investigation())


def indicators(*bodies: dict[str, Any]) -> tuple[Indicator, ...]:
    return said(*((kinds.INDICATOR, body) for body in bodies)).indicators


def seen(**more: Any) -> dict[str, Any]:
    return {"type": "ip", "value": IP.text, **more}


def test_an_indicator_that_is_seen_again_keeps_what_is_known() -> None:
    [plain] = indicators(seen())
    assert plain == Indicator(1, plain.hash, NOON, NOON, "anna", IP)
    first = seen(seen=NOON - HOUR, expires=NOON + HOUR, text="scan")
    for again, wanted in (
        ({}, (NOON - HOUR, NOON + HOUR, "scan")),
        ({"seen": NOON}, (NOON - HOUR, NOON + HOUR, "scan")),
        ({"seen": NOON - 2 * HOUR}, (NOON - 2 * HOUR, NOON + HOUR, "scan")),
        ({"expires": NOON, "text": "probe"}, (NOON - HOUR, NOON, "probe")),
    ):
        [found] = indicators(first, seen(**again))
        assert (found.seen, found.expires, found.text) == wanted
        assert (found.at, found.changed_at, found.entry) == (NOON, minute(1), 1)
    [late] = indicators(seen(), seen(seen=NOON))
    assert late.seen == NOON
    two = indicators(seen(), {"type": "file", "value": "x"}, seen(text="again"))
    assert [(i.value.text, i.text) for i in two] == [(IP.text, "again"), ("x", "")]


def test_a_withdrawn_indicator_means_nothing_and_may_come_again() -> None:
    first, other, again = indicators(
        seen(), {"type": "file", "value": "x"}, {"entry": 1, "reason": "ours"}, seen()
    )
    assert (first.withdrawn, first.changed_at) == (True, minute(2))
    assert (other.withdrawn, again.withdrawn) == (False, False)
    found = Investigation(indicators=(first, other, again))
    assert found.indicator(IP) == again
    assert found.indicator(Value(IndicatorType.FILE, "y")) is None


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"withdrawn": True}, False),
        ({"expires": NOON}, False),
        ({"expires": NOON + timedelta(seconds=1)}, True),
        ({"expires": NOON + HOUR, "withdrawn": True}, False),
    ],
)
def test_until_when_an_indicator_means_something(changes: dict[str, Any], *, valid: bool) -> None:
    made = Indicator(1, "h", NOON, NOON, "anna", IP)
    assert replace(made, **changes).is_valid(NOON) is valid


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (None, "HXXP://evil[.]example", "url http://evil.example"),
        (None, "ftp[://]evil[:]21/x", "url ftp://evil:21/x"),
        (None, "anna[@]evil[.]example", "email anna@evil.example"),
        (None, "a-b.example", "domain a-b.example"),
        (None, "-a.example", None),
        (None, "a-.example", None),
        (None, "evil.1", None),
        (None, "localhost", None),
        (None, "a@b@evil.example", None),
        (None, "a@evil", None),
        (None, "http:// x", None),
        (None, "f" * 63, None),
        (None, "g" * 64, None),
        (None, "203.0.113.7/33", None),
        ("network", "2001:db8::7/32", "network 2001:db8::/32"),
        ("certificate", "A" * 64, "certificate " + "a" * 64),
        ("file", "hxxp[.]txt", "file hxxp[.]txt"),
        ("domain", "Evil[.]Example", "domain evil.example"),
    ],
)
def test_a_typed_indicator_is_recognised_and_normalised_or_refused(
    type_: str | None, text: str, value: str | None
) -> None:
    found = value_of(text, IndicatorType(type_) if type_ else None)
    assert (f"{found.type} {found.text}" if found else None) == value


@pytest.mark.parametrize(
    ("type_", "text", "would_be"),
    [
        ("ip", "203.0.113.0/24", "an address such as"),
        ("network", "203.0.113.7", "a network such as"),
        ("domain", "evil", "a name such as"),
        ("url", "evil.example", "a URL such as"),
        ("email", "evil.example", "an address such as anna"),
        ("sha256", "a" * 40, "64 hexadecimal digits"),
        ("sha1", "a" * 64, "40 hexadecimal digits"),
        ("md5", "a" * 33, "32 hexadecimal digits"),
    ],
)
def test_a_value_of_another_type(type_: str, text: str, would_be: str) -> None:
    with pytest.raises(NotOfType, match=f"^{would_be}"):
        value_of(text, IndicatorType(type_))


@pytest.mark.parametrize(
    ("type_", "text", "matches"),
    [
        ("ip", "203.0.113.7", "[ipv4-addr:value = '203.0.113.7']"),
        ("ip", "2001:db8::7", "[ipv6-addr:value = '2001:db8::7']"),
        ("network", "203.0.113.0/24", "[ipv4-addr:value ISSUBSET '203.0.113.0/24']"),
        ("network", "2001:db8::/32", "[ipv6-addr:value ISSUBSET '2001:db8::/32']"),
        ("domain", "evil.example", "[domain-name:value = 'evil.example']"),
        ("file", "it's \\", "[file:name = 'it\\'s \\\\']"),
        ("other", "x", None),
    ],
)
def test_the_pattern_of_a_value(type_: str, text: str, matches: str | None) -> None:
    assert pattern(Value(IndicatorType(type_), text)) == matches


# --- STIX -------------------------------------------------------------------------------------

MADE = Indicator(1, "h", NOON, NOON, "anna", IP)


@pytest.mark.parametrize(
    ("changes", "has"),
    [
        ({}, {"created": "2026-11-28T12:00:00.000Z", "modified": "2026-11-28T12:00:00.000Z",
              "valid_from": "2026-11-28T12:00:00.000Z", "name": "ip 203.0.113.7",
              "valid_until": None, "description": None, "revoked": None}),
        ({"changed_at": NOON - HOUR}, {"modified": "2026-11-28T12:00:00.000Z"}),
        ({"changed_at": NOON + HOUR}, {"modified": "2026-11-28T13:00:00.000Z"}),
        ({"at": NOON + timedelta(microseconds=7999)}, {"created": "2026-11-28T12:00:00.007Z"}),
        ({"seen": NOON - HOUR}, {"valid_from": "2026-11-28T11:00:00.000Z"}),
        ({"expires": NOON + HOUR}, {"valid_until": "2026-11-28T13:00:00.000Z"}),
        ({"expires": NOON - HOUR}, {"valid_until": "2026-11-28T12:00:00.001Z"}),
        ({"text": "scan"}, {"description": "scan"}),
        ({"withdrawn": True}, {"revoked": True}),
    ],
)  # fmt: skip
def test_an_indicator_is_exported_to_stix_with_its_times_and_text(
    changes: dict[str, Any], has: dict[str, Any]
) -> None:
    [written] = bundle([replace(MADE, **changes)])["objects"]
    assert {key: written.get(key) for key in has} == has


def test_a_file_of_stix_is_the_bundle_in_lines_with_random_ids_of_version_4() -> None:
    text = bundle_text([MADE])
    assert json.loads(text) == bundle([MADE])
    assert text.startswith('{\n  "')
    assert text.endswith("}\n")
    for one in (json.loads(text), *json.loads(text)["objects"]):
        assert UUID(one["id"].partition("--")[2]).version == 4


def test_a_bundle_has_another_id_once_an_indicator_changed() -> None:
    def id_of(*made: Indicator) -> str:
        return str(bundle(made)["id"])

    assert id_of(MADE) == id_of(replace(MADE, text="another text"))
    assert len({id_of(), id_of(MADE), id_of(replace(MADE, changed_at=NOON + HOUR)),
                id_of(replace(MADE, hash="g"))}) == 4  # fmt: skip
    odd = replace(MADE, value=Value(IndicatorType.OTHER, "x"))
    assert left_out([MADE, odd]) == [odd]
    assert "objects" not in bundle([odd])


# --- rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "until"),
    [
        ({"withdrawn": "ours"}, "withdrawn"),
        ({"expires": NOON - HOUR}, "2026-11-28 11:00 UTC (expired)"),
        ({"expires": NOON + HOUR}, "2026-11-28 13:00 UTC"),
        ({"expires": None}, "-"),
    ],
)
def test_the_row_of_an_indicator_shows_until_when_it_is_valid(
    changes: dict[str, Any], until: str
) -> None:
    row = indicator_row(replace(MADE, **changes), NOON, UTC)
    assert (row[0], row[1], row[4]) == (str(MADE.entry), str(MADE.value.type), until)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "log of the gateway"),
        ({"where": "/srv/x"}, "log of the gateway; at /srv/x"),
        ({"where": "/srv/x", "size": 0}, "log of the gateway; at /srv/x (0 B)"),
        ({"run": "4f2a1c3e"}, "log of the gateway; run 4f2a1c3e"),
        ({"sha256": "ab"}, "log of the gateway; SHA-256 ab"),
    ],
)
def test_the_row_of_evidence_has_what_is_known_of_it(changes: dict[str, Any], text: str) -> None:
    item = EvidenceItem(7, NOON, "anna", "log of the gateway", **changes)
    assert evidence_row(item, UTC) == ("7", "2026-11-28 12:00 UTC", text)
    taken = replace(item, taken_at=NOON - HOUR)
    assert evidence_row(taken, UTC)[1] == "2026-11-28 11:00 UTC"


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "body", "text"),
    [
        (hypothesis_words, {"text": "a key"}, "hypothesis: a key"),
        (hypothesis_words, {"entry": 1, "to": "open"}, "hypothesis 1: open"),
        (hypothesis_words, {"entry": 1, "to": "refuted", "reason": "x", "evidence": [2, 3]},
         "hypothesis 1: refuted: x; evidence 2, 3"),
        (indicator_words, {"type": "ip", "value": "::1"}, "indicator: ip ::1"),
        (indicator_words, {"type": "ip", "value": "::1", "text": "x"}, "indicator: ip ::1: x"),
        (indicator_words, {"entry": 1, "reason": "ours"}, "indicator 1 withdrawn: ours"),
        (evidence_words, {"text": "log"}, "evidence: log"),
        (evidence_words, {"text": "log", "where": "/a", "run": "1f", "sha256": "ab"},
         "evidence: log; at /a; run 1f; SHA-256 ab"),
        (cause_words, {"text": "a key", "evidence": []}, "root cause: a key"),
        (cause_words, {"text": "a key", "evidence": [2], "reason": "x"},
         "root cause: a key (x); evidence 2"),
    ],
)  # fmt: skip
def test_entries_of_an_investigation_in_words(
    words: Callable[[dict[str, Any]], str], body: dict[str, Any], text: str
) -> None:
    assert words(body) == text

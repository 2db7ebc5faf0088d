"""What an investigation has shown, by its entries, and its indicators for other systems."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stix2

from drd.api.investigation_documents import investigation_document
from drd.cli.verbs.incident_investigation import _TYPES
from drd.errors import UsageError
from drd.flows.incidents.investigating import read_file, typed_value
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.fold import fold
from drd.model.incidents.indicators import IndicatorType, Value, pattern, value_of
from drd.model.incidents.investigation import Investigation, Standing, investigation
from drd.model.incidents.investigation_words import summary
from drd.model.incidents.stix import bundle, left_out
from drd.model.incidents.timeline import timeline
from drd.model.records import Entry
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


class Response(Chain):
    """The entries of incident 1, one a minute."""

    def say(self, kind: str, **body: Any) -> Entry:
        at = NOON + timedelta(minutes=len(self.entries))
        return self.add(draft(kind, 1, Author("anna", at, ANNA), body))

    def indicator(self, type_: str, value: str, **more: Any) -> Entry:
        return self.say(kinds.INDICATOR, type=type_, value=value, **more)

    @property
    def found(self) -> Investigation:
        return investigation(self.entries)


def test_a_hypothesis_is_open_until_something_speaks_for_or_against_it() -> None:
    made = Response()
    made.say(kinds.HYPOTHESIS, text="the key was public")
    made.say(kinds.EVIDENCE, text="log of the gateway", where="/srv/x", sha256="ab", bytes=7)
    assert made.found.hypotheses[0].standing is Standing.OPEN
    assert [text for _, text in summary(made.found, NOON)] == [
        "not known; the key was public (open, entry 1)",
        "1 item of evidence",
    ]
    made.say(kinds.HYPOTHESIS, entry=1, to="refuted", evidence=[2], reason="never in it")
    [one] = made.found.hypotheses
    assert (one.standing, one.evidence, one.reason) == (Standing.REFUTED, (2,), "never in it")
    assert dict(summary(made.found, NOON))["cause"] == "not known; each hypothesis refuted"
    made.say(kinds.HYPOTHESIS, entry=1, to="nonsense")  # no entry of drd's: no effect
    assert made.found.hypotheses[0].standing is Standing.REFUTED


def test_the_root_cause_names_its_evidence_and_a_correction_is_shown() -> None:
    made = Response()
    made.say(kinds.EVIDENCE, text="log")
    made.say(kinds.CAUSE, text="a key", evidence=[1], hypotheses=[])
    made.say(kinds.CAUSE, text="another key", evidence=[1], reason="the log says so")
    made.say(kinds.CORRECT, entry=1, text="log of the gateway", reason="typo")
    cause = made.found.cause
    assert cause is not None
    assert (cause.entry, cause.text, cause.evidence) == (3, "another key", (1,))
    assert made.found.evidence[0].text == "log of the gateway"
    lines = [line.text for line in timeline_of(made)]
    assert "root cause: another key (the log says so); evidence 1" in lines
    made.redact(3)
    assert made.found.cause is not None
    assert made.found.cause.text == "a key"


def timeline_of(made: Response) -> list[Any]:
    return timeline(fold(1, made.entries), made.entries)


@pytest.mark.parametrize(
    ("typed", "type_", "value"),
    [
        ("203.0.113.7", "ip", "203.0.113.7"),
        ("203[.]0.113[.]7", "ip", "203.0.113.7"),
        ("2001:DB8::7", "ip", "2001:db8::7"),
        ("203.0.113.9/24", "network", "203.0.113.0/24"),
        ("hxxps://evil[.]example/a'b", "url", "https://evil.example/a'b"),
        ("Evil.Example.", "domain", "evil.example"),
        ("anna@evil.example", "email", "anna@evil.example"),
        ("A" * 64, "sha256", "a" * 64),
        ("b" * 40, "sha1", "b" * 40),
        ("c" * 32, "md5", "c" * 32),
    ],
)
def test_a_value_is_recognised(typed: str, type_: str, value: str) -> None:
    assert value_of(typed) == Value(IndicatorType(type_), value)


def test_a_value_that_is_not_of_its_type_is_refused_with_what_would_be() -> None:
    with pytest.raises(UsageError, match="is not a valid ip") as refused:
        typed_value("203.0.113.7.1", "ip")
    assert refused.value.hint == (
        "write an address such as 203.0.113.7 or 2001:db8::7, or give another --type"
    )
    with pytest.raises(UsageError, match="does not recognise") as refused:
        typed_value("orders-export", None)
    assert "account" in str(refused.value.hint)
    assert typed_value("orders-export", "account").type is IndicatorType.ACCOUNT
    assert _TYPES.split(", ") == [str(each) for each in IndicatorType]


def test_the_bundle_is_stix_2_1_for_every_type_and_hostile_value() -> None:
    made = Response()
    typed = {"ip": "2001:db8::7", "network": "203.0.113.0/24", "domain": "evil.example"}
    typed |= {"url": "https://x.example/'\\", "email": "a@evil.example", "sha256": "a" * 64}
    typed |= {"sha1": "b" * 40, "md5": "c" * 32, "certificate": "d" * 64}
    for each in IndicatorType:
        text = typed.get(each, "it's \\ [x] ' OR ipv4-addr:value = '1' \u202e")
        made.indicator(str(each), text, text="found", seen=NOON, expires=NOON + timedelta(days=30))
    written = bundle(made.found.indicators)
    read = stix2.parse(json.dumps(written), version="2.1")
    assert len(read.objects) == len(IndicatorType) - 1
    assert [i.value.type for i in left_out(made.found.indicators)] == [IndicatorType.OTHER]
    assert read.objects[0].valid_until == NOON + timedelta(days=30)
    for one in read.objects:  # one comparison each: no value gets out of its quotes
        assert stix2.pattern_visitor.create_pattern_object(one.pattern, version="2.1").operand
        assert one.pattern.count("[") == 1 + one.pattern.count("[x]")


def test_indicators_keep_their_id_merge_and_are_withdrawn() -> None:
    made = Response()
    made.indicator("ip", "203.0.113.7", seen=NOON, text="")
    before = bundle(made.found.indicators)["objects"][0]
    made.indicator("ip", "203.0.113.7", seen=NOON - timedelta(hours=1), expires=NOON, text="scan")
    [one] = made.found.indicators
    assert (one.seen, one.text) == (NOON - timedelta(hours=1), "scan")
    assert not one.is_valid(NOON)
    assert one.is_valid(NOON - timedelta(minutes=1))
    after = bundle(made.found.indicators)["objects"][0]
    assert after["id"] == before["id"]
    assert after["modified"] > before["modified"]
    made.say(kinds.INDICATOR, entry=1, reason="our own")
    made.indicator("ip", "203.0.113.7")
    first, second = bundle(made.found.indicators)["objects"]
    assert first["revoked"]
    assert "revoked" not in second
    assert first["id"] != second["id"]
    document = investigation_document(made.found)
    assert [i["withdrawn"] for i in document["indicators"]] == [True, False]


def test_without_an_indicator_the_bundle_is_empty_and_valid() -> None:
    assert stix2.parse(json.dumps(bundle([])), version="2.1").id.startswith("bundle--")
    assert pattern(Value(IndicatorType.OTHER, "x")) is None


def test_the_digest_of_a_file_and_none_of_a_directory(tmp_path: Any) -> None:
    (tmp_path / "log").write_bytes(b"x" * 3)
    read = read_file(str(tmp_path / "log"))
    assert (read.size, read.sha256[:8]) == (3, "cd2eb083")
    with pytest.raises(UsageError, match="is a directory"):
        read_file(str(tmp_path))

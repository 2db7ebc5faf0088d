"""Alerts of other systems, part by part: where each value is from, and what if it is missing."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.errors import UsageError
from drd.model.intake import alertmanager, mapped, ocsf
from drd.model.intake.json_parts import Part, documents, elements, member
from drd.model.intake.mapped import Mapped
from drd.model.intake.reading import LARGEST, MOST, signals
from drd.model.intake.signal import (
    LONGEST_ID,
    LONGEST_TEXT,
    LONGEST_TITLE,
    LONGEST_VERBATIM,
    Signal,
    labels_of,
    made,
    time_of,
    word,
)

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECONDS = 1_795_867_200


@pytest.mark.parametrize(
    ("raw", "fact"),
    [
        ('{"a": {"b\\u001b": 1, "b\\u001b": 2}}', r'the message has the key "b\x1b" twice'),
        ('{"a": NaN}', "the message has NaN, which is not JSON"),
        ('[{"a": -Infinity}]', "the message has -Infinity, which is not JSON"),
    ],
)
def test_json_that_programs_read_differently_is_refused_by_name(raw: str, fact: str) -> None:
    with pytest.raises(UsageError) as caught:
        signals(raw.encode(), None)
    assert caught.value.message == fact


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), ({"a": 1}, ""), ([1], ""), (True, "true"), (False, "false"), (0, "0"),
        (1.5, "1.5"),
        (" a\n b ", "a b"), ("x" * 200, "x" * 200), ("x" * 201, "x" * 199 + "…"),
    ],
)  # fmt: skip
def test_a_value_as_a_short_text(value: object, text: str) -> None:
    assert word(value) == text


def test_labels_are_texts_of_a_bounded_number() -> None:
    assert labels_of({"a": 1, "b": None, "c": {"d": 1}, "e": [1]}) == {"a": "1", "b": ""}
    assert labels_of(["a"]) == {}
    assert len(labels_of({str(n): n for n in range(65)})) == 64


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (SECONDS, NOON), (SECONDS * 1000, NOON), (float(SECONDS), NOON), (str(SECONDS), NOON),
        (str(SECONDS * 1000), NOON), ("2026-11-28T13:00:00+01:00", NOON),
        (10**11, datetime(5138, 11, 16, 9, 46, 40, tzinfo=UTC)),
        ("1970-12-31T23:59:59Z", None), ("1971-01-01T00:00:00Z", datetime(1971, 1, 1, tzinfo=UTC)),
        (True, None), ([SECONDS], None), (None, None), (10**30, None), ("", None),
    ],
)  # fmt: skip
def test_a_time_of_another_system(value: object, time: datetime | None) -> None:
    assert time_of(value) == time


def test_a_signal_says_the_same_while_only_its_verbatim_text_changes() -> None:
    one = Signal("x", "1", "t", labels={"a": "1", "b": "2"})
    again = Signal("x", "2", "t", labels={"b": "2", "a": "1"}, raw="x", ended_at=NOON)
    assert one.content == again.content
    others = [
        Signal("x", "1", "u"), Signal("x", "1", "t", "x"), Signal("x", "1", "t", severity="x"),
        Signal("x", "1", "t", resolved=True), Signal("x", "1", "t", started_at=NOON),
        Signal("x", "1", "t", labels={"a": "1"}),
    ]  # fmt: skip
    assert len({signal.content for signal in [one, *others]}) == 7


@pytest.mark.parametrize(("size", "cut"), [(LONGEST_VERBATIM, False), (LONGEST_VERBATIM + 1, True)])
def test_an_entry_keeps_the_beginning_of_a_message(size: int, *, cut: bool) -> None:
    kept = Signal("x", "1", "t", raw="é" * size).verbatim()
    assert (len(kept["verbatim"]), kept["bytes"], kept["cut"]) == (LONGEST_VERBATIM, 2 * size, cut)
    assert Signal("x", "1", "t", raw="\ud800").verbatim()["bytes"] == 3


def test_parts_of_a_signal_are_bounded() -> None:
    least = made("guard", unique="u" * LONGEST_ID, title=" \n ")
    assert (least.id, least.title, least.text) == ("u" * LONGEST_ID, "alert of guard", "")
    most = made("guard", unique="u" * (LONGEST_ID + 1), title="t" * 999, text="x" * 1999)
    assert most.id.startswith("sha256:")
    assert (len(most.title), len(most.text)) == (LONGEST_TITLE, LONGEST_TEXT)


# --- JSON -------------------------------------------------------------------------------------


def test_members_and_elements_of_a_text() -> None:
    text = '{ "a" : 1 , "b":[ 1 ,[2] ], "a":"x"}'
    assert member(text, 0, "a") == Part("x", text.index('"x"'), text.index('"x"') + 3)
    assert member(text, 0, "c") is None
    several = member(text, 0, "b")
    assert several is not None
    assert [text[p.start : p.end] for p in elements(text, several.start)] == ["1", "[2]"]
    assert list(elements("[ ]", 0)) == []
    assert member("{ }", 0, "a") is None
    assert [p.value for p in documents(" 1\n2 ")] == [1, 2]
    assert list(documents(" \n")) == []


@pytest.mark.parametrize("raw", [b"5", b'"text"', b"null", b"true"])
def test_a_value_without_fields_is_no_message(raw: bytes) -> None:
    with pytest.raises(UsageError, match="neither one of Alertmanager nor an OCSF finding"):
        signals(raw, None)


def test_members_and_elements_are_found_without_spaces_too() -> None:
    text = '{"a":[1,2],"b":3}'
    found = member(text, 0, "b")
    assert found is not None
    assert (found.value, text[found.start : found.end]) == (3, "3")
    assert [part.value for part in elements(text, text.index("["))] == [1, 2]


def test_a_message_of_the_largest_size_is_read() -> None:
    one = '{"class_uid": 2004, "metadata": {"uid": "a"}}'
    padded = one.ljust(LARGEST).encode()
    assert len(signals(padded, None)) == 1
    assert len(signals(f"[{', '.join([one] * MOST)}]".encode(), None)) == MOST
    assert len(signals(b"\xef\xbb\xbf" + one.encode(), None)) == 1
    with pytest.raises(UsageError, match="the message has"):
        signals(padded + b" ", None)


@pytest.mark.parametrize(
    ("most", "remedy"),
    [
        (MOST, "max_alerts of Alertmanager's webhook."),
        (2, "Operators may send more (docs/intake.md)."),
    ],
)
def test_too_many_alerts_are_refused_with_what_this_sender_can_do(most: int, remedy: str) -> None:
    one = '{"class_uid": 2004, "metadata": {"uid": "a"}}'
    with pytest.raises(UsageError, match=f"{most + 1} alerts, but drd accepts at most") as caught:
        signals(f"[{', '.join([one] * (most + 1))}]".encode(), None, most)
    assert caught.value.hint.endswith(remedy)


BY = Mapped("guard", "id", "t")


@pytest.mark.parametrize(
    ("value", "sources"),
    [
        ({"version": "4", "alerts": [{"labels": {}}]}, ["alertmanager"]),
        ({"alerts": [], "id": 1}, ["guard"]),
        ({"version": "4", "id": 1}, ["guard"]),
        ({"class_uid": 2001, "metadata": {"uid": "a"}, "id": 1}, ["ocsf"]),
        ([{"class_uid": 2001, "metadata": {"uid": "a"}}] * 2, ["ocsf", "ocsf"]),
        ([{"class_uid": 2001, "id": 1}, {"id": 2}], ["guard", "guard"]),
        ([], []),
    ],
)
def test_the_form_of_a_message_is_recognised_by_its_fields(
    value: object, sources: list[str]
) -> None:
    assert [s.source for s in signals(json.dumps(value).encode(), BY)] == sources


# --- Alertmanager -----------------------------------------------------------------------------


def manager(**alert: Any) -> Signal:
    value = {"version": 4, "alerts": [{"labels": {}, **alert}]}
    text = json.dumps(value)
    [found] = alertmanager.signals(text, next(documents(text)))
    return found


@pytest.mark.parametrize(
    ("labels", "notes", "title", "text"),
    [
        ({}, {}, "alert", ""),
        ({"alertname": "Leak"}, {}, "Leak", ""),
        ({"alertname": "Leak"}, {"summary": "reads"}, "Leak: reads", ""),
        ({"alertname": "Leak"}, {"summary": "a Leak"}, "a Leak", ""),
        ({}, {"title": "reads", "message": "m"}, "reads", "m"),
        ({}, {"summary": "s", "title": "t", "description": "d", "message": "m"}, "s", "d"),
    ],
)
def test_title_and_text_of_alertmanager(
    labels: dict[str, str], notes: dict[str, str], title: str, text: str
) -> None:
    found = manager(labels=labels, annotations=notes)
    assert (found.title, found.text) == (title, text)


def test_an_alert_that_is_over_has_an_end() -> None:
    times = {"startsAt": "2026-11-28T12:00:00Z", "endsAt": "2026-11-28T13:00:00Z"}
    firing, over = manager(status="firing", **times), manager(status="resolved", **times)
    assert (firing.started_at, firing.ended_at, firing.resolved) == (NOON, None, False)
    assert (over.started_at, over.ended_at, over.resolved) == (NOON, NOON + HOUR, True)
    assert len(manager(labels={"a": "1"}).id) == 16
    with pytest.raises(UsageError, match="has no `labels`"):
        manager(labels=[1])


@pytest.mark.parametrize("alerts", [{}, {"alerts": {}}, {"alerts": None}])
def test_a_message_of_alertmanager_without_a_list_of_alerts_is_refused(
    alerts: dict[str, Any],
) -> None:
    text = json.dumps({"version": 4, **alerts})
    with pytest.raises(UsageError, match="is not a list"):
        list(alertmanager.signals(text, next(documents(text))))


def test_only_an_object_is_a_message_of_alertmanager() -> None:
    assert alertmanager.is_alertmanager({"alerts": [], "version": "4"})
    assert not alertmanager.is_alertmanager(["alerts", "version"])
    assert not alertmanager.is_alertmanager("alerts of version 4")


# --- OCSF -------------------------------------------------------------------------------------


def finding(**event: Any) -> Signal:
    return ocsf.signal({"class_uid": 2004, "metadata": {"uid": "m"}, **event}, "raw")


def test_each_product_of_ocsf_is_a_source_of_its_own_whatever_it_is_called() -> None:
    def source(**product: Any) -> str:
        return finding(metadata={"uid": "m", "product": product}).source

    assert finding().source == source() == "ocsf"
    assert source(vendor_name="AWS", name="GuardDuty") == "ocsf/AWS/GuardDuty"
    assert source(name="Guard") == "ocsf/Guard"
    hostile = [
        source(name="Guard", uid="1"),
        source(name="Guard", uid="2"),
        source(vendor_name="Guard"),
        source(name="a b"),
        source(name="a-b"),
        source(name="a/b"),
        source(vendor_name="a", name="b"),
        source(name="x" * 31),
        source(name="x" * 9999),
        source(name="x of bert: 1"),
        source(name="\x1b[2J\ud800"),
    ]
    assert len(set(hostile)) == len(hostile)
    assert all(re.fullmatch(r"[A-Za-z0-9._/~-]{1,80}", one) for one in hostile)


@pytest.mark.parametrize(
    ("event", "of", "wanted"),
    [
        ({}, "id", "m"),
        ({"uid": "e"}, "id", "m"),
        ({"uid": "e", "metadata": {}}, "id", "e"),
        ({"finding_info": {"uid": "f"}}, "id", "f"),
        ({"finding": {"uid": "g"}}, "id", "g"),
        ({"finding_info_list": [{"uid": "l", "title": "x"}]}, "id", "m"),
        ({"finding_info_list": [{"uid": "l", "title": "x"}]}, "title", "x"),
        ({"finding_info_list": [{"uid": "l"}], "metadata": {}}, "id", "l"),
        ({"finding_info_list": []}, "title", "detection finding"),
        ({"finding_info_list": {"uid": "l", "title": "x"}}, "title", "detection finding"),
        ({"message": "m"}, "title", "m"),
        ({"message": "m", "finding_info": {"title": 5}}, "title", "m"),
        ({"message": "m", "desc": "d", "finding_info": {"desc": "i"}}, "text", "i"),
        ({"message": "m", "desc": "d"}, "text", "d"),
        ({"message": "m"}, "text", "m"),
        *(({"severity_id": n}, "severity", word_) for n, word_ in
          [(1, "informational"), (2, "low"), (3, "medium"), (4, "high"), (5, "critical"),
           (6, "critical"), (7, ""), ("4", "")]),
        ({"severity_id": [4]}, "severity", ""),
        ({"severity_id": 0, "severity": "Odd"}, "severity", "odd"),
        ({"severity_id": 4, "severity": "Odd"}, "severity", "high"),
        *(({"activity_id": n}, "resolved", n == 3) for n in (2, 3, 4)),
        *(({"status_id": n}, "resolved", n in (4, 5)) for n in (3, 4, 5, 6)),
        ({"status_id": [4]}, "resolved", False),
        ({"time": SECONDS}, "started_at", NOON),
        ({"time": SECONDS, "start_time": SECONDS - 1}, "started_at", NOON - timedelta(seconds=1)),
        ({"time_dt": "2026-11-28T13:00:00Z", "time": SECONDS}, "started_at", NOON + HOUR),
        ({"start_time": SECONDS, "finding_info": {"created_time": SECONDS - 2}}, "started_at",
         NOON - timedelta(seconds=2)),
        ({"finding_info": {"created_time": SECONDS - 2, "first_seen_time": SECONDS}}, "started_at",
         NOON),
        ({"time": SECONDS}, "ended_at", None),
        ({"time": SECONDS, "status_id": 4}, "ended_at", NOON),
        ({"time": SECONDS, "status_id": 4, "end_time": SECONDS + 3600}, "ended_at", NOON + HOUR),
        ({}, "raw", "raw"),
    ],
)  # fmt: skip
def test_each_value_of_an_ocsf_finding_comes_from_its_first_present_field(
    event: dict[str, Any], of: str, wanted: object
) -> None:
    assert getattr(finding(**event), of) == wanted


@pytest.mark.parametrize(
    ("event", "labels"),
    [
        ({}, {}),
        ({"metadata": {"uid": "m", "tags": {"a": "1"}}}, {"a": "1"}),
        ({"metadata": {"uid": "m", "tags": [{"name": "a", "value": "1"}]}}, {"a": "1"}),
        (
            {"metadata": {"uid": "m", "labels": ["a = 1", "b:2", "c"]}},
            {"a": "1", "b": "2", "c": ""},
        ),
        ({"metadata": {"uid": "m", "labels": ["a=b:c"]}}, {"a": "b:c"}),
        ({"resources": [{"labels": ["a=1"]}, 5, {"tags": {"b": "2"}}]}, {"a": "1", "b": "2"}),
        ({"resources": {"labels": ["a=1"]}}, {}),
        ({"unmapped": {"a": "1"}}, {"a": "1"}),
    ],
)
def test_labels_of_an_ocsf_finding_come_from_tags_labels_and_resources(
    event: dict[str, Any], labels: dict[str, str]
) -> None:
    assert finding(**event).labels == {"product": "", "class": "detection finding", **labels}


@pytest.mark.parametrize(
    ("event", "fact"),
    [({"class_uid": 2002}, "class 2002"), ({"class_uid": "2004"}, "class 2004"),
     ({"class_uid": None}, "class none"), ({"metadata": {}}, "does not have a uid")],
)  # fmt: skip
def test_a_finding_that_drd_cannot_read(event: dict[str, Any], fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        finding(**event)


# --- by a mapping -----------------------------------------------------------------------------

WHOLE = Mapped(
    "guard", "id", "title", text="text", severity="level", time="at", plan="plan", status="state",
    labels="labels", severities={"9": "high"},
)  # fmt: skip


def by(mapping: Mapped, value: Any) -> list[Signal]:
    text = f" {json.dumps(value)}"
    return list(mapped.signals(text, next(documents(text)), mapping))


@pytest.mark.parametrize(
    ("alert", "of", "wanted"),
    [
        ({}, "title", "alert of guard"),
        ({"title": "a b"}, "title", "a b"),
        ({"title": 5, "text": 7}, "text", "7"),
        ({"title": "x" * 150}, "title", "x" * 150),
        ({"text": "y" * 900}, "text", "y" * 900),
        ({"level": 9}, "severity", "high"),
        ({"level": "low"}, "severity", "low"),
        ({"state": "Resolved"}, "resolved", True),
        ({"state": "closed"}, "resolved", True),
        ({"state": "open"}, "resolved", False),
        ({"at": SECONDS}, "started_at", NOON),
        ({"labels": {"a": 1}, "plan": "shop"}, "labels", {"a": "1", "plan": "shop"}),
        ({"labels": {"a": 1}}, "labels", {"a": "1"}),
    ],
)
def test_each_value_of_a_mapped_alert_comes_from_the_field_in_its_mapping(
    alert: dict[str, Any], of: str, wanted: object
) -> None:
    [found] = by(WHOLE, {"id": 1, **alert})
    assert getattr(found, of) == wanted
    assert json.loads(found.raw) == {"id": 1, **alert}


def test_alerts_are_the_document_a_list_or_at_a_path() -> None:
    one, two = {"id": 1}, {"id": 2}
    assert [(s.id, s.raw) for s in by(BY, [one, two])] == [("1", '{"id": 1}'), ("2", '{"id": 2}')]
    at = Mapped("guard", "id", "t", alerts="hits.all")
    found = by(at, {"hits": {"all": [one, two]}})
    assert [(s.id, json.loads(s.raw)["hits"]["all"][1]) for s in found] == [("1", two), ("2", two)]
    with pytest.raises(UsageError, match="alert 2 of the JSON has no text at `id`"):
        by(BY, [one, {}])
    with pytest.raises(UsageError, match="alert 1 of the JSON has no text at `id`"):
        by(BY, {})
    assert BY.keys() == {
        "source": "guard",
        "id": "id",
        "title": "t",
        "resolved": ["resolved", "closed"],
    }


@pytest.mark.parametrize(
    ("value", "title"),
    [
        (["a", "b"], "b"),
        (["a"], "alert of guard"),
        ("ab", "alert of guard"),
        ({"1": "c"}, "c"),
    ],
)
def test_a_position_leads_into_lists_alone(value: object, title: str) -> None:
    [found] = by(Mapped("guard", "id", "t.1"), {"id": 1, "t": value})
    assert found.title == title


def test_what_a_mapping_does_not_name_is_not_taken() -> None:
    [found] = by(BY, {"id": 1, "t": "x", "severity": "high"})
    assert (found.labels, found.severity, found.title) == ({}, "", "x")


def test_a_key_that_is_there_twice_is_named_by_its_first_60_characters() -> None:
    for key, told in (("k" * 60, "k" * 60), ("k" * 61, "k" * 59 + "…")):
        with pytest.raises(UsageError, match=f'has the key "{told}" twice'):
            signals(f'{{"{key}": 1, "{key}": 2}}'.encode(), None)


def test_a_nul_in_an_alert_is_escaped_as_in_the_records() -> None:
    signal = made("x", unique="a\0b", title="c\0d", text="e\0f")
    assert (signal.id, signal.title, signal.text) == ("a\\x00b", "c\\x00d", "e\\x00f")
    assert labels_of({"a\0": "b\0"}) == {"a\\x00": "b\\x00"}

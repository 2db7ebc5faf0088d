"""Facts of an incident, conditions on them, and places."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.model.malformed import Malformed
from drd.model.obligations.anchors import Anchor, Source
from drd.model.obligations.conditions import Condition, Fact, Facts, both, every, none_of
from drd.model.obligations.fact_values import Asked, asked_for, require_fact, unusual
from drd.model.obligations.places import covering, is_in, places_of, without_file
from tests.obligation_support import (
    AT,
    AWARE,
    DAYS,
    DUE,
    HOUR,
    SENT,
    regime,
    setting,
    when,
)

# --- anchors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "source", "name"),
    [
        ("aware", Source.INSTANT, "aware"),
        ("submitted(eu-gdpr-33)", Source.SUBMITTED, "eu-gdpr-33"),
        ("due(us-tx.1)", Source.DUE, "us-tx.1"),
    ],
)
def test_an_anchor_is_read_from_its_text_and_written_again(
    text: str, source: Source, name: str
) -> None:
    anchor = Anchor.parse(text)
    assert (anchor.source, anchor.name, str(anchor)) == (source, name, text)


# --- conditions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "facts", "holds"),
    [
        ("people >= 5", {"people": 5}, True),
        ("people >= 5", {"people": 4}, False),
        ("people > 5", {"people": 5}, False),
        ("people > 5", {"people": 6}, True),
        ("people <= 5", {"people": 5}, True),
        ("people <= 5", {"people": 6}, False),
        ("people < 5", {"people": 5}, False),
        ("people < 5", {"people": 4}, True),
        ("people<5", {"people": None}, None),
        ("people < 5", {"people": True}, None),
        ("people < 5", {"people": "4"}, None),
        ("people < 5", {}, None),
        ("residents.DE > 5", {"residents.DE": 4, "residents.unknown": 2}, None),
        ("residents.DE > 5", {"residents.DE": 4, "residents.unknown": 1}, False),
        ("residents.DE > 5", {"residents.DE": 6, "residents.unknown": 1}, True),
        ("residents.* > 5", {"people": 9, "residents.DE": 3, "residents.unknown": 6}, None),
        ("residents.* > 9", {"people": 9, "residents.DE": 3, "residents.unknown": 6}, False),
        ("encrypted", {"encrypted": True}, True),
        ("encrypted", {"encrypted": False}, False),
        ("encrypted", {"encrypted": "partly"}, None),
        ("encrypted", {"encrypted": None}, None),
        ("not encrypted", {"encrypted": True}, False),
        ("not encrypted", {"encrypted": False}, True),
        ("not encrypted", {"encrypted": "partly"}, None),
        ("risk = high", {"risk": "high"}, True),
        ("risk = high", {"risk": "low"}, False),
        ("risk != high", {"risk": "high"}, False),
        ("risk != high", {"risk": "low"}, True),
        ("risk != high", {}, None),
        ("entity in a, b", {"entity": "c , b"}, True),
        ("entity in a, b", {"entity": "c"}, False),
        ("entity in a,b", {"entity": "b"}, True),
        ("submitted(r1)", {}, False),
        ("aware <= due(r2)", {}, False),
        ("residents.* >= 5", {"residents.DE": 5}, True),
        ("residents.* >= 5", {"residents.DE": None, "people": 4}, False),
        ("residents.* >= 5", {"residents.DE": 4, "residents.FR": 4}, None),
        ("residents.* >= 5", {"residents.DE": 4, "residents.FR": 4, "people": 8}, False),
        ("residents.* >= 5", {"residents.DE": 4, "residents.FR": 4, "people": 9}, None),
        ("residents.* >= 5", {"residents.DE": 4, "people": 2}, False),
        ("residents.* >= 5", {"resident": 5, "people": 0}, False),
    ],
)
def test_a_condition_holds_fails_or_is_unknown_by_the_facts(
    text: str, facts: Facts, holds: bool | None
) -> None:
    assert Condition.parse(text).holds(setting(facts)) is holds


def test_conditions_on_reports_hold_by_their_times() -> None:
    in_time, sent = Condition.parse("aware <= due(r2)"), Condition.parse("submitted(r1)")
    for due, holds in ((AT - HOUR, False), (AT, True), (AT + HOUR, True)):
        assert in_time.holds(setting(times={AWARE: AT, DUE: due})) is holds
    assert in_time.holds(setting(times={DUE: AT})) is False
    assert sent.holds(setting(times={SENT: AT})) is True


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("people >= 05", Condition("people >= 05", "people", ">=", number=5)),
        ("not encrypted", Condition("not encrypted", "encrypted", "not")),
        ("a.US-CA", Condition("a.US-CA", "a.US-CA", "is")),
        ("risk != high", Condition("risk != high", "risk", "!=", ("high",))),
        ("entity in a, b", Condition("entity in a, b", "entity", "in", ("a", "b"))),
        ("submitted(r1)", Condition("submitted(r1)", "", "submitted", anchors=(SENT,))),
        ("aware<=due(r2)", Condition("aware<=due(r2)", "", "in time", anchors=(AWARE, DUE))),
    ],
)
def test_a_condition_is_read(text: str, made: Condition) -> None:
    assert Condition.parse(text) == made
    assert made.is_count is (text == "people >= 05")


@pytest.mark.parametrize(
    "text", ["people <= due(r2)", "due(r2) <= aware", "submitted(R)", "a in", ""]
)
def test_texts_that_are_not_conditions(text: str) -> None:
    with pytest.raises(Malformed, match="is not a condition"):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("facts", "all_hold", "none_holds"),
    [
        ({"a": True, "b": True}, True, False),
        ({"a": True, "b": False}, False, False),
        ({"a": True}, None, False),
        ({"a": False}, False, None),
        ({"a": False, "b": False}, False, True),
        ({}, None, None),
    ],
)
def test_several_conditions_all_hold_or_none_holds_only_for_certain(
    facts: Facts, all_hold: bool | None, none_holds: bool | None
) -> None:
    two = (Condition.parse("a"), Condition.parse("b"))
    assert every(two, setting(facts)) is all_hold
    assert none_of(two, setting(facts)) is none_holds


def test_both_hold_only_for_certain() -> None:
    answers = (True, False, None)
    table = {(a, b): both(a, b) for a in answers for b in answers}
    assert [pair for pair, result in table.items() if result] == [(True, True)]
    unknown = {pair for pair, result in table.items() if result is None}
    assert unknown == {(True, None), (None, True), (None, None)}


@pytest.mark.parametrize(
    ("text", "source", "name"),
    [
        ("aware", Source.INSTANT, "aware"),
        ("submitted(eu-1.2)", Source.SUBMITTED, "eu-1.2"),
        ("due(a)", Source.DUE, "a"),
    ],
)
def test_an_anchor_is_written_as_it_is_read(text: str, source: Source, name: str) -> None:
    assert Anchor.parse(text) == Anchor(source, name)
    assert str(Anchor.parse(text)) == text


# --- facts ------------------------------------------------------------------------------------

KNOWN = {
    "people": Asked(counts=True),
    "records": Asked(counts=True),
    "member_state": Asked(),
    "encrypted": Asked(flag=True),
    "entity": Asked(words=frozenset({"bank", "insurer"})),
    "ransom": Asked(flag=True, words=frozenset({"paid"})),
    "residents.*": Asked(counts=True),
}


def test_the_facts_that_regimes_ask_for() -> None:
    one = regime(when=when("encrypted", "entity in bank", excludes=("entity = insurer",)))
    two = regime(rule=replace(DAYS, when=when("ransom = paid", "not ransom", "people > 5")))
    three = regime(when=when("submitted(r1)"))
    asked = asked_for([one, two, three])
    assert asked == {k: v for k, v in KNOWN.items() if k != "residents.*"}
    every = regime(when=when("not losses", "losses > 5", "losses = many"))
    asked = asked_for([every])["losses"]
    assert asked == Asked(counts=True, flag=True, words=frozenset({"many"}))
    assert asked_for([]) == {k: KNOWN[k] for k in ("people", "records", "member_state")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("people", 5),
        ("people", None),
        ("residents.DE", 5),
        ("residents.US-CA", None),
        ("encrypted", True),
        ("entity", "bank"),
        ("entity", "other"),
        ("ransom", "paid"),
        ("ransom", False),
        ("member_state", "FR"),
        ("member_state", "DE-BY"),
        ("member_state", None),
        ("residents.unknown", 5),
    ],
)
def test_a_fact_that_a_regime_uses_can_be_stated(name: str, value: Fact) -> None:
    require_fact(name, value, KNOWN)


@pytest.mark.parametrize(
    ("name", "value", "fact", "remedy"),
    [
        ("poeple", 5, "no regime uses the fact poeple", "did you mean people?"),
        ("poeple", None, "no regime uses the fact poeple", "did you mean people?"),
        (
            "x",
            5,
            "no regime uses the fact x",
            "known: encrypted, entity, member_state, people, ransom, records, residents.*",
        ),
        (
            "residents.*",
            5,
            "no regime uses the fact residents.*",
            "write residents.DE, with the code",
        ),
        ("memberstate", "FR", "no regime uses the fact memberstate", "did you mean member_state?"),
        ("member_state", "France", "member_state is a place, not France", "write member_state=FR"),
        ("member_state", True, "member_state is a place, not True", "write member_state=FR"),
        (
            "residents.Texas",
            5,
            "no regime uses the fact residents.Texas",
            "write residents.DE, with the",
        ),
        ("people", "many", "people is a number, not many", "write people=5000 or people=unknown"),
        ("people", True, "people is a number, not True", "write people=5000"),
        ("residents.DE", "many", "residents.DE is a number, not many", "write residents.DE=5000"),
        ("encrypted", 5, "encrypted is true or false, not 5", "write encrypted=true,"),
        ("encrypted", "no", "encrypted is true or false, not no", "write encrypted=true,"),
        ("entity", True, "entity is a word, not True", "write one of: bank, insurer; or entity="),
        ("entity", 7, "entity is a word, not 7", "write one of: bank, insurer;"),
    ],
)
def test_a_fact_that_would_make_a_duty_disappear(
    name: str, value: Fact, fact: str, remedy: str
) -> None:
    with pytest.raises(Malformed) as caught:
        require_fact(name, value, KNOWN)
    assert fact in caught.value.fact
    assert caught.value.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("name", "value", "warning"),
    [
        ("entity", "bank, insurer", ""),
        ("entity", "bnak", "no regime depends on entity=bnak; known words: bank, in"),
        ("entity", "bank,bnak,x", "no regime depends on entity=bnak, x; known words"),
        ("entity", None, ""),
        ("ransom", True, ""),
        ("encrypted", "x", ""),
        ("unknown", "x", ""),
    ],
)
def test_a_word_on_which_nothing_depends_is_a_warning(name: str, value: Fact, warning: str) -> None:
    found = unusual(name, value, KNOWN)
    assert found.startswith(warning)
    assert bool(found) is bool(warning)


# --- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "laws"),
    [
        ("US-CA", ("US-CA", "US")),
        ("DE-BY", ("DE-BY", "DE", "EU")),
        ("DE", ("DE", "EU")),
        ("EU", ("EU",)),
        ("GB", ("GB",)),
        ("NO", ("NO", "EU")),
        ("RE", ("RE", "FR", "EU")),
        ("PR", ("PR", "US")),
        ("CH", ("CH",)),
    ],
)
def test_whose_law_applies_in_a_place(place: str, laws: tuple[str, ...]) -> None:
    assert covering(place) == laws


def test_the_places_of_an_incident_are_those_of_the_organisation_and_of_people() -> None:
    facts: Facts = {
        "residents.FR": 5,
        "residents.US-CA": None,
        "residents.GB": 0,
        "residents.*": 7,
        "people": 1,
    }
    assert places_of(["DE", "FR"], facts) == ("DE", "FR", "US-CA")
    assert places_of([], {}) == ()


@pytest.mark.parametrize(
    ("jurisdiction", "places", "applies"),
    [
        ("EU", ("GB", "DE"), True),
        ("EU", ("GB",), False),
        ("EU", (), True),
        ("cards", ("GB",), True),
        ("US-CA", ("US",), False),
        ("US", ("US-CA",), True),
    ],
)
def test_a_regime_applies_in_its_jurisdiction_and_the_places_within_it(
    jurisdiction: str, places: tuple[str, ...], *, applies: bool
) -> None:
    assert is_in(jurisdiction, places) is applies


def test_places_of_whose_law_there_is_no_file() -> None:
    known = {"US", "EU", "US-CA", "GB"}
    assert without_file(["US-CA", "US-NV", "US", "DE", "GB-SCT", "CH"], known) == ["US-NV", "CH"]

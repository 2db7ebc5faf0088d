"""`drd obligations`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drd.cli.main import main
from drd.model.units import from_rfc3339
from tests.unit.test_config_regimes import OWN

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "drd.yaml").write_text(
        "state: sqlite:///state/drd.db\nplans: plans\nregimes: regimes\n"
        "organisation: {timezone: Europe/Berlin, facts: {entity: essential}}\n"
    )
    (tmp_path / "regimes").mkdir()
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    return tmp_path


def due(capsys: Output, *words: str) -> dict[str, Any]:
    assert main(["obligations", "due", *words, "--json"]) == 0
    clocks = json.loads(capsys.readouterr().out)["clocks"]
    return {clock["id"]: clock for clock in clocks}


def test_due_times_without_an_incident(capsys: Output) -> None:
    found = due(capsys, "eu-nis2-ew", "eu-nis2-notification", "--at", "aware=2026-12-31T09:15")
    assert found["eu-nis2-ew"]["due_at"] == "2027-01-01T08:15:00Z"
    assert found["eu-nis2-notification"]["due_at"] == "2027-01-03T08:15:00Z"
    assert found["eu-nis2-notification"]["target_at"] == "2027-01-03T08:15:00Z"


def test_due_from_now_as_in_an_incident(capsys: Output) -> None:
    found = due(capsys, "eu-nis2-ew", "--at", "aware=-2h")["eu-nis2-ew"]
    left = from_rfc3339(found["due_at"]) - datetime.now(UTC)
    assert timedelta(hours=21) < left < timedelta(hours=22, minutes=1)


def test_due_of_all_by_facts(capsys: Output) -> None:
    words = ["--at", "discovered=2026-12-31", "--fact", "people=499", "--zone", "America/New_York"]
    entity = ["--fact", "entity=hipaa-covered", "--fact", "health_information=true"]
    found = due(capsys, *words, *entity)
    assert "us-hipaa-hhs-annual" in found
    assert "us-hipaa-hhs-500" not in found
    assert "eu-gdpr-33" not in found  # its anchor is missing
    assert found["us-hipaa-individuals"]["last_day"] == "2027-03-01"


def test_due_says_where_a_day_ends_and_what_is_missing(capsys: Output) -> None:
    words = ["us-ca-1798.82", "us-sec-8k-105", "uk-nis", "--at", "discovered=2026-12-31T10:00Z"]
    assert main(["obligations", "due", *words]) == 0
    out = capsys.readouterr().out
    assert "2027-01-30 24:00 PST" in out
    assert "us-sec-8k-105: no deadline yet: give the time of materiality_determined" in out
    assert "us-sec-8k-105: determine by 2027-01-03 05:00 EST: Is the incident material" in out
    assert "uk-nis: no clock: nobody has recorded that they read the source of this regime" in out
    assert "This is not legal advice" in out


@pytest.mark.parametrize(
    ("words", "fact", "hint"),
    [
        (["eu-gdpr33"], 'there is no regime "eu-gdpr33"', 'did you mean "eu-gdpr-33"?'),
        (["--at", "awar=2026-12-31"], "there is no moment 'awar'", "did you mean aware?"),
        (["--at", "aware=soon"], '"soon" is not a time', "write it like 2026-12-31T09:15,"),
        (
            ["--at", "aware"],
            '"aware" is not of the form NAME=VALUE',
            ("write a name, =, and a value"),
        ),
        (
            ["--fact", "people=5k"],
            "people is a number, not 5k",
            "write people=5000 or people=unknown",
        ),
        (
            ["--fact", "encrypted=maybe"],
            "encrypted is true or false, not maybe",
            "write encrypted=true, encrypted=false or encrypted=unknown",
        ),
        (
            ["--fact", "resident.FR=3"],
            "no regime uses the fact resident.FR",
            "write residents.DE",
        ),
        (
            ["--fact", "encryptd=true"],
            "no regime uses the fact encryptd",
            "did you mean encrypted?",
        ),
        (
            ["--zone", "Berlin"],
            'there is no time zone "Berlin"',
            'did you mean "Europe/Berlin"?',
        ),
    ],
)
def test_wrong_words_have_a_remedy(words: list[str], fact: str, hint: str, capsys: Output) -> None:
    assert main(["obligations", "due", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"drd: {fact}\nHINT: {hint}")


def test_a_word_that_decides_nothing_is_named(capsys: Output) -> None:
    words = ["--at", "aware=2026-12-31", "--fact", "role=controler", "--fact", "residents.FR=3"]
    assert main(["obligations", "due", *words]) == 0
    err = capsys.readouterr().err
    assert "no regime depends on role=controler; known words: controller" in err


def test_obligations_lists_and_shows_regimes_and_prints_the_schema(
    home: Path, capsys: Output
) -> None:
    (home / "regimes" / "acme.yaml").write_text(OWN)
    assert main(["obligations", "list", "US-CA"]) == 0
    out = capsys.readouterr().out
    assert "us-ca-ag" in out
    assert "us-sec-8k-105" in out
    assert "us-tx-ag" not in out
    assert main(["obligations", "list", "--json"]) == 0
    assert "acme" in {r["id"] for r in json.loads(capsys.readouterr().out)["regimes"]}
    assert main(["obligations", "show", "acme"]) == 0
    assert "24 hours from aware" in capsys.readouterr().out
    assert main(["obligations", "show", "eu-dora-initial", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["anchors"] == ["classified"]
    assert main(["obligations", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "drd regime"


def test_check_names_file_line_and_remedy_and_the_rest_stays_usable(
    home: Path, capsys: Output
) -> None:
    (home / "acme.yaml").write_text(OWN.replace("hours: 24", "houres: 24"))
    assert main(["obligations", "check", str(home / "acme.yaml")]) == 2
    out = capsys.readouterr().out
    assert f'{home}/acme.yaml:6: rule.within.houres: unknown key "houres"' in out
    assert 'HINT: did you mean "hours"?' in out
    assert main(["obligations", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_check_finds_a_calendar_that_does_not_exist(home: Path, capsys: Output) -> None:
    text = OWN.replace("{within: {hours: 24}}", "{within: {business_days: 2}, calendar: XX}")
    (home / "regimes" / "acme.yaml").write_text(text)
    assert main(["obligations", "check"]) == 2
    assert 'there is no calendar "XX"' in capsys.readouterr().out


def test_a_broken_file_is_reported_where_regimes_are_used(home: Path, capsys: Output) -> None:
    (home / "regimes" / "acme.yaml").write_text("id: [")
    assert main(["obligations", "list"]) == 0
    assert (
        "drd does not use this file. To see all problems: drd obligations check"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("place", "code", "regime"),
    [
        ("Germany", "DE", "eu-gdpr-33"),
        ("uk", "UK", "uk-gdpr-33"),
        ("California", "US-CA", "us-ca-ag"),
        ("Bayern", "DE-BY", "eu-nis2-ew"),
    ],
)
def test_a_place_can_be_named(capsys: Output, place: str, code: str, regime: str) -> None:
    assert main(["obligations", "list", place]) == 0
    printed = capsys.readouterr()
    assert f"{place}: {code}" in printed.err
    assert regime in printed.out


def test_a_place_that_nobody_knows_is_refused(capsys: Output) -> None:
    assert main(["obligations", "list", "Atlantis"]) == 2
    assert "write EU, a country like DE or Germany" in capsys.readouterr().err


def test_due_says_how_it_read_a_time(capsys: Output) -> None:
    assert main(["obligations", "due", "eu-nis2-ew", "--at", "aware=2026-12-31"]) == 0
    told = capsys.readouterr().out
    assert "aware 2026-12-31 12:00 CET: noon, since no time of day was given" in told


def test_due_says_which_of_two_equal_times_it_took(capsys: Output) -> None:
    words = ["obligations", "due", "eu-nis2-ew", "--json", "--at"]
    first, second = "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"
    for text, started_at, warning in (
        (
            "2026-10-25T02:30",
            first,
            "aware: the clock showed this time twice on this day. drd takes",
        ),
        ("2026-10-25T02:30+01:00", second, ""),
        ("2026-10-25T03:30", "2026-10-25T02:30:00Z", ""),
        ("2026-03-29T02:30", "2026-03-29T01:30:00Z", "the clock was set forward past 02:30"),
    ):
        assert main([*words, f"aware={text}"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["clocks"][0]["started_at"] == started_at
        assert (warning in err) if warning else not err, text
    main([*words, "aware=2026-10-25T02:30"])
    assert "for the second, write 2026-10-25T02:30+01:00" in capsys.readouterr().err

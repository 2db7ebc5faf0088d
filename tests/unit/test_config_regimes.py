"""The files of regimes: those of drd, and how own files are read."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml

from drd.config import reading
from drd.config.daemon import load_settings
from drd.config.regimes import SHIPPED, Regimes, load_regimes, regime_schema
from drd.config.regimes import findings as of_doctor
from drd.model.obligations.regime import Regime
from drd.model.obligations.upkeep import findings
from drd.model.obligations.words import time_limit
from tests.unit.test_config_schema import keys_without_description

OWN = """\
id: acme
title: Acme, clause 12.3
jurisdiction: contract
trigger: Data of Acme is affected.
anchor: aware
rule: {within: {hours: 24}}
source: [{cite: clause 12.3}]
checked: 2026-11-20
"""

TODAY = date(2026, 11, 28)


def read(directory: Path, **files: str) -> Regimes:
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return load_regimes(directory)


def problems(found: Regimes) -> list[tuple[str, int, str, str, str]]:
    return [(Path(p.file).name, p.line, p.path, p.message, p.hint) for p in found.problems]


# --- those of drd -----------------------------------------------------------------------------


def shipped() -> dict[str, Regime]:
    return dict(load_regimes(None).known)


def test_shipped_files_are_sound_and_called_like_their_ids() -> None:
    assert load_regimes(None).problems == ()
    for path in SHIPPED.glob("*.yaml"):
        text = path.read_text()
        assert text.startswith("# yaml-language-server: $schema=regime.schema.json\n"), path
        assert yaml.safe_load(text)["id"] == path.stem
        assert max(map(len, text.splitlines())) < 180, path


def test_schema_accepts_the_shipped_files_and_is_the_one_beside_them() -> None:
    """Made by `drd obligations schema > drd/regimes/regime.schema.json`."""
    schema = regime_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads((SHIPPED / "regime.schema.json").read_text()) == schema
    validator = jsonschema.Draft202012Validator(schema)
    for path in SHIPPED.glob("*.yaml"):
        data = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
        wrong = list(validator.iter_errors(_plain(data)))
        assert wrong == [], path
    assert list(keys_without_description(schema)) == []


def _plain(value: object) -> object:
    """Convert texts as drd reads them: numbers, truth, nothing; dates stay texts."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    words = {"true": True, "false": False, "": None}
    return int(str(value)) if str(value).isdecimal() else words.get(str(value), value)


def test_every_shipped_regime_has_what_a_reader_needs() -> None:
    for regime in shipped().values():
        assert regime.sources
        assert regime.sources[0].cite
        assert regime.confidence in ("A", "B", "C", "user")
        assert str(regime.recipient)
        assert len(regime.title) < 110, regime.id
        assert time_limit(regime)


def test_drd_ships_regimes_of_these_places_only() -> None:
    places = {regime.jurisdiction for regime in shipped().values()}
    assert places == {
        "EU", "GB", "US", "US-CA", "US-NY", "US-TX", "cards", "contract", "any",
    }  # fmt: skip


# --- own files --------------------------------------------------------------------------------


def test_an_own_file_stands_beside_those_of_drd(tmp_path: Path) -> None:
    found = read(tmp_path, acme=OWN)
    assert found.problems == ()
    acme = found.known["acme"]
    assert (acme.own, acme.confidence, acme.has_clock) == (True, "user", True)
    assert len(found.known) == len(shipped()) + 1


def test_a_template_is_extended_by_its_own_clause(tmp_path: Path) -> None:
    text = "id: acme\nextends: contract\nrule: {within: {business_days: 2}, calendar: DE-BY}\n"
    acme = read(tmp_path, acme=text).known["acme"]
    assert (acme.status, acme.has_clock, acme.jurisdiction) == ("in-force", True, "contract")
    assert time_limit(acme) == "2 business days from aware"
    assert acme.content == shipped()["contract"].content


def test_confidence_c_has_a_clock_once_a_person_recorded_having_read_the_source(
    tmp_path: Path,
) -> None:
    assert not shipped()["uk-nis"].has_clock
    text = "id: uk-nis\nextends: uk-nis\nchecked: 2026-11-27\nchecked_by: Anna\n"
    found = read(tmp_path, uk=text).known["uk-nis"]
    assert (found.has_clock, found.own, found.checked_by) == (True, True, "Anna")


def test_a_key_without_a_value_takes_back_what_was_inherited(tmp_path: Path) -> None:
    text = "id: strict\nextends: eu-dora-initial\nrelief:\n"
    found = read(tmp_path, strict=text).known
    assert found["strict"].relief is None
    assert found["eu-dora-initial"].relief is not None


def test_an_own_file_may_extend_another_own_file(tmp_path: Path) -> None:
    second = "id: acme-eu\nextends: acme\ntitle: Acme in the EU\n"
    found = read(tmp_path, a=second, z=OWN)
    assert time_limit(found.known["acme-eu"]) == "24 hours from aware"


BROKEN = [
    ("within: {hours: 24}", "within: {hours: -1}", 6, "rule.within.hours", "-1 is out of range", "write 0 to 10000."),
    ("within: {hours: 24}", "within: {hours: 1, days: 2}", 6, "rule.within", "has hours and days, but must have exactly one unit", "write one of `hours`, `days`, `months` and `business_days`."),
    ("{within: {hours: 24}}", "{from: aware}", 6, "rule", "has no time limit", "write one of within, annual, no_number, earliest_of, latest_of, first_of."),
    ("{within: {hours: 24}}", "{within: {hours: 4}, target: 2h}", 6, "rule.target", "is allowed only with `no_number: true`", "remove `target`: reminders follow the strictest reading of the rule."),
    ("{within: {hours: 24}}", "{within: {hours: 4}, calendar: FR}", 6, "rule.calendar", "is allowed only with a period in `business_days`", "remove `calendar`, or write the period in business_days."),
    ("jurisdiction: contract", "jurisdiction: Germany", 3, "jurisdiction", '"Germany" is not a jurisdiction', "write EU, a country like DE, or a part of a country like US-CA; or contract, cards, any."),
    ("anchor: aware", "anchor: aware\ncontent: [{key: a, text: b, from: me}]", 6, "content[0].from", 'drd cannot get a value from "me"', None),
    ("anchor: aware", "anchor: awre", 5, "anchor", '"awre" is not a moment of an incident', None),
    ("anchor: aware", "anchor: due(acmee)", 5, "anchor", 'there is no regime "acmee"', None),
    ("anchor: aware", "anchor: due(acme)", 6, "rule", "the deadline depends on itself through other regimes", "in one of these regimes, use a moment of the incident as `anchor`."),
    ("anchor: aware\n", "", 5, "rule", "the moment from which the time counts is missing", "add `anchor`, or `from` or `after` to each rule."),
    ("title: Acme, clause 12.3\n", "", 1, "", "title is missing", "add the key `title`: what is reported, and to whom, in one line."),
    ("checked: 2026-11-20", "checked: yesterday", 8, "checked", None, None),
    ("checked: 2026-11-20", "chekced: 2026-11-20", 8, "chekced", 'unknown key "chekced"', 'did you mean "checked"?'),
    ("jurisdiction: contract", "jurisdiction: contract\nzone: Europe/Berln", 4, "zone", 'there is no time zone "Europe/Berln"', 'did you mean "Europe/Berlin"?'),
    ("jurisdiction: contract", 'jurisdiction: contract\nif: ["people => 5"]', 4, "if[0]", '"people => 5" is not a condition', None),
    ("jurisdiction: contract", "jurisdiction: contract\nextends: eu-gdpr33", 4, "extends", 'there is no regime "eu-gdpr33"', 'did you mean "eu-gdpr-33"?'),
]  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=[case[1].strip() for case in BROKEN])
def test_a_broken_file_is_reported_with_its_line_and_a_remedy(
    case: tuple[str, str, int, str, str | None, str | None], tmp_path: Path
) -> None:
    old, new, line, path, fact, remedy = case
    assert old in OWN
    found = read(tmp_path, acme=OWN.replace(old, new))
    ((file, at, where, message, hint),) = problems(found)
    assert (file, at, where) == ("acme.yaml", line, path)
    assert fact is None or message == fact
    assert hint
    assert remedy is None or hint == remedy
    assert "acme" not in found.known
    assert len(found.known) == len(shipped())


def test_two_own_files_of_one_id_and_files_in_a_circle_are_refused(tmp_path: Path) -> None:
    one = "id: one\nextends: two\n"
    two = "id: two\nextends: one\n"
    found = read(tmp_path, a=OWN, b=OWN, one=one, two=two)
    told = [(file, message) for file, _, _, message, _ in problems(found)]
    assert ("b.yaml", f'{tmp_path}/a.yaml already has the regime "acme"') in told
    assert ("one.yaml", "leads back to this file: the files extend each other in a circle") in told
    assert "acme" in found.known


def test_a_file_that_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(OWN)
    (tmp_path / "acme.yaml").chmod(0o666)
    tmp_path.chmod(0o755)
    found = load_regimes(tmp_path, trusted={0, tmp_path.stat().st_uid})
    assert [p.message for p in found.problems] == ["the file can be written by anyone"]
    assert "acme" not in found.known


def test_a_file_that_is_removed_once_it_was_read_is_judged_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "acme.yaml"
    file.write_text(OWN)
    file.chmod(0o666)
    tmp_path.chmod(0o755)
    read_whole = reading._all_of

    def remove_when_read(descriptor: int) -> bytes:
        raw = read_whole(descriptor)
        if raw == OWN.encode():
            file.unlink()
        return raw

    monkeypatch.setattr(reading, "_all_of", remove_when_read)
    found = load_regimes(tmp_path, trusted={0, tmp_path.stat().st_uid})
    assert not file.exists()
    assert [p.message for p in found.problems] == ["the file can be written by anyone"]
    assert "acme" not in found.known


# --- what a person should check ---------------------------------------------------------------


def test_old_sources_coming_rules_and_missing_places_are_findings(tmp_path: Path) -> None:
    begins = "id: next\nextends: contract\napplies_from: 2027-01-27\n"
    known = read(tmp_path, acme=OWN, next=begins).known
    found = list(findings(known, ("DE", "JP", "US-CA", "US-FL", "GB"), TODAY))
    told = [(f.code, f.subject, f.severity) for f in found]
    assert told == [
        ("regime-begins", "next", "warning"),
        ("regime-missing", "JP", "warning"),
        ("regime-missing", "US-FL", "warning"),
    ]
    assert all(f.text and f.remedy for f in found)
    assert [f.code for f in findings(known, (), date(2027, 1, 27))] == []


def test_a_source_that_was_checked_in_the_future_is_a_finding(tmp_path: Path) -> None:
    known = read(tmp_path, acme=OWN.replace("2026-11-20", "2027-11-20")).known
    (found,) = findings(known, (), TODAY)
    assert (found.code, found.subject) == ("regime-source", "acme")
    assert "which is in the future" in found.text


def test_a_source_is_old_after_180_days(tmp_path: Path) -> None:
    known = read(tmp_path, acme=OWN).known
    assert list(findings(known, (), date(2027, 5, 19))) == []
    (own,) = findings(known, (), date(2027, 5, 20))
    assert (own.code, own.subject) == ("regime-source", "acme")
    both = list(findings(known, (), date(2027, 5, 26)))
    assert [f.subject for f in both] == ["acme", ""]
    assert "62 regimes of drd" in both[1].text


def test_doctor_reports_broken_files_and_nothing_where_nothing_is_set(tmp_path: Path) -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    (tmp_path / "drd.yaml").write_text("plans: plans\n")
    (tmp_path / "regimes").mkdir()
    (tmp_path / "regimes" / "acme.yaml").write_text("id: acme\n")
    settings = load_settings(tmp_path / "drd.yaml", explicit=True)
    assert of_doctor(settings, now) == []
    (tmp_path / "drd.yaml").write_text("regimes: regimes\norganisation: {jurisdictions: [JP]}\n")
    found = of_doctor(load_settings(tmp_path / "drd.yaml", explicit=True), now)
    assert {(f.code, f.subject, f.severity) for f in found} == {
        ("regime-file", "acme.yaml", "error"),
        ("regime-missing", "JP", "warning"),
    }

"""An incident on paper."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from drd.api.incident_page import Printed, blank_page, page
from drd.cli.main import main
from drd.config.regimes import load_regimes
from drd.config.zones import local_zone
from drd.holiday_calendars import HolidayCalendars
from drd.model.contacts import ContactBook
from drd.model.incidents.affected import Affected, Known
from drd.model.incidents.incident import Incident, Scoped, Task
from drd.model.incidents.instants import Instant
from drd.model.incidents.timeline import Line
from drd.model.inventory import Dependent
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import clock

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
EVIL = '<script src="//x"></script>&"\x1b[31m\u202e'


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def of(text: str = "leak") -> Printed:
    incident = Incident(
        7,
        text,
        opened_at=NOON,
        lead=text,
        roles={text: text},
        instants={Instant.AWARE: NOON},
        tasks=(Task(1, text, text, NOON), Task(2, "done already", done_at=NOON)),
        scope=(Scoped("shop", 1),),
        links=(text,),
    )
    people = Affected(
        "shop", text, Known.COUNTED, 5000, ((text, 4400), ("US-CA", None)), (text,), why=text
    )
    line = Line(3, NOON, NOON, "incident.log", text, text, starred=True)
    return Printed(incident, [line], NOON, [Dependent(text, text)], [people])


def test_typed_text_is_escaped_and_the_page_loads_nothing_else() -> None:
    made = page(replace(of(EVIL), clocks_unknown=EVIL)).decode()
    tags = Tags(made)
    assert not {"script", "link", "img", "iframe", "a"} & set(tags.tags)
    assert tags.attributes <= {"class", "lang", "charset"}
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert "&lt;script" in made
    assert "size: A4" in made


def test_page_says_what_is_known() -> None:
    made = page(of()).decode()
    assert "<h1>Incident 7: leak</h1>" in made
    assert "<td>aware</td><td>2026-11-28 12:00 UTC</td>" in made
    assert "5,000 people (counted)" in made
    assert "leak 4,400, US-CA" in made
    assert "* leak (entry 3)" in made
    assert "done already" not in made
    assert "According to the known facts, no report is needed" in made


def test_clocks_that_apply_or_wait_for_a_decision_are_on_it(tmp_path: Path) -> None:
    known = load_regimes(tmp_path / "none", trusted=frozenset()).known
    case = Case(instants={Instant.AWARE: NOON}, facts={"role": "controller", "personal_data": True})
    state = clock(known["eu-gdpr-33"], known, case, NOON, HolidayCalendars())
    made = page(replace(of(), clocks=[state], zone=ZoneInfo("Europe/Berlin"))).decode()
    assert "<td>UNDECIDED</td><td></td><td>eu-gdpr-33: " in made
    due = state.due_at
    assert due is not None
    assert f"due {due.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m-%d %H:%M}" in made


def test_empty_sheets_need_no_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "missing.yaml"))
    file = tmp_path / "empty.html"
    assert main(["incident", "print", "--blank", "--output", str(file)]) == 0
    assert file.read_bytes() == blank_page(ContactBook(), local_zone(None))
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"Whom to call" in file.read_bytes()
    assert main(["incident", "print", "--blank", "--output", str(file)]) == 2
    assert f"cannot write {file}: file exists" in capsys.readouterr().err
    assert main(["incident", "print", "7", "--blank"]) == 2

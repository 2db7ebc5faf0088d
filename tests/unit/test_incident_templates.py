"""Templates of messages: a missing value never leaves, a template that does not end is ended, and a
file that others can change is not used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drd import rendering
from drd.config.templates import SHIPPED, load_templates
from drd.errors import ConfigError
from drd.flows.incidents import rendering as flow
from drd.flows.incidents.rendering import render
from drd.model.incidents.affected import Affected, Known
from drd.model.incidents.audiences import Audience
from drd.model.incidents.incident import Incident, Task
from drd.model.incidents.instants import Instant
from drd.model.incidents.message_values import people, values
from drd.model.incidents.states import State

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
EARLIER = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
ROOT = frozenset({0})
EVIL = "leak\nBcc: eve@evil.example\x1b[31m\u202e"


def known(incident: Incident | None = None, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "lines": (),
        "affected": (),
        "said": {},
        "now": NOON,
        "next_update": None,
        "zone": UTC,
        "language": "en",
    }
    return values(incident or Incident(7, "leak", opened_at=NOON), **{**asked, **more})


def rendered(text: str, found: Mapping[str, Any] | None = None, **more: str) -> flow.Rendered:
    texts = {"mine": text, **more}
    files = {name: f"/etc/drd/{name}.j2" for name in texts}
    return render("mine", texts, files, known() if found is None else found)


def wrong(text: str, **more: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        rendered(f"Subject: x\n{text}", **more)
    (problem,) = caught.value.problems
    return f"{problem.file}:{problem.line}: {problem.message}", problem.hint


def test_missing_value_is_named_with_template_line_and_value() -> None:
    fact, hint = wrong("one\n{{ said.action }}")
    assert fact == "/etc/drd/mine.j2:3: the value action is missing"
    assert "--set action=TEXT" in hint
    assert wrong("{{ moments.contained.utc }}")[0].endswith(":2: the value contained is missing")
    assert wrong("{{ unheard_of }}")[0].endswith(":2: the value unheard_of is missing")
    assert wrong("{% for x in nothing %}{% endfor %}x")[0].endswith("nothing is missing")
    # Not one that another template includes, either.
    told = wrong("{% include 'other' %}", other="a\n\n{{ said.gone }}")[0]
    assert told == "/etc/drd/other.j2:3: the value gone is missing"


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("{% for x in %}", ":2: is not a Jinja template"),
        ("{{ 1/0 }}", ":2: fails: division by zero"),
        ("{% include 'gone' %}", ":2: there is no template gone"),
        ("{{ title.__class__ }}", "is missing"),
        ("{{ ''.format.__globals__ }}", "is missing"),
        ("{% for n in range(100000) %}0123456789{% endfor %}", "more than 50000 characters"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "produces more and more text"),
        ("{{ 'x' * 10**9 }}", "produces more and more text"),
        ("", "produces an empty message"),
    ],
)
def test_a_wrong_template_is_refused_with_the_reason(text: str, fact: str) -> None:
    assert fact in wrong(text)[0]


def test_template_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "DEADLINE_S", 1.0)
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    told, hint = wrong(loop)
    assert told.startswith("/etc/drd/mine.j2:1: does not end")
    assert "check the loops" in hint
    assert rendering.CPU_S < flow.DEADLINE_S * 10


def test_text_of_others_is_not_a_header_and_moves_no_cursor() -> None:
    made = rendered("Subject: {{ title }}\nA {{ title }}", known(Incident(7, EVIL)))
    assert made.subject == "leak"
    assert made.text.startswith("Bcc: eve@evil.example\\x1b[31m\\u202e")
    assert "\x1b" not in made.text


def test_template_without_a_subject_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        rendered("Hello {{ title }}")
    assert "has no subject" in caught.value.problems[0].message


@pytest.mark.parametrize("audience", list(Audience))
@pytest.mark.parametrize("state", list(State))
def test_shipped_templates_need_nothing_but_an_open_incident(
    audience: Audience, state: State
) -> None:
    shipped = load_templates(None, ROOT)
    incident = Incident(7, "leak", state, opened_at=NOON, severity="high")
    for found in (known(incident), known(incident, next_update=NOON, said={"text": "We know."})):
        question = {"template": str(audience), "templates": shipped.texts, "values": found}
        text = rendering.answer(question)["text"]
        assert text.startswith("Subject: ")
        assert "{{" not in text
    assert "12:00 UTC" in text
    assert "We know." in text


@pytest.mark.parametrize("state", [State.RECOVERED, State.REVIEWED, State.CLOSED])
def test_messages_about_what_is_over_do_not_say_that_it_lasts(state: State) -> None:
    moments = {Instant.OCCURRED: EARLIER}
    incident = Incident(7, "leak", state, opened_at=NOON, instants=moments)
    texts = load_templates(None, ROOT).texts
    said = {}
    for audience in Audience:
        question = {"template": str(audience), "templates": texts, "values": known(incident)}
        said[audience] = rendering.answer(question)["text"]
        for wrong_now in ("something is wrong", "since 2026", "affects"):
            assert wrong_now not in said[audience], audience
        if state is State.CLOSED:
            for promised in ("as soon as we know", "before we write again", "not know yet"):
                assert promised not in said[audience], audience
    begin = "from 2026-11-28 09:30 UTC on, there was an incident that affected a service"
    assert begin in said[Audience.CUSTOMERS]
    assert begin in said[Audience.PARTNERS]


@pytest.mark.parametrize(
    ("moments", "begin"),
    [
        ({}, "on 2026-11-28 12:00 UTC we noticed an incident"),
        ({Instant.AWARE: EARLIER}, "on 2026-11-28 09:30 UTC we noticed an incident"),
        ({Instant.OCCURRED: EARLIER}, "since 2026-11-28 09:30 UTC we have had an incident"),
    ],
)
def test_customers_are_told_the_earliest_known_time(
    moments: dict[Instant, datetime], begin: str
) -> None:
    incident = Incident(7, "leak", opened_at=NOON, instants=moments)
    texts = load_templates(None, ROOT).texts
    question = {"template": "customers", "templates": texts, "values": known(incident)}
    assert begin in rendering.answer(question)["text"]


def test_unknown_people_are_said_as_unknown() -> None:
    one = Affected("shop", "customers", Known.COUNTED, 5000)
    other = Affected("shop", "staff", Known.UNKNOWN)
    assert people([]) == people([other]) == "unknown"
    assert people([one]) == "5,000 people"
    assert people([one, other]) == "unknown, at least 5,000 people"
    assert people([one, one]) == "at least 5,000 people"
    text = rendering.answer(
        {
            "template": "customers",
            "templates": load_templates(None, ROOT).texts,
            "values": known(),
        }
    )["text"]
    assert "We do not know yet whether your data is affected" in text


def test_tasks_of_the_response_are_not_told_outside() -> None:
    tasks = (Task(1, "change the KEY of the gateway"),)
    incident = Incident(7, "leak", opened_at=NOON, tasks=tasks)
    texts = load_templates(None, ROOT).texts
    for audience in Audience:
        question = {"template": str(audience), "templates": texts, "values": known(incident)}
        assert ("KEY" in rendering.answer(question)["text"]) is (audience is Audience.INTERNAL)


def test_own_template_replaces_the_shipped_one_and_has_languages(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "customers.j2").write_text("Subject: ours\nx\n")
    (tmp_path / "customers.de.j2").write_text("Subject: unseres\nx\n")
    found = load_templates(tmp_path, ROOT)
    found.require()
    assert found.texts["customers"].startswith("Subject: ours")
    assert found.files["customers"] == str(tmp_path / "customers.j2")
    assert found.of("customers", "de-AT") == "customers.de"
    assert found.of("customers", "fr") == "customers"
    assert found.files["press"] == str(SHIPPED / "press.j2")


def test_file_that_others_can_change_is_refused_and_not_replaced_by_the_shipped_one(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)
    file = tmp_path / "customers.j2"
    file.write_text("Subject: ours\nx\n")
    file.chmod(0o666)
    found = load_templates(tmp_path, ROOT)
    with pytest.raises(ConfigError, match="can be written by anyone"):
        found.require()
    file.chmod(0o600)
    file.write_bytes(b"Subject: x\n\xff")
    with pytest.raises(ConfigError) as caught:
        load_templates(tmp_path, ROOT).require()
    assert str(caught.value.problems[0]).startswith(f"{file}:2: is not UTF-8 text")
    with pytest.raises(ConfigError, match="is not a directory"):
        load_templates(tmp_path / "gone", ROOT).require()

"""Whom to call now: hours, turns, absences, and what is wrong with them in drd.yaml."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from drd.cli.main import main
from drd.config.daemon import load_settings
from drd.errors import ConfigError
from drd.kit.document import html, markdown
from drd.kit.incident_sheets import blank_sheets, contacts_page, whom_to_call
from drd.model.contacts import (
    Absence,
    Colleague,
    Contact,
    ContactBook,
    ContactKind,
    Duty,
    Hours,
    spans,
)

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

YAML = """\
organisation: {timezone: Europe/Berlin}
people:
  - {name: anna, phone: "+49 30 1111", email: anna@example.com, roles: [commander]}
  - {name: bert, phone: "+49 30 2222", roles: [commander, legal]}
  - {name: carla, phone: "+49 30 3333", roles: [executive]}
on_call:
  - {role: commander, people: [anna, bert], every: 7d, since: 2026-11-02T10:00}
absences:
  - {person: bert, from: 2026-11-20, to: 2026-12-05, substitute: carla}
contacts:
  - {name: Acme, kind: customer, plans: "orders-*", mail: [it@acme.example, ciso@acme.example]}
  - {name: DPA, kind: authority, phone: "+49 30 13889-0", hours: "Mon-Fri 09:00-15:00"}
"""


def written(directory: Path, text: str = YAML) -> Path:
    path = directory / "drd.yaml"
    path.write_text(text)
    return path


def book(**more: object) -> ContactBook:
    people = tuple(Colleague(n, ("commander",)) for n in ("anna", "bert", "carla"))
    return ContactBook(people, **more)  # type: ignore[arg-type]


def called(of: ContactBook, now: datetime) -> str | None:
    (call,) = of.on_call(now)
    return call.person.name if call.person is not None else None


@pytest.mark.parametrize(
    ("text", "now", "inside"),
    [
        ("always", MONDAY, True),
        ("Mon-Fri 09:00-17:00", MONDAY, True),
        ("Mon-Fri 09:00-17:00", MONDAY + timedelta(hours=8), False),
        ("Mon-Fri 09:00-17:00", MONDAY + timedelta(days=5), False),
        ("Sat-Mon 09:00-10:00", MONDAY, True),
        ("Sun 22:00-10:00", MONDAY, True),
        ("Mon 22:00-10:00", MONDAY, False),
        ("Tue 09:00-10:00, 08:30-24:00", MONDAY, True),
    ],
)
def test_opening_hours_contain_the_times_in_their_spans(
    text: str, now: datetime, inside: bool
) -> None:
    assert Hours(text, spans(text)).has(now) is inside


def test_hours_are_those_of_their_zone() -> None:
    hours = Hours("Mon 10:00-11:00", spans("Mon 10:00-11:00"), "Europe/Berlin")
    assert hours.has(MONDAY)
    assert not hours.has(MONDAY + timedelta(hours=1))


@pytest.mark.parametrize("text", ["nine to five", "Mon-Fri 25:00-26:00", "Mo 09:00-10:00", ""])
def test_wrong_hours_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a range of hours|no day"):
        spans(text)


def test_turns_change_and_begin_when_they_begin() -> None:
    duty = Duty("commander", ("anna", "bert"), 7 * 86400.0, MONDAY)
    on_call = book(duties=(duty,))
    week = timedelta(days=7)
    found = [called(on_call, MONDAY + n * week) for n in range(3)]
    assert found == ["anna", "bert", "anna"]
    assert called(on_call, MONDAY + week - timedelta(seconds=1)) == "anna"
    # Before the first turn anybody with the role is called, the first one first.
    assert called(on_call, MONDAY - timedelta(seconds=1)) == "anna"


def test_substitutes_are_followed_and_a_circle_ends() -> None:
    end = MONDAY + timedelta(days=1)
    duty = Duty("on duty", ("anna",))
    away = [Absence("anna", MONDAY, end, "bert"), Absence("bert", MONDAY, end, "carla")]
    one = ContactBook(book().people, duties=(duty,), absences=tuple(away))
    call = one.on_call(MONDAY)[0]
    assert call.person is not None
    assert (call.person.name, call.instead_of, call.until) == ("carla", ("anna", "bert"), end)
    assert one.on_call(end)[0].instead_of == ()
    circle = (away[0], Absence("bert", MONDAY, end, "anna"))
    call = ContactBook(book().people, duties=(duty,), absences=circle).on_call(MONDAY)[0]
    assert (call.person, call.instead_of) == (None, ("anna", "bert"))


def test_absent_without_substitute_the_next_one_is_called() -> None:
    away = Absence("anna", MONDAY, MONDAY + timedelta(hours=1))
    assert called(book(absences=(away,)), MONDAY) == "bert"


def test_listing_says_who_is_to_be_called_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(written(tmp_path))]
    assert main(["incident", "contacts", "--at", "2026-11-28T18:00:00Z", *config]) == 0
    told = capsys.readouterr().out
    assert (
        "commander: carla, +49 30 3333 (instead of bert, away until 2026-12-06 00:00 CET)" in told
    )
    assert "DPA: +49 30 13889-0" in told
    assert "not now (hours Mon-Fri 09:00-15:00; local time there Sat 19:00 CET)" in told
    assert main(["incident", "contacts", "--plan", "billing", "--json", *config]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [c["contact"] for c in document["contacts"]] == ["DPA"]
    assert main(["incident", "contacts", "--at", "noon", *config]) == 2
    assert "'noon' is not a time" in capsys.readouterr().err


# Of a key pair that was made for this test; its private half was thrown away.
PGP = (
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\\n"
    "\\n"
    "mDMEawzIxxYJKwYBBAHaRw8BAQdAxfJnGDh0erUsgp84NErdgmPW6Lpgaz9GiElk\\n"
    "YmWPOgq0FkFjbWUgPGl0QGFjbWUuZXhhbXBsZT6IlgQTFgoAPhYhBCxB63R8Jo3i\\n"
    "SlzZKfy6X1R2pF8oBQJrDMjHAhsDBQkFo5qABQsJCAcCBhUKCQgLAgQWAgMBAh4B\\n"
    "AheAAAoJEPy6X1R2pF8odqQA/iCw9OLWsXj2RUJV6YJ7Tx+1Edaib01VJ5DSp/mW\\n"
    "L30/AQDE2v/L+M8nm8ZGuOSzBW5bexrbzv83B9n+KFKNXULBC7g4BGsMyMgSCisG\\n"
    "AQQBl1UBBQEBB0Aha3E/QiE7z6z59szfLR3YLEPPb5EreS/UrocMVD/wYgMBCAeI\\n"
    "eAQYFgoAIBYhBCxB63R8Jo3iSlzZKfy6X1R2pF8oBQJrDMjIAhsMAAoJEPy6X1R2\\n"
    "pF8o80IBALxrsF/NgWtUsyz7SQvcqNBtKvie+LFbTc9tT0drLn3jAP48vrUgliLd\\n"
    "ub9VKZTdzgqqD5EBrcQ3HY3RJdaidz0tAg==\\n"
    "=kFEc\\n"
    "-----END PGP PUBLIC KEY BLOCK-----"
)
AGE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

WRONG = {
    "contacts: [{name: X, kind: pres, phone: '110'}]": '"pres" is not one of authority, customer',
    "contacts: [{name: X, kind: press}]": 'no way to reach "X"',
    "contacts: [{name: X, kind: press, mail: 'a b'}]": '"a b" is not a mail address',
    "contacts: [{name: X, kind: press, mail: 'a@b.example, c@d.example'}]": "is not a mail address",
    "contacts: [{name: X, kind: press, phone: 'x1'}]": '"x1" is not a telephone number',
    "contacts: [{name: X, kind: press, mail: a@b.example, pgp: 'ABCD'}]": (
        "this is not a public PGP key in ASCII armour"
    ),
    "contacts:\n  - {name: X, kind: press, mail: a@b.example, pgp: '-----BEGIN PGP PRIVATE KEY'}": (
        "this is a private key"
    ),
    f"contacts: [{{name: X, kind: press, phone: '110', pgp: \"{PGP}\"}}]": (
        "has no effect without `mail`"
    ),
    f'contacts: [{{name: X, kind: press, mail: a@b.example, age: {AGE}, pgp: "{PGP}"}}]': (
        "stands beside `age`"
    ),
    f'contacts: [{{name: X, kind: press, mail: a@b.example, pgp: "{PGP[:60]}x{PGP[60:]}"}}]': (
        "this PGP key is damaged"
    ),
    "contacts: [{name: X, kind: press, mail: a@b.example, age: '-----BEGIN PGP PUBLIC'}]": (
        "this is a PGP key"
    ),
    "contacts: [{name: X, kind: press, mail: a@b.example, age: KEY}]": "'KEY' is not a public key",
    "contacts: [{name: X, kind: press, mail: a@b.example, age: age1abc}]": (
        "'age1abc' is not a public key: invalid Bech32"
    ),
    "incident: {approval: {roles: [lead]}}": 'no person under `people` has the role "lead"',
    "contacts: [{name: X, kind: press, phone: '110', language: German}]": "code of a language",
    "contacts: [{name: X, kind: press, phone: '110', timezone: Berlin}]": "no time zone",
    "contacts: [{name: X, kind: press, channel: hook}]": 'no channel "hook" under `notify`',
    "notify: [{kind: exec, name: h, command: [/x]}]\n"
    "contacts: [{name: X, kind: press, channel: h}]": "your own people (firing, acknowledged,",
    "people: [{name: anna}]\non_call: [{role: x, people: ana}]": 'no person "ana"',
    "people: [{name: a}]\non_call: [{role: x, people: [a, a]}]": "names several people, but",
    "absences: [{person: a, from: 2026-13-01, to: 2026-12-01}]": "neither a day nor a time",
    "people: [{name: a}]\nabsences: [{person: a, from: 2026-12-02, to: 2026-12-01}]": "not after",
}


@pytest.mark.parametrize(("text", "fact"), WRONG.items())
def test_mistakes_are_named_with_line_and_remedy(tmp_path: Path, text: str, fact: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, f"# a comment\n{text}\n"), explicit=True)
    problem = caught.value.problems[0]
    assert fact in problem.message
    assert problem.line == 2 + text.count("\n")
    assert problem.hint


def test_pages_for_paper_name_contacts(tmp_path: Path) -> None:
    known = load_settings(written(tmp_path), explicit=True).contacts
    blank = html(blank_sheets(known)).decode()
    assert "it@acme.example" in blank
    assert "+49 30 2222" in blank
    page = markdown(contacts_page(known, MONDAY)).decode()
    assert "commander: anna, bert, in turns of 7d from 2026-11-02 09:00 UTC" in page
    assert "bert from 2026-11-19 23:00 UTC to 2026-12-05 23:00 UTC, substitute: carla" in page
    assert (
        "drd.yaml does not name people or contacts"
        in html(contacts_page(ContactBook(), MONDAY)).decode()
    )
    berlin = ZoneInfo("Europe/Berlin")
    calls = html(list(whom_to_call(known, datetime(2026, 11, 28, tzinfo=UTC), ["billing"], berlin)))
    for told in (
        b"On call at 2026-11-28 01:00 CET",
        b"bert from 2026-11-20 00:00 CET to 2026-12-06",
    ):
        assert told in calls
    assert b"UTC" not in calls
    assert b"instead of bert" in calls
    assert b"Acme" not in calls


def test_typed_text_is_escaped_on_the_page_of_contacts() -> None:
    evil = "<b>\x1b[31m"
    contact = Contact(evil, ContactKind.PRESS, phones=(evil,), note=evil)
    page = html(contacts_page(ContactBook((Colleague(evil),), (contact,)), MONDAY)).decode()
    assert "\x1b" not in page
    assert "<b>" not in page

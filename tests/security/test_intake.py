"""Attack: somebody floods drd with alerts, writes into the terminal of the person on call, closes
or hides an incident, or opens one without the token. Alerts of others are data."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from drd.api.incident_intake import intake_of, take_in
from drd.daemon.intake import IntakeListener
from drd.flows.incidents.intake import TOO_FAST, TOO_MANY_OPEN, Result
from drd.flows.incidents.writing import Desk
from drd.model.incidents.entries import Author
from drd.model.incidents.incident import Incident
from drd.model.incidents.intake_rules import IntakeSettings
from drd.model.incidents.timeline import Line, timeline
from drd.model.plan import SecretRef
from drd.web import Outcome
from drd.web.intake import BURST, Gate
from tests.api_support import BERT, OPERATORS, READERS, STRANGER, House, ask
from tests.unit.test_intake import alert, webhook
from tests.user_support import as_root

pytestmark = as_root

FIRST = "opened: ApiLeak: strange reads; severity critical; plans shop; by an alert of alertmanager"
TOKEN = "correct-horse-battery-staple"


def use(house: House, **settings: Any) -> None:
    house.app.settings = replace(house.app.settings, intake=IntakeSettings(**settings))


def sent(house: House, *alerts: dict[str, Any], later_s: float = 0.0) -> Result:
    at = house.app.clock.now() + timedelta(seconds=later_s)
    return take_in(house.app, Author("intake", at), webhook(*alerts))


def named(fingerprint: str, **rest: Any) -> dict[str, Any]:
    return {**alert(), "fingerprint": fingerprint, **rest}


def lines(house: House, number: int) -> list[Line]:
    store = house.app.catalogue.incidents
    incident = store.get(number)
    return timeline(incident, store.entries(incident))


def incident(house: House, number: int = 1) -> Incident:
    return house.app.catalogue.incidents.get(number)


def test_alert_opens_one_incident_and_repeats_add_nothing(house: House) -> None:
    assert sent(house, alert()).opened == [1]
    opened = incident(house)
    assert (opened.title, opened.plans) == ("ApiLeak: strange reads", ("shop",))
    assert opened.severity == "critical"
    assert [i.value for i in opened.instants] == ["first_alert"]
    assert opened.acknowledged_at is None, "nobody has done anything yet"
    again = sent(house, alert(), alert())
    assert (again.opened, again.updated, again.unchanged) == ([], [], 2)
    assert sent(house, alert(severity="warning")).updated == [1]
    over = sent(house, alert("resolved", severity="warning"))
    assert over.updated == [1]
    assert incident(house).is_open, "only a person closes it"
    assert sent(house, alert("resolved", severity="warning")).unchanged == 1
    told = [line.text for line in lines(house, 1)]
    assert told == [
        FIRST,
        "alertmanager alert: ApiLeak: strange reads: 5,000 rows (severity critical, plan shop)",
        "alertmanager says now: ApiLeak: strange reads: 5,000 rows (severity warning, plan shop)",
        "alertmanager is over: ApiLeak: strange reads (severity warning, plan shop)",
    ]
    entry = list(house.app.catalogue.records.read())[1]
    assert entry.body is not None
    body = json.loads(entry.body.text)
    assert json.loads(body["verbatim"]) == alert()
    assert (len(body["sha256"]), body["cut"]) == (64, False)


def test_closed_incident_stays_closed_until_there_is_a_new_alert(house: House) -> None:
    sent(house, alert())
    said = Author("anna", house.app.clock.now())
    Desk(house.app.catalogue, 1, said).close("a test of ours")
    assert sent(house, alert(), alert("resolved")).unchanged == 2
    later = {**alert(), "startsAt": "2026-11-28T13:30:00Z"}
    assert sent(house, later).opened == [2]
    Desk(house.app.catalogue, 2, said).merge(open_one := sent(house, named("f2")).opened[0], "")
    changed = {**later, "annotations": {"summary": "more"}}
    assert sent(house, changed).updated == [open_one], "where it continues"
    assert sent(house, changed).unchanged == 1
    assert sent(house, {**alert("resolved"), "fingerprint": "new"}).unchanged == 1, "it was over"


def test_flood_opens_few_incidents_and_is_counted_in_one_entry(house: House) -> None:
    use(house, open_at_most=3, per_minute=5)
    result = sent(house, *[named(f"f{n}") for n in range(10)])
    assert (result.opened, result.left_out) == ([1, 2, 3], {TOO_MANY_OPEN: 7})
    told = [line.text for line in lines(house, 3)][-1]
    assert told.startswith("7 alerts of alertmanager left out since ")
    assert told.endswith(f": 7 because {TOO_MANY_OPEN}")
    before = len(list(house.app.catalogue.records.read()))
    changes = [named("f0", annotations={"summary": str(n)}) for n in range(10)]
    result = sent(house, *changes)
    assert (len(result.updated), result.left_out[TOO_FAST]) == (2, 8)
    assert len(list(house.app.catalogue.records.read())) == before + 2, "counted, and told later"
    author = Author("intake", house.app.clock.now() + timedelta(seconds=61))
    assert house.app.catalogue.intake.sources_left_out() == ["alertmanager"]
    intake_of(house.app, author).tell_left_out("alertmanager")
    assert lines(house, 3)[-1].text.endswith(f"8 because {TOO_FAST}")
    assert house.app.catalogue.intake.sources_left_out() == []
    assert sent(house, *changes[-1:], later_s=122).updated == [1]


def test_text_of_others_stays_text(house: House) -> None:
    nasty = "x\x1b]0;owned\x07\u202e${jndi:ldap://h} $(reboot) '; DROP TABLE incidents;--"
    one = {**alert(plan=nasty), "annotations": {"summary": nasty}, "fingerprint": nasty}
    assert sent(house, one).opened == [1]
    assert sent(house, one).unchanged == 1
    assert incident(house).plans == ()
    assert "DROP TABLE" in incident(house).title


def test_operator_opens_and_reader_only_reports(house: House) -> None:
    message = {"message": webhook(alert()).decode()}
    path = "/v1/incidents/intake"
    status, told = ask(house.path, BERT, [READERS], path, message)
    assert (status, told["reported"], told["opened"]) == (200, [1], [])
    assert (incident(house).state, incident(house).plans) == ("reported", ("shop",))
    assert ask(house.path, BERT, [READERS], path, message)[1]["unchanged"] == 1
    # What a reader has reported hides nothing from those who may open incidents.
    status, told = ask(house.path, STRANGER, [OPERATORS], path, message)
    assert (status, told["opened"]) == (200, [2])
    over = {"message": webhook(alert("resolved")).decode()}
    assert ask(house.path, BERT, [READERS], path, over)[1]["updated"] == [1]
    assert "is over" not in " ".join(line.text for line in lines(house, 2))
    mapped = {
        "message": '{"n": 7, "t": "strange"}',
        "mapping": {"source": "own", "id": "n", "title": "t"},
    }
    assert ask(house.path, STRANGER, [OPERATORS], path, mapped)[1]["opened"] == [3]
    for wrong in ({"message": "{"}, {"message": "\ud800"}, {**mapped, "mapping": {"source": "x"}}):
        status, told = ask(house.path, STRANGER, [OPERATORS], path, wrong)
        assert status == 400, told


# --- the listener ---------------------------------------------------------------------------


@pytest.fixture
def listener(house: House, tmp_path: Path) -> Iterator[IntakeListener]:
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n")
    use(house, listen=("127.0.0.1", 0), token=SecretRef("file", str(secret)))
    made = IntakeListener(house.app)
    made.listen()
    yield made
    made._closed.set()
    made._stop()


def post(
    listener: IntakeListener,
    body: bytes | None,
    path: str = "/intake",
    *,
    method: str = "POST",
    **headers: str,
) -> tuple[int, dict[str, Any]]:
    server = listener._server
    assert server is not None
    connection = http.client.HTTPConnection(*server.address, timeout=20)
    try:
        given = {"Authorization": f"Bearer {TOKEN}", **headers}
        connection.request(method, path, body, {k: v for k, v in given.items() if v})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_listener_takes_alerts_of_those_with_the_token(
    house: House, listener: IntakeListener
) -> None:
    assert post(listener, webhook(alert()))[1]["opened"] == [1]
    assert post(listener, webhook(alert()))[1] == {
        "opened": [], "reported": [], "updated": [], "unchanged": 1, "left_out": {},
    }  # fmt: skip
    entry = next(iter(house.app.catalogue.records.read()))
    assert (entry.header.actor_kind, entry.header.actor_name) == ("drd", "drd")
    for wrong in ("", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer"):
        status, told = post(listener, webhook(alert()), Authorization=wrong)
        assert (status, "token" in told["error"]) == (401, True), wrong
    assert post(listener, b"{")[0] == 400
    assert post(listener, b"x" * (256 * 1024 + 1))[0] == 413
    assert post(listener, None, **{"Content-Length": "9" * 5000})[0] == 413
    assert post(listener, None, **{"Content-Length": "-1"})[0] == 400
    assert post(listener, None, **{"Transfer-Encoding": "chunked"})[0] == 411


def test_listener_answers_nothing_else(listener: IntakeListener) -> None:
    for path in ("/", "/metrics", "/v1/status", "/intake/", "/intake?x=1"):
        assert post(listener, b"{}", path)[0] == 404, path
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        if method != "HEAD":
            assert post(listener, None, method=method)[0] == 405, method


def test_listener_refuses_too_many_messages(
    listener: IntakeListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(TOKEN, 1, lambda _: Outcome(HTTPStatus.OK, {}))
    assert sum(gate.may_enter() for _ in range(int(BURST))) == BURST
    monkeypatch.setattr("drd.web.intake.RATE", 0.0)
    gate.may_enter()
    assert not gate.may_enter()
    monkeypatch.setattr(Gate, "may_enter", lambda _: False)
    status, told = post(listener, webhook(alert()))
    assert (status, "messages a second" in told["error"]) == (429, True)
    assert post(listener, webhook(alert()), Authorization="")[0] == 401


def test_alerts_over_the_limit_are_asked_for_again(house: House, listener: IntakeListener) -> None:
    intake = replace(house.app.settings.intake, per_minute=1)
    house.app.settings = replace(house.app.settings, intake=intake)
    status, told = post(listener, webhook(named("a"), named("b")))
    assert (status, told["opened"]) == (429, [1])
    assert "more than 1 alerts a minute" in told["error"]


def test_at_once_is_opened_once(house: House, listener: IntakeListener) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.extend(post(listener, webhook(alert()))[1]["opened"]))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1]
    assert house.app.catalogue.incidents.open_numbers() == [1]


def test_short_or_missing_token_opens_no_listener(house: House, tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("123456789012345\n")
    for file in (short, tmp_path / "none"):
        use(house, listen=("127.0.0.1", 0), token=SecretRef("file", str(file)))
        made = IntakeListener(house.app)
        made.listen()
        assert made._server is None

"""Attack: somebody floods drd with alerts, writes into the terminal of the person on call, closes
or hides an incident, or opens one without the token. Alerts of others are data."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from drd.api.incident_intake import intake_of, take_in
from drd.daemon.intake import IntakeListener
from drd.flows.incidents.intake import OUT_OF_TIME, TOO_FAST, TOO_MANY_OPEN, Result, _begins, key_of
from drd.flows.incidents.messages import known
from drd.flows.incidents.writing import Desk
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.incident import Incident, Taken
from drd.model.incidents.intake_rules import IntakeSettings
from drd.model.incidents.states import State
from drd.model.incidents.timeline import Line, timeline
from drd.model.intake.reading import signals
from drd.model.intake.signal import Signal
from drd.model.plan import SecretRef
from drd.web import Outcome
from drd.web.intake import BURST, Gate
from drd.web.server import CONNECTIONS
from tests.api_support import BERT, OPERATORS, READERS, STRANGER, House, ask
from tests.unit.test_incident_messages import CONTENT
from tests.unit.test_intake import FINDING, alert, webhook
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


def test_products_of_ocsf_have_own_limits_and_inventing_some_evades_none(house: House) -> None:
    use(house, open_at_most=1)

    def found(*products: str) -> Result:
        of = [
            {**FINDING, "metadata": {"product": {"vendor_name": "acme", "name": name}}}
            for name in products
        ]
        return take_in(house.app, Author("intake", house.app.clock.now()), json.dumps(of).encode())

    assert (found("a", "b").opened, found("a", "b").unchanged) == ([1, 2], 2), "the same uid"
    invented = found(*"cdefgh")
    assert (invented.opened, invented.left_out) == ([3, 4, 5], {TOO_MANY_OPEN: 3})
    assert lines(house, 5)[-1].text.startswith("3 alerts of ocsf left out since ")
    assert found("z").left_out == {TOO_MANY_OPEN: 1}
    assert sent(house, alert()).opened == [6], "another system"


def test_findings_of_ocsf_go_on_in_the_incidents_that_older_versions_opened(house: House) -> None:
    """Those wrote the name of the system alone into the catalogue, whatever the product."""
    use(house)

    def finding(name: str, product: str = "Guard") -> dict[str, Any]:
        metadata = {"product": {"vendor_name": "acme", "name": product}}
        info = {**FINDING["finding_info"], "uid": name}
        return {**FINDING, "finding_info": info, "metadata": metadata}

    def found(*events: dict[str, Any], of: str = "") -> Result:
        author = Author("intake", house.app.clock.now())
        return take_in(house.app, author, json.dumps(events).encode(), of=of)

    def before(name: str, of: str = "") -> None:
        author = Author("intake", house.app.clock.now())
        [signal] = signals(json.dumps(finding(name)).encode(), None)
        intake_of(house.app, author, of=of).take([replace(signal, source="ocsf")])

    before("one")
    before("two")
    before("three", of="bin")
    assert [i.rule for i in house.app.catalogue.incidents.newest()][:2] == [
        "intake ocsf of bin: three", "intake ocsf: two"
    ]  # fmt: skip
    Desk(house.app.catalogue, 2, Author("Anna", house.app.clock.now())).close("over")
    again = found(finding("one"), finding("two"))
    assert (again.opened, again.updated, again.unchanged) == ([], [], 2)
    assert found(finding("three"), of="bin").unchanged == 1
    more = {**finding("one"), "severity_id": 2}
    assert (found(more).updated, found(more).unchanged) == ([1], 1), "by the name of now, once"
    assert found(finding("one", "Watch")).opened == [4], "another product"
    assert found({**more, "status_id": 4}).updated == [1]


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


def intake(house: House, user: int, group: int, *alerts: dict[str, Any], **more: Any) -> Any:
    message = {"message": webhook(*alerts).decode(), **more}
    return ask(house.path, user, [group], "/v1/incidents/intake", message)


def of_source(name: str, count: int) -> dict[str, Any]:
    alerts = [{"i": str(n), "t": "x"} for n in range(count)]
    return {
        "message": json.dumps(alerts),
        "mapping": {"source": name, "id": "i", "title": "t"},
    }


def test_reader_has_one_share_whatever_the_source_is_called(house: House) -> None:
    def send(name: str, count: int) -> tuple[int, dict[str, Any]]:
        body = of_source(name, count)
        return ask(house.path, STRANGER, [READERS], "/v1/incidents/intake", body)

    def report(user: int) -> tuple[int, dict[str, Any]]:
        return ask(house.path, user, [READERS], "/v1/incidents/report", {"text": "odd"})

    status, told = send("s0", 21)
    assert (status, "has 21 alerts, but drd accepts at most 20" in told["error"]["message"]) == (
        400,
        True,
    )
    assert report(STRANGER)[0] == 200
    status, told = send("s1", 12)
    assert (status, len(told["reported"]), told["left_out"]) == (200, 9, {TOO_MANY_OPEN: 3})
    for status, told in (send("s2", 5), report(STRANGER)):
        assert (status, "nobody has examined yet" in told["error"]["message"]) == (429, True)
    assert send("s1", 9)[1]["unchanged"] == 9
    assert house.app.catalogue.intake.sources_left_out() == [], "the answer says it"
    assert report(BERT)[0] == 200, "each user has an own share"
    assert len(house.app.catalogue.incidents.newest()) == 11
    said = Author("anna", house.app.clock.now())
    Desk(house.app.catalogue, 1, said).close("examined")
    assert report(STRANGER)[0] == 200


def test_reader_waits_for_no_place_while_another_message_is_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Lock()
    monkeypatch.setattr("drd.api.incident_answers._of_readers", held)
    with held:
        assert intake(house, STRANGER, READERS, alert())[0] == 429
        assert intake(house, BERT, OPERATORS, alert())[1]["opened"] == [1]
    assert intake(house, STRANGER, READERS, alert())[1]["reported"] == [2]


def test_message_ends_with_its_request(house: House) -> None:
    author = Author("intake", house.app.clock.now())
    result = take_in(house.app, author, webhook(alert()), ends_at=0.0)
    assert (result.opened, result.left_out, result.is_too_fast) == ([], {OUT_OF_TIME: 1}, True)
    assert house.app.catalogue.intake.sources_left_out() == ["alertmanager"]


def test_long_ids_stay_apart(house: House) -> None:
    long = "arn:" + "a" * 300
    assert sent(house, named(f"{long}/one"), named(f"{long}/two")).opened == [1, 2]
    ids = [{"i": f"{long}/{n}", "t": "x"} for n in range(2)]
    body = {**of_source("own", 0), "message": json.dumps(ids)}
    told = ask(house.path, BERT, [OPERATORS], "/v1/incidents/intake", body)[1]
    assert told["opened"] == [3, 4]


def test_no_alert_hides_a_later_one_for_good(house: House) -> None:
    store, said = house.app.catalogue, Author("anna", house.app.clock.now())
    wrong_clock = named("f", startsAt="9990-01-01T00:00:00Z")
    assert sent(house, wrong_clock).opened == [1]
    Desk(store, 1, said).close("a wrong clock")
    assert sent(house, wrong_clock, later_s=60).unchanged == 1
    at = (house.app.clock.now() + timedelta(seconds=60)).isoformat()
    assert sent(house, named("f", startsAt=at), later_s=120).opened == [2]
    Desk(store, 2, said).close("done")
    own = of_source("own", 1)
    numbers = []
    for number in (3, 4):
        told = ask(house.path, BERT, [OPERATORS], "/v1/incidents/intake", own)[1]
        numbers += told["opened"]
        again = ask(house.path, BERT, [OPERATORS], "/v1/incidents/intake", own)[1]
        assert again["unchanged"] == 1
        Desk(store, number, said).close("done")
    assert numbers == [3, 4], "without times, what comes after a close is new"


def test_closed_incident_whose_alert_was_redacted_hides_nothing() -> None:
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    again = Signal("x", "1", "t", started_at=now)
    closed = Incident(1, state=State.CLOSED, taken={})
    assert _begins(closed, again, now, apart=False)
    said = {key_of(again): Taken(again.content, resolved=False, started_at=now)}
    assert not _begins(replace(closed, taken=said), again, now, apart=False)


def test_alerts_add_nothing_where_their_sender_has_no_role(house: House) -> None:
    store, said = house.app.catalogue, Author("anna", house.app.clock.now())
    assert intake(house, BERT, OPERATORS, alert())[1]["opened"] == [1]
    body = {"title": "secret", "restricted": True}
    assert ask(house.path, BERT, [OPERATORS], "/v1/incidents/open", body)[0] == 200
    Desk(store, 1, said).merge(2, "")
    before = store.incidents.get(2).last
    noise = alert(severity="warning")
    assert intake(house, STRANGER, OPERATORS, noise)[1]["reported"] == [3]
    assert intake(house, STRANGER, OPERATORS, noise)[1]["unchanged"] == 1
    assert store.incidents.get(2).last == before
    assert intake(house, BERT, OPERATORS, noise)[1]["updated"] == [2], "who opened it may"
    assert sent(house, alert()).updated == [2], "the listener may"


def test_reader_adds_nothing_to_an_incident_opened_from_their_report(house: House) -> None:
    store, said = house.app.catalogue, Author("anna", house.app.clock.now())
    assert intake(house, STRANGER, READERS, alert())[1]["reported"] == [1]
    Desk(store, 1, said).open_report("a leak", plans=[], severity="", restricted=False)
    before = store.incidents.get(1).last
    assert intake(house, STRANGER, READERS, alert())[1]["unchanged"] == 1
    assert intake(house, STRANGER, READERS, alert(severity="low"))[1]["reported"] == [2]
    assert intake(house, STRANGER, READERS, alert(severity="none"))[1]["updated"] == [2]
    assert store.incidents.get(1).last == before


# --- mails that came back -------------------------------------------------------------------


def mailed(house: House, number: int) -> None:
    """A message of the incident that the mail server has accepted for its first recipient."""
    said = Author("anna", house.app.clock.now())
    acts = [("send", {"recipients": [0, 1]}), ("accepted", {"recipient": 0, "name": "Acme"})]
    made = [draft(kinds.DRAFT, number, said, {"content": CONTENT.to_json()})]
    made += [
        draft(kinds.MESSAGE, number, said, {"act": act, "message": 1, **body}) for act, body in acts
    ]
    house.app.catalogue.incidents.add(number, lambda _: made)


def report(number: int = 0, **more: str) -> bytes:
    """The report about that mail; without a number, it cites none."""
    one = {"final_recipient": "rfc822; it@acme.example", "action": "failed", **more}
    cited = f"incident-{number}.1.0.{CONTENT.digest[:16]}"  # of an earlier version
    return json.dumps({**one, "message_id": f"<{cited}@us.example>"} if number else one).encode()


def fate(house: House, number: int = 1) -> str:
    return str(known(house.app.catalogue, number)[0].deliveries[0].fate)


def of_user(house: House, user: int, group: int, raw: bytes) -> tuple[int, dict[str, Any]]:
    return ask(house.path, user, [group], "/v1/incidents/intake", {"message": raw.decode()})


def test_listener_records_a_mail_that_came_back_once(
    house: House, listener: IntakeListener
) -> None:
    sent(house, alert())
    mailed(house, 1)
    for wrong in (report(7), report(1).replace(CONTENT.digest[:16].encode(), b"0" * 16)):
        status, told = post(listener, wrong)
        assert (status, "has no message 1 that fits the report" in told["error"]) == (400, True)
    assert fate(house) == "accepted"
    status, told = post(listener, report(1, diagnostic_code="smtp; 550 \x1b[31mfull"))
    returned = {"incident": 1, "message": 1, "to": "it@acme.example"}
    assert (status, told["bounced"]) == (200, [returned])
    assert fate(house) == "bounced"
    before = house.app.catalogue.incidents.get(1).last
    for again in (report(1, diagnostic_code="smtp; 550 \x1b[31mfull"), report(1), report()):
        status, told = post(listener, again)
        assert (status, told["bounced"], told["unchanged"]) == (200, [], 1)
    assert house.app.catalogue.incidents.get(1).last == before, "recorded once"


def test_report_that_cites_no_mail_is_found_by_its_recipient(
    house: House, listener: IntakeListener
) -> None:
    sent(house, alert(), named("f2"))
    mailed(house, 1)
    stranger = report(final_recipient="rfc822; x@y.example")
    status, told = post(listener, stranger)
    assert (
        status,
        "drd did not send a message to x@y.example in the last 14 days" in told["error"],
    ) == (
        400,
        True,
    )
    both = b"[" + stranger + b"," + report() + b"]"
    status, told = post(listener, both)
    assert (status, len(told["bounced"]), len(told["unmatched"])) == (200, 1, 1)
    mailed(house, 2)
    mailed(house, *sent(house, named("f3")).opened)
    status, told = post(listener, report(status="5.2.2"))
    assert (status, "2 mails went to it@acme.example" in told["error"]) == (400, True)


def test_only_operators_who_may_act_record_that_a_mail_came_back(house: House) -> None:
    body = {"title": "secret", "restricted": True}
    assert ask(house.path, BERT, [OPERATORS], "/v1/incidents/open", body)[0] == 200
    mailed(house, 1)
    assert of_user(house, BERT, READERS, report(1))[0] == 403
    status, told = of_user(house, STRANGER, OPERATORS, report())
    assert (status, "drd did not send a message to" in told["error"]["message"]) == (400, True)
    forged = report(1).replace(CONTENT.digest[:16].encode(), b"0" * 16)
    assert of_user(house, STRANGER, OPERATORS, forged)[0] == 400
    assert fate(house) == "accepted"
    # Who has the id of the mail, as the user of the mail server, may say so, and learns nothing.
    nothing = {"bounced": [], "unchanged": 0, "not_failed": 0, "withheld": 1, "unmatched": []}
    for _ in range(2):
        status, told = of_user(house, STRANGER, OPERATORS, report(1))
        assert (status, told) == (200, told | nothing)
        assert fate(house) == "bounced"
    assert of_user(house, BERT, OPERATORS, report(1))[1]["unchanged"] == 1


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


def test_other_users_push_no_message_out_of_the_listener(listener: IntakeListener) -> None:
    """A new connection replaces the oldest one, but none whose sender has shown the token."""
    server, body = listener._server, webhook(alert())
    assert server is not None
    head = f"POST /intake HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    with ExitStack() as opened:
        sent, known = [], 0
        for token in (TOKEN, "wrong" * 4):
            one = opened.enter_context(socket.create_connection(server.address, timeout=20))
            one.sendall(f"{head}Authorization: Bearer {token}\r\n\r\n".encode())
            sent.append(one)
        for _ in range(200):
            known = len(server._known)
            if known:
                break
            time.sleep(0.05)
        assert known == 1, "the one with the token"
        for _ in range(4 * CONNECTIONS):
            opened.enter_context(socket.create_connection(server.address, timeout=20))
        sent[0].sendall(body)
        assert b" 200 " in sent[0].recv(1 << 16).split(b"\r\n")[0] + b" "
    assert post(listener, body)[1]["unchanged"] == 1, "it was taken"


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
    assert (status, "messages in a second" in told["error"]) == (429, True)
    assert post(listener, webhook(alert()), Authorization="")[0] == 401


def test_alerts_over_the_limit_are_asked_for_again(house: House, listener: IntakeListener) -> None:
    limited = replace(house.app.settings.intake, per_minute=1)
    house.app.settings = replace(house.app.settings, intake=limited)
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

"""Attack: a member of the group `drd` reads an incident that is not his to read, acts in one, or
writes under another name. Operators respond through the socket: the kernel says who they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from drd.daemon.duties import DutyWatch
from drd.model.playbook import ExecutedPlaybook
from drd.model.run import RunKind, RunState
from drd.model.run_details import PlaybookDetail
from drd.model.step_results import PersonStepResult
from tests.api_support import ANNA, BERT, OPERATORS, PEOPLE, READERS, STRANGER, House, ask
from tests.user_support import as_root

pytestmark = as_root


def act(house: House, verb: str, uid: int = STRANGER, **body: Any) -> tuple[int, dict[str, Any]]:
    return ask(house.path, uid, [OPERATORS], f"/v1/incidents/{verb}", body)


def test_operator_responds_and_the_kernel_says_who_it_was(house: House) -> None:
    status, opened = act(house, "open", title="leak\x1b[2J", plans=["shop"], by="Carl")
    assert (status, opened["incident"], opened["plans"]) == (200, 1, ["shop"])
    for verb, body in (
        ("log", {"text": "blocked the key", "at": "-1h"}),
        ("anchor", {"moment": "aware", "at": "-30m"}),
        ("severity", {"severity": "high"}),
        ("assign", {"to": "Anna"}),
        ("role", {"role": "legal", "to": "Carl"}),
        ("task", {"text": "change the key", "to": "Carl", "due": "1h"}),
        ("task", {"done": 1}),
        ("scope", {"remove": ["shop"], "reason": "it was another"}),
        ("decide", {"text": "orders stay off", "reason": "data at risk"}),
        ("link", {"to": "https://tickets.example/1"}),
        ("state", {"state": "contained"}),
    ):
        status, told = act(house, f"only/{verb}", **body)
        assert status == 200, (verb, told)
    status, shown = ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/1")
    assert (shown["state"], shown["severity"], shown["lead"]) == ("contained", "high", "Anna")
    assert shown["timeline"][0]["text"] == "blocked the key"
    entries = list(house.app.catalogue.records.read())
    assert {(e.header.actor_name, e.header.came) for e in entries} == {("sys", "socket")}
    first = entries[0].body
    assert first is not None
    assert '"by":"Carl"' in first.text
    assert '"uid":3' in first.text
    reached = ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/only/scope")[1]
    assert (reached["incident"], reached["plans"]) == (1, [])
    assert act(house, "1/log", text="")[0] == 400
    assert act(house, "1/log", text="x" * 10_001)[0] == 400
    assert act(house, "1/log", text="x", at="tomorrow")[0] == 400
    assert act(house, "1/scope", add=["none"])[0] == 400
    for other in ("7", "1", "0", "9" * 40):  # a number is that of another incident
        status, told = act(house, "1/link", to=other)
        assert status == 400
        words = "incident 1 itself" if other == "1" else f"there is no incident {other}"
        assert words in told["error"]["message"]
    assert act(house, "1/link", to="ticket 7")[0] == 200
    assert act(house, "7/log", text="x")[0] == 400
    assert act(house, "0/log", text="x")[1]["error"]["message"].startswith("'0' is not a valid")
    status, told = act(house, "1/close", reason="a test of ours")
    assert (status, told["state"]) == (200, "closed")
    listed = ask(house.path, STRANGER, [OPERATORS], "/v1/incidents?all=true")[1]["incidents"]
    assert [one["state"] for one in listed] == ["closed"]


def test_operator_says_what_became_of_reports(house: House) -> None:
    act(house, "open", title="leak", plans=["shop"])
    act(house, "1/anchor", moment="aware", at="-1h")
    facts = {"facts": {"people": 5000, "residents.DE": None}}
    status, told = act(house, "only/obligation", **facts)
    assert (status, told["times"]) == (200, [])
    decided = {"regime": "eu-gdpr-33", "applies": True}
    assert act(house, "1/obligation", **decided)[0] == 400, "without a reason"
    assert act(house, "1/obligation", **decided, reason="addresses")[0] == 200
    status, told = act(house, "1/obligation", regime="eu-gdpr-33", submitted="now", channel="mail")
    assert (status, len(told["times"])) == (200, 1)
    path = "/v1/incidents/1/obligations"
    seen = ask(house.path, STRANGER, [OPERATORS], f"{path}?regime=eu-gdpr-33")[1]
    assert [clock["state"] for clock in seen["clocks"]] == ["filed"]
    assert seen["facts"]["people"] == 5000
    assert any("submitted" in text for _, text in seen["paragraphs"])
    draft = ask(house.path, STRANGER, [OPERATORS], f"{path}?regime=eu-gdpr-33&draft=true")[1]
    assert "Draft for eu-gdpr-33, incident 1" in draft["draft"]
    assert "contact" in draft["missing"]
    report = "Überall lagen Schlüssel. " * 2000
    assert act(house, "1/obligation", regime="eu-gdpr-33", keep=report)[0] == 200
    kept = ask(house.path, STRANGER, [OPERATORS], path)[1]["versions"]
    assert [version["sha256"] for version in kept] == [sha256(report.strip().encode()).hexdigest()]
    version = f"{path}?regime=eu-gdpr-33&draft=true&version={kept[0]['version']}"
    told = ask(house.path, STRANGER, [OPERATORS], version)[1]
    assert told["draft"] == report.strip()
    assert "BEGIN:VCALENDAR" in ask(
        house.path, STRANGER, [OPERATORS], f"{path}?calendar=true"
    )[1]["calendar"]  # fmt: skip
    for wrong in (
        {"regime": "eu-gdpr-34", "applies": True, "submitted": "now", "reason": "x"},
        {"regime": "none", "applies": True, "reason": "x"},
        {"applies": True, "reason": "x"},
        {"facts": {"people": "many"}},
    ):
        assert act(house, "1/obligation", **wrong)[0] == 400, wrong
    assert ask(house.path, BERT, [READERS], path)[0] == 403
    assert ask(house.path, BERT, [READERS], "/v1/incidents/1/obligation", facts)[0] == 403


def test_texts_may_be_as_long_as_on_the_command_line(house: House) -> None:
    act(house, "open", title="leak")
    assert act(house, "1/log", text="x" * 10_000)[0] == 200
    status, told = act(house, "1/log", text="x" * 10_001)
    assert (status, told["error"]["message"], told["error"]["hint"]) == (
        400,
        "text has 10,001 characters, more than the 10,000 that are allowed",
        "write at most 10,000 characters.",
    )


def test_reader_may_report_and_nothing_else(house: House) -> None:
    act(house, "open", title="leak")
    asks = [("", None), ("/1", None), ("/open", {"title": "x"}), ("/1/log", {"text": "x"})]
    for path, body in asks:
        status, told = ask(house.path, BERT, [READERS], f"/v1/incidents{path}", body)
        assert status == 403, path
        assert "group news" in told["error"]["hint"]
    assert ask(house.path, BERT, [READERS], "/v1/incidents/report", {"text": "odd"})[0] == 200


def test_restricted_incident_is_for_those_with_a_role_in_it(house: House) -> None:
    assert act(house, "open", BERT, title="one of us", restricted=True)[0] == 200
    assert act(house, "1/log", BERT, text="it was opened by this user")[0] == 200
    for verb, body in (("log", {"text": "x"}), ("role", {"role": "r", "to": "sys", "by": "bin"})):
        status, told = act(house, f"1/{verb}", **body)
        assert status == 403, verb
        assert "incident 1 is restricted, and sys has no role in it" in told["error"]["message"]
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/1")[0] == 403
    [listed] = ask(house.path, STRANGER, [OPERATORS], "/v1/incidents")[1]["incidents"]
    assert (listed["title"], listed["opened_by"], listed["entry"]) == ("", "", 0)
    item = {"text": "one of us leaves", "owner": "Anna", "due": "1h"}
    assert act(house, "1/action", BERT, **item, verified_by="check:shop/none")[0] == 400
    assert act(house, "1/action", BERT, **item, verified_by="drill:shop")[0] == 200
    for rest, code in (("", 200), ("?incident=1", 403)):
        status, told = ask(house.path, STRANGER, [OPERATORS], f"/v1/actions{rest}")
        assert (status, "one of us leaves" in str(told)) == (code, False)
    [told] = ask(house.path, BERT, [OPERATORS], "/v1/actions")[1]["actions"]
    assert (told["text"], told["verified_by"]) == ("one of us leaves", "drill:shop")
    assert act(house, "1/action", done=told["action"], reason="x")[0] == 403
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/1/postmortem")[0] == 403
    late = DutyWatch(house.app).conditions(datetime.now(UTC) + timedelta(hours=2))
    overdue = [one.text for one in late if one.kind == "action-overdue"]
    assert overdue == ["an action item of incident 1 is overdue"]
    # An incident that it was merged into does not show it either, and stays open to all.
    assert act(house, "1/scope", BERT, add=["shop"])[0] == 200
    assert act(house, "open", title="open to all")[0] == 200
    assert act(house, "2/merge", into=1)[0] == 403
    status, told = act(house, "1/merge", BERT, into=2, reason="one of us again")
    assert (status, len(told["notes"])) == (200, 1)
    for rest in ("", "/obligations", "/page", "/scope", "/clean-points", "/postmortem"):
        status, shown = ask(house.path, STRANGER, [OPERATORS], f"/v1/incidents/2{rest}")
        assert (status, "one of us" in str(shown), "shop" in str(shown)) == (200, False, False), (
            rest
        )
    assert act(house, "2/role", role="lead", to="sys")[0] == 200
    assert act(house, "2/log", text="all go on")[0] == 200
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/1")[0] == 403
    assert "one of us" not in str(ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/2")[1])
    assert act(house, "1/role", BERT, role="forensics", to="sys")[0] == 200
    assert "one of us" in str(ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/2")[1])
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/1")[0] == 200


def test_playbook_of_a_restricted_incident_is_for_those_with_a_role_in_it(house: House) -> None:
    assert act(house, "open", BERT, title="one of us", restricted=True)[0] == 200
    catalogue, now = house.app.catalogue, house.app.clock.now()
    detail = PlaybookDetail(incident=1, inputs={"account": "sysadmin"})
    owned = catalogue.runs.begin(
        ExecutedPlaybook("playbook:insider", "d"),
        RunKind.PLAYBOOK,
        trigger="manual",
        at=now,
        detail=detail,
    )
    catalogue.steps.begin(owned, "lock", "approve", now)
    catalogue.steps.wait(owned, "lock", "x", PersonStepResult(wanted="lock sysadmin"))
    run = f"/v1/runs/{owned.run.id}"
    acts = ("cancel", "steps/lock/approve", "steps/lock/done", "steps/lock/retry")
    asked = [(f"{run}/{one}", {}) for one in acts]
    asked += [(run, None), (f"{run}/outcome", None), (f"{run}/steps/lock/skip", {"reason": "x"})]
    for path, body in asked:
        status, told = ask(house.path, STRANGER, [OPERATORS], path, body)
        assert (status, "sysadmin" in str(told)) == (403, False), path
        assert "incident 1 is restricted" in told["error"]["message"]
    catalogue.runs.finish(owned, RunState.FAILED, at=now, error="cannot lock sysadmin")
    for uid, reads in ((STRANGER, False), (BERT, True)):
        listed = ask(house.path, uid, [OPERATORS], "/v1/runs")[1]
        assert (str(listed).count(owned.run.id), "sysadmin" in str(listed)) == (1, reads)
        assert [run["plan"] for run in listed["runs"]] == [
            "playbook:insider" if reads else "playbook:(restricted)"
        ]
    status, told = ask(house.path, BERT, [OPERATORS], run)
    assert (status, told["detail"]["inputs"]) == (200, {"account": "sysadmin"})


def test_what_a_merged_restricted_incident_owes_is_in_no_refusal(house: House) -> None:
    """Its regimes, times, versions and evidence: acts know only what the person may read."""
    assert act(house, "open", BERT, title="one of us", restricted=True)[0] == 200
    decided = {"regime": "eu-gdpr-33", "applies": True, "reason": "addresses"}
    assert act(house, "1/obligation", BERT, **decided)[0] == 200
    report = {"regime": "eu-gdpr-33", "keep": "a colleague did it"}
    assert act(house, "1/obligation", BERT, **report)[0] == 200
    item = act(house, "1/evidence", BERT, text="his laptop")[1]["entry"]
    act(house, "open", title="leak", plans=["shop"])
    act(house, "2/anchor", moment="aware", at="-1h")
    assert act(house, "1/merge", BERT, into=2, reason="one of us again")[0] == 200
    for verb in ("close", "state"):
        body = {"reason": "over"} | ({"state": "closed"} if verb == "state" else {})
        status, told = act(house, f"2/{verb}", **body)
        assert status == 400, verb
        assert "gdpr" not in str(told), verb
        assert "1 because of restricted entries" in told["error"]["message"]
        assert "eu-gdpr-33" in str(act(house, f"2/{verb}", BERT, **body)), "with a role"
    wrong = {"regime": "eu-gdpr-33", "submitted": "now", "version": 1}
    assert f"kept versions: {item - 1}" in str(act(house, "2/obligation", BERT, **wrong))
    assert "kept versions: none" in str(act(house, "2/obligation", **wrong))
    told = str(act(house, "2/cause", text="a leaked key"))
    assert "first record evidence" in told, told
    assert act(house, "2/cause", text="he did it", evidence=[item])[0] == 400
    assert act(house, "2/cause", BERT, text="he did it", evidence=[item])[0] == 200


def test_a_restricted_entry_is_for_those_with_a_role_in_the_incident(house: House) -> None:
    assert act(house, "open", BERT, title="leak", plans=["shop"])[0] == 200
    assert act(house, "1/log", BERT, text="it was an insider", restricted=True)[0] == 200
    first = list(house.app.catalogue.records.read())[-1].seq
    assert act(house, "1/log", BERT, text="of payroll", correct=first, reason="sure")[0] == 200
    of_all = {"correct": first - 1, "restricted": True, "reason": "x"}
    assert act(house, "1/log", BERT, text="payroll leaks", **of_all)[0] == 200
    for uid, reads in ((BERT, True), (STRANGER, False)):
        status, shown = ask(house.path, uid, [OPERATORS], "/v1/incidents/1")
        assert (status, shown["title"], len(shown["timeline"])) == (200, "leak", 4)
        assert ("payroll" in str(shown), "(restricted)" in str(shown)) == (reads, not reads)
    assert "insider" not in str(shown)
    # Nobody lets himself in: not by a role, nor as the lead, nor through an incident of his own.
    for verb, body in (("role", {"role": "r", "to": "sys"}), ("assign", {"to": "sys"})):
        status, told = act(house, f"1/{verb}", **body)
        assert status == 403, verb
        assert (
            "has restricted entries, and sys has no role in this incident"
            in told["error"]["message"]
        )
    assert act(house, "open", title="his own")[0] == 200
    assert act(house, "1/merge", into=2)[0] == 200
    for uid, reads in ((BERT, True), (STRANGER, False)):
        shown = ask(house.path, uid, [OPERATORS], "/v1/incidents/2")[1]
        assert any(word in str(shown) for word in ("insider", "payroll")) == reads, uid
    assert act(house, "1/role", BERT, role="forensics", to="sys")[0] == 200
    assert "payroll" in str(ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/2")[1])


def test_name_of_a_person_is_that_of_the_mapped_user(house: House) -> None:
    with (house.path.parents[1] / "drd.yaml").open("a") as file:
        file.write(PEOPLE)
    house.app.settings = house.app.read_settings()
    assert act(house, "open", ANNA, title="x")[0] == 403  # not an operator
    status, told = act(house, "open", title="x", by="Bert")
    assert (status, told["error"]["hint"].split(" ")[0]) == (400, "Bert")
    status, told = act(house, "open", BERT, title="of Bert", by="Anna", restricted=True)
    assert (status, told["opened_by"]) == (200, "Bert")


def test_operator_investigates_and_prints(house: House) -> None:
    act(house, "open", BERT, title="leak", plans=["shop"])
    act(house, "1/log", BERT, text="it was an insider", restricted=True)
    digest = {"sha256": "a" * 64, "bytes": 7}
    for verb, body in (
        ("hypothesis", {"text": "the key leaked"}),
        ("evidence", {"text": "a log", "where": "safe 3", "taken": "-1h", **digest}),
        ("indicator", {"value": "hxxps://evil[.]example", "seen": "-1h", "expires": "30d"}),
    ):
        status, told = act(house, f"only/{verb}", **body)
        assert status == 200, (verb, told)
    path = "/v1/incidents/1"
    found = ask(house.path, STRANGER, [OPERATORS], path)[1]["investigation"]
    ((supposed,), (item,), (seen,)) = (found[k] for k in ("hypotheses", "evidence", "indicators"))
    assert (item["where"], item["sha256"], item["bytes"]) == ("safe 3", "a" * 64, 7)
    assert (seen["value"], len(seen["hash"])) == ("https://evil.example", 64)
    shows = {"evidence": [item["entry"]]}
    assert act(house, "1/hypothesis", supported=supposed["entry"], **shows)[0] == 200
    assert act(house, "1/cause", text="a published key", **shows)[0] == 200
    for verb, wrong in (
        ("hypothesis", {"text": "x", "reason": "y"}),
        ("hypothesis", {"refuted": item["entry"], "reason": "y"}),
        ("indicator", {"value": "x", "type": "none"}),
        ("indicator", {"withdraw": supposed["entry"], "reason": "x"}),
        ("evidence", {"text": "x", "sha256": "abc"}),
        ("evidence", {"text": "x", "run": "1a2b"}),
        ("cause", {"text": "another"}),
    ):
        assert act(house, f"1/{verb}", **wrong)[0] == 400, (verb, wrong)
    page = ask(house.path, STRANGER, [OPERATORS], f"{path}/page")[1]["html"]
    assert "a published key" in page
    assert "insider" not in page
    assert "insider" in ask(house.path, BERT, [OPERATORS], f"{path}/page")[1]["html"]
    assert ask(house.path, BERT, [READERS], f"{path}/page")[0] == 403


CONTACTS = """\
contacts: [{name: DPA, kind: authority, phone: "+49 30 1"}]
incident: {approval: {roles: [commander], two_person: true}}
"""


def test_operator_writes_and_another_with_the_role_approves(house: House) -> None:
    with (house.path.parents[1] / "drd.yaml").open("a") as file:
        file.write(PEOPLE.replace("roles: [operator]", "roles: [operator, commander]") + CONTACTS)
    house.app.settings = house.app.read_settings()
    act(house, "open", BERT, title="leak", plans=["shop"])
    act(house, "1/log", BERT, text="it was an insider", restricted=True)
    starred = list(house.app.catalogue.records.read())[-1].seq
    act(house, "1/log", BERT, star=starred)
    composed = {"audience": "regulator", "values": {"nature": "orders"}}
    status, told = act(house, "1/messages/preview", **composed)
    assert (status, told["parts"][0]["recipients"][0]["name"]) == (200, "DPA"), told
    seen = act(house, "1/messages/preview", audience="internal", text="x")[1]
    assert seen["problem"]["message"].startswith("drd.yaml does not define a channel")
    assert "insider" not in str(seen)
    status, told = act(house, "only/messages/draft", **composed)
    assert (status, told["incident"], told["message"]) == (200, 1, 1)
    digest = {"digest": told["content"]["digest"]}
    assert "nobody has approved" in act(house, "1/messages/1/send")[1]["error"]["message"]
    status, told = act(house, "1/messages/1/approve", **digest)
    assert (status, told["error"]["message"].split(":")[0]) == (400, "sys may not approve messages")
    assert "Bert or Carl" in told["error"]["hint"]
    status, told = act(house, "1/messages/1/approve", **digest, by="Carl")
    assert told["error"]["message"].startswith("sys drafted this message")
    status, told = act(house, "1/messages/1/approve", BERT, **digest)
    assert (status, told["approved_by"]) == (200, "Bert")
    before = house.woken
    status, told = act(house, "1/messages/1/send")
    assert (status, told["deliveries"][0]["fate"]) == (200, "to be told by a person")
    assert house.woken == before + 1
    assert act(house, "1/messages/1/told", said="4711", at="-1m")[0] == 200
    listed = ask(house.path, STRANGER, [OPERATORS], "/v1/incidents/1/messages")[1]["messages"]
    assert listed[0]["deliveries"][0]["fate"] == "told"
    assert act(house, "1/messages/draft", **composed)[0] == 200
    assert act(house, "1/messages/2/withdraw", reason="wrong")[0] == 200
    assert act(house, "1/messages/7/withdraw", reason="wrong")[0] == 400
    assert act(house, "1/messages/1/bounced", said="550")[0] == 400, "it was no mail"


def test_messages_of_a_restricted_incident_are_for_those_with_a_role(house: House) -> None:
    act(house, "open", BERT, title="one of us", restricted=True)
    act(house, "1/messages/draft", BERT, audience="business-owner", text="x", to=["Anna"])
    paths = ["1/messages", "1/messages/1", "1/page"]
    asked = [(path, None) for path in paths]
    asked += [("1/messages/preview", {"audience": "press"}), ("1/messages/1/send", {})]
    for path, body in asked:
        assert ask(house.path, STRANGER, [OPERATORS], f"/v1/incidents/{path}", body)[0] == 403
        assert ask(house.path, BERT, [READERS], f"/v1/incidents/{path}", body)[0] == 403

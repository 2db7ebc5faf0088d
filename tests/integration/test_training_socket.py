"""Attesting a text over the socket: it counts for the user whom the kernel names alone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drd.cli.exercise_remote import RemoteTable, document_of, text_of
from drd.cli.remote import Remote
from drd.errors import UsageError
from drd.flows.exercises.playing import find
from drd.model.exercises.carried import played_of_json, played_to_json
from drd.signing import new_key
from tests.api_support import ANNA, BERT, OPERATORS, PEOPLE, READERS, STRANGER, House, ask
from tests.user_support import as_root

ATTEST = "/v1/training/attest"


@as_root
def test_only_the_users_own_attestation_is_recorded(short_tmp: Path) -> None:
    (key := short_tmp / "key").write_text(new_key())
    key.chmod(0o600)
    with closing(House(short_tmp, f"{PEOPLE}records: {{key: {{file: {key}}}}}\n")) as house:

        def asked(uid: int, address: str, *groups: int, **body: str) -> tuple[int, str]:
            status, told = ask(house.path, uid, groups, address, body or None)
            return status, str(told.get("error", told))

        _, text = ask(house.path, ANNA, (), "/v1/training/texts?text=report")
        body = {"text": "report", "digest": text["digest"]}
        status, told = asked(ANNA, ATTEST, **body, by="Bert")
        assert (status, "cannot attest a text for 'Bert'" in told) == (400, True), told
        status, told = asked(ANNA, ATTEST, text="report", digest="0" * 64)
        assert (status, "changed after you read it" in told) == (400, True), told
        assert asked(ANNA, ATTEST, **body)[0] == 200
        assert asked(STRANGER, ATTEST, READERS, **body)[0] == 200
        for wrong in ({**body, "user": "bin"}, {**body, "text": "../x"}, {"text": "report"}):
            assert asked(ANNA, ATTEST, **wrong)[0] == 400
        _, told_of = ask(house.path, BERT, (), "/v1/training")
    done = {p["person"]: [q["state"] for q in p["qualifications"]] for p in told_of["people"]}
    assert done == {"Anna": ["valid"], "Bert": [], "Carl": [], "sys": ["valid"]}


@as_root
def test_operator_drill_is_asked_for_by_whom_the_kernel_names(short_tmp: Path) -> None:
    with closing(House(short_tmp, PEOPLE)) as house:

        def asked(uid: int, **body: object) -> tuple[int, dict[str, object]]:
            return ask(house.path, uid, (), "/v1/plans/shop/drill", body)

        assert asked(ANNA, scenario="operator")[0] == 403, "no operator"
        assert asked(BERT, by="Anna")[0] == 400
        status, told = asked(BERT, scenario="operator", by="Anna")
        assert status == 200, told
        [run] = house.app.catalogue.queue.open_runs()
        assert (run.subject, run.actor is not None and run.actor.user) == ("operator", "bin")
        assert run.actor is not None
        assert run.actor.claimed_by == "Anna"
        assert asked(BERT, blind=True)[0] == 400, "only with the scenario operator"
        assert asked(BERT, scenario="operator", blind=True)[0] == 409, "another one is under way"
        assert asked(BERT, scenario="operator")[1]["joined"] is True
        assert asked(BERT)[1]["joined"] is False, "a drill of the schedule is another one"
        status, told = ask(house.path, STRANGER, [READERS], "/v1/plans/shop/runbook")
        assert (status, "only root may see" in str(told)) == (403, True), "as `drd plan show`"
        assert "sudo drd drill shop --scenario operator --blind" in str(told)


FRIDAY = """\
exercise: friday
title: Friday
about: A mail.
injects:
  - name: mail
    at: 0m
    tell: A mail came.
    questions: [{name: call, ask: Whom do you call?, words: [lead]}]
    decisions: [{name: "off", ask: Off?, options: [cut off, wait], right: [cut off]}]
    expect: [{name: told, what: Somebody was told.}, {name: ran, what: It was run., run: insider}]
  - {name: later, at: 5m, tell: Another one.}
"""


@as_root
def test_an_exercise_is_played_by_whom_the_kernel_names(short_tmp: Path) -> None:
    (short_tmp / "own").mkdir()
    (short_tmp / "own/friday.yaml").write_text(FRIDAY)
    with closing(House(short_tmp, f"{PEOPLE}exercises: own\n")) as house:

        def asked(uid: int, address: str, *groups: int, **body: Any) -> tuple[int, dict[str, Any]]:
            return ask(house.path, uid, groups, f"/v1/exercises{address}", body or None)

        begin = {"exercise": "friday", "speed": 60.0}
        assert asked(STRANGER, "/begin", READERS, **begin)[0] == 403
        assert asked(ANNA, "/begin", OPERATORS, **begin)[0] == 403, "no operator by her roles"
        assert asked(BERT, "/begin", **begin, by="Anna")[1]["by"] == "Bert"
        status, told = asked(STRANGER, "/begin", OPERATORS, **begin, by="Carl")
        assert (status, told["by"], told["speed"]) == (200, "Carl", 60.0)
        number = told["number"]

        def act(verb: str, **body: Any) -> tuple[int, str, dict[str, Any]]:
            status, told = asked(STRANGER, f"/{number}/{verb}", OPERATORS, **body)
            return status, str(told.get("error", {}).get("message", "")), told

        assert "has not asked a question" in act("answer", question="call", text="x")[1]
        assert act("tell", inject="mail", elapsed_s=1.5)[0] == 200
        for verb, body, says in (
            ("tell", {"inject": "mail"}, "has no inject 'mail' that people did not get"),
            ("tell", {"inject": "later", "elapsed_s": -1}, "greater than or equal to 0"),
            ("tell", {"inject": "later", "elapsed_s": 1e300}, "less than or equal to"),
            ("answer", {"question": "off", "text": "sleep"}, "is not one of the options"),
            ("answer", {"question": "call", "text": "x" * 4001}, "more than the 4,000"),
            ("judge", {"expectation": "ran", "verdict": "met"}, "has no expectation 'ran' that"),
            ("judge", {"expectation": "told", "verdict": "late"}, "verdict"),
            ("note", {"text": " "}, "the text is empty"),
            ("note", {"text": "x", "run": "1"}, "extra inputs"),
        ):
            status, message, _ = act(verb, **body)
            assert (status, says in message) == (400, True), (verb, body, message)
        assert asked(STRANGER, "/999/end", OPERATORS, by="Carl")[0] == 400
        assert asked(STRANGER, "/0/end", OPERATORS, by="Carl")[0] == 400
        act("answer", question="call", text="the lead\x1b[2J", elapsed_s=60, speaker="Anna")
        assert "has an answer already" in act("answer", question="call", text="y")[1]
        act("answer", question="off", text="1")
        act("judge", expectation="told", verdict="met", text="yes")
        status, _, told = act("runs", by="Carl")
        assert [i["result"] for i in told["items"] if i["name"] == "ran"] == ["missed"]
        act("tell", inject="later")
        status, _, told = act("end", by="Carl")
        assert (status, told["complete"], told["counts"]["met"]) == (200, True, 3)
        assert "is over" in act("note", text="late")[1]
        played = find(house.app.catalogue, number)
        assert played_of_json(played_to_json(played)) == played_of_json(told["play"]) == played
        assert {(e.header.actor_name, e.header.came) for e in house.app.catalogue.records.read()
                if e.seq > number} == {("sys", "socket")}  # fmt: skip


def test_the_table_of_a_member_is_that_of_the_daemon(short_tmp: Path) -> None:
    with closing(House(short_tmp)) as house:
        remote = Remote(house.app)
        exercise = text_of(remote, "insider")
        for wrong in ("./insider.yaml", "none"):
            with pytest.raises(UsageError):
                text_of(remote, wrong)
        table = RemoteTable.begin(remote, exercise.name, by="Carl", speed=0.0)
        table.tell(exercise.injects[0].name, None)
        decision = next(q for q in exercise.injects[0].questions if q.is_decision)
        with pytest.raises(UsageError, match="is not one of the options"):
            table.answer(decision, "sleep", None)
        table.answer(decision, "1", None, by="Anna")
        table.note("write it down", None, improves=True)
        table.judge_runs()
        table.end()
        assert document_of(remote, table.played.number)[1] == table.played
        assert table.played == find(house.app.catalogue, table.played.number)

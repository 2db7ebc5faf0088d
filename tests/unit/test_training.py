"""Training: who meets what until when, which records count, and what is overdue."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from drd.config.awareness import AwarenessTexts, load_texts
from drd.config.exercises import load_exercises
from drd.errors import ConfigError, UsageError
from drd.model.actor import Actor
from drd.model.exercises import played as kinds
from drd.model.exercises.stored import exercise_to_json
from drd.model.records import Draft, Entry
from drd.model.training import (
    Attested,
    AwarenessRule,
    AwarenessText,
    Crew,
    Drilled,
    Known,
    OperatorsRule,
    Qualification,
    ReviewPolicy,
    Standing,
    TrainingPolicy,
    attestations,
    operators,
    unknown_texts,
)
from drd.model.training_findings import of_review, of_training
from drd.model.training_records import (
    ATTESTED,
    DRILLED,
    Belief,
    attested,
    drilled,
    of_attestation,
    proven_user,
    took_part,
)
from drd.signing import accepts
from tests.config_support import GOOD, load
from tests.records_support import ANNA, BEGUN, Chain, key
from tests.schedule_support import plan as plan_of

NOW = BEGUN + timedelta(days=400)
REPORT = AwarenessText("report", "How to report", "# How to report\nCall.", "d2")
TEXTS = {"report": REPORT}
CREW = Crew({"Anna": ("dba",), "Bob": (), "Carol": ()}, {"anna": "Anna", "bob": "Bob"})
RULE = AwarenessRule(86400.0 * 365)


def read(user: str, days: float, digest: str = "d2") -> Attested:
    return Attested(user, "report", digest, NOW - timedelta(days=days), 1)


def by_person(*done: Attested, rule: AwarenessRule = RULE) -> Mapping[str, Qualification]:
    return {q.person: q for q in attestations(rule, Known(done), CREW, TEXTS, NOW)}


def test_attestation_counts_until_its_time_is_over_or_the_text_changes() -> None:
    found = by_person(read("anna", 364), read("anna", 800), read("bob", 366))
    assert found["Anna"].standing is Standing.VALID
    assert found["Anna"].until == NOW + timedelta(days=1)
    assert found["Bob"].standing is Standing.EXPIRED
    assert found["Carol"].standing is Standing.NO_USER
    assert by_person(read("anna", 1, "d1"))["Anna"].standing is Standing.CHANGED
    assert by_person(read("anna", 2), read("anna", 1, "d1"))["Anna"].is_valid
    assert by_person()["Bob"].standing is Standing.NEVER
    assert by_person(read("anna", -1))["Anna"].standing is Standing.NEVER, "of the future"
    assert set(by_person(rule=replace(RULE, roles=("dba",)))) == {"Anna"}


def test_a_qualification_says_until_when_it_counts_or_when_the_last_one_was() -> None:
    found = by_person(read("anna", 364), read("bob", 366), read("anna", 1, "d0"))
    assert found["Anna"].words == f"until {NOW + timedelta(days=1):%Y-%m-%d}"
    assert found["Bob"].words == f"last on {NOW - timedelta(days=366):%Y-%m-%d}"
    changed = by_person(read("anna", 3, "d1"))["Anna"]
    assert changed.words == f"the text changed after {NOW - timedelta(days=3):%Y-%m-%d}"
    assert (found["Anna"].has_no_user, found["Carol"].has_no_user) == (False, True)
    other = replace(read("anna", 1), text="phishing")
    assert by_person(other)["Anna"].words == "never"


def test_a_policy_requires_nothing_without_a_rule() -> None:
    assert TrainingPolicy().requires_nothing
    assert not TrainingPolicy(awareness=RULE).requires_nothing
    assert not TrainingPolicy(operators=OperatorsRule(1, 60.0)).requires_nothing


def test_attestation_counts_from_its_moment_to_the_end_of_its_time() -> None:
    assert by_person(read("anna", 0))["Anna"].standing is Standing.VALID
    assert by_person(read("anna", 365))["Anna"].standing is Standing.VALID
    assert by_person(read("anna", 365.001))["Anna"].standing is Standing.EXPIRED


def test_rule_asks_only_for_the_texts_that_it_names_and_that_exist() -> None:
    texts = TEXTS | {"phishing": replace(REPORT, name="phishing")}

    def asked(*names: str) -> set[str]:
        rule = replace(RULE, texts=names)
        return {q.subject for q in attestations(rule, Known(()), CREW, texts, NOW)}

    assert asked() == {"report", "phishing"}
    assert asked("report", "gone") == {"report"}
    assert list(unknown_texts(replace(RULE, texts=("report", "gone")), texts)) == ["gone"]


def test_passed_operator_drill_counts_until_its_time_is_over() -> None:
    def standing(days: float, rule: OperatorsRule | None) -> list[tuple[str, Standing]]:
        drilled = Drilled("anna", "shop", "r1", NOW - timedelta(days=days), blind=False, entry=1)
        known = Known((), drilled=(drilled, replace(drilled, plan="wiki")))
        return [(q.person, q.standing) for q in operators(rule, "shop", known, CREW, NOW)]

    rule = OperatorsRule(1, 86400.0 * 30)
    assert standing(0, rule) == [("Anna", Standing.VALID)]
    assert standing(30, rule) == [("Anna", Standing.VALID)]
    assert standing(30.001, rule) == [("Anna", Standing.EXPIRED)]
    assert standing(3000, None) == [("Anna", Standing.VALID)], "without a rule, for ever"
    assert standing(-0.001, None) == [], "of the future"


def test_the_newest_operator_drill_of_the_plan_counts_for_a_person() -> None:
    def until(*drills: tuple[float, str]) -> list[datetime | None]:
        done = (
            Drilled("anna", plan, "r1", NOW - timedelta(days=days), blind=False, entry=1)
            for days, plan in drills
        )
        rule = OperatorsRule(1, 86400.0 * 30)
        found = operators(rule, "shop", Known((), drilled=tuple(done)), CREW, NOW)
        return [one.until for one in found]

    last = NOW + timedelta(days=20)
    assert until((10, "shop"), (40, "shop"), (1, "wiki")) == [last]
    assert until((40, "shop"), (10, "shop")) == [last]
    assert until((1, "wiki")) == []


def test_user_with_the_name_of_a_person_is_another_one() -> None:
    crew = Crew({"Anna": (), "Bob": ()}, {"root-of-db1": "Anna"})
    assert crew.person("root-of-db1") == "Anna"
    assert crew.person("anna") == "user anna"
    assert crew.person("eve") == "eve"


def test_only_the_kernel_says_who_it_was() -> None:
    root = Actor(0, "root", None, "db1", "terminal", claimed_by="anna", claimed_user="anna")
    assert proven_user(root) is None
    assert proven_user(replace(root, login_uid=1000, login_user="anna")) == "anna"
    assert proven_user(replace(root, login_known=False)) is None
    assert proven_user(Actor(1001, "bob", None, "db1", "socket", claimed_by="anna")) == "bob"
    assert proven_user(Actor(1001, "bob", 1001, "db1", "schedule")) is None
    assert proven_user(Actor(990, "drd", None, "db1", "terminal", service=True)) is None
    assert proven_user(None) is None


def test_only_entries_as_they_were_signed_count() -> None:
    signer, stranger = key(), key()
    chain = Chain(signer)
    made = chain.add(of_attestation(REPORT, BEGUN, ANNA))
    unsigned = replace(made, key="", signature="")
    forged = Chain(stranger).add(of_attestation(REPORT, BEGUN, ANNA))
    renamed = replace(made, header=replace(made.header, at=NOW))
    rewritten = replace(renamed, hash=renamed.header.hash)
    assert made.body is not None
    other = replace(made, body=replace(made.body, text=made.body.text.replace("anna", "evil")))
    belief = Belief({signer.public.id: signer.public.text}, accepts)
    told = [unsigned, forged, renamed, rewritten, other, made]
    assert [belief(entry) for entry in told] == [False] * 5 + [True]
    [one] = attested(told, belief)
    assert (one.user, one.text, one.digest, one.at) == ("anna", "report", "d2", BEGUN)


@pytest.mark.parametrize("body", [{}, {"user": 1, "text": "a", "digest": "b"}, {"user": ""}])
def test_incomplete_entry_is_left_out(body: dict[str, object]) -> None:
    chain = Chain(key())
    entry = chain.add(Draft(ATTESTED, "text:a", body, BEGUN, ANNA))
    assert list(attested([entry], belief_of(chain))) == []


def belief_of(chain: Chain) -> Belief:
    assert chain.signer is not None
    return Belief({chain.signer.public.id: chain.signer.public.text}, accepts)


def test_only_the_newest_entry_of_each_is_checked() -> None:
    chain, asked = Chain(key()), []
    for day in range(3):
        chain.add(of_attestation(REPORT, BEGUN + timedelta(days=day), ANNA))
    belief = belief_of(chain)

    def counted(public: str, message: bytes, signature: str) -> bool:
        asked.append(signature)
        return belief.accepts(public, message, signature)

    [one] = attested(reversed(chain.entries), replace(belief, accepts=counted))
    assert (one.at, len(asked)) == (BEGUN + timedelta(days=2), 1)


def test_findings_name_who_is_missing_and_what_to_do() -> None:
    plan = plan_of(training=TrainingPolicy(awareness=RULE))

    def found(*done: Attested) -> list[tuple[str, str, str, str]]:
        judged = of_training(plan, Known(done), CREW, TEXTS, NOW)
        return [(f.code, f.severity, f.text, f.remedy) for f in (j.finding for j in judged)]

    assert found(read("anna", 1)) == [
        (
            "awareness-text",
            "warning",
            (
                "1 of 3 people attested this text in the last 365d; missing: "
                "Bob (never), Carol (drd.yaml does not name a user for this person)"
            ),
            (
                "ask each of these people to attest the text with their own account: drd training "
                "attest report"
            ),
        )
    ]
    [(_, severity, text, remedy)] = found(read("anna", 1), read("bob", 1))
    assert (severity, remedy) == (
        "warning",
        "name the user of each person in drd.yaml: people: [{name: NAME, user: USER}]",
    )
    assert text.endswith("missing: Carol (drd.yaml does not name a user for this person)")
    gone = plan_of(
        training=TrainingPolicy(awareness=replace(RULE, texts=("gone",), roles=("cook",)))
    )
    texts = [j.finding.text for j in of_training(gone, Known(), CREW, TEXTS, NOW)]
    assert texts == [
        (
            "the plan requires people to read the text gone, but drd does not have a text of this "
            "name that it can use"
        ),
        "people must attest texts, but drd.yaml does not name a person with the role cook",
    ]
    assert not list(of_training(plan_of(), Known(), CREW, TEXTS, NOW))


@pytest.mark.parametrize(
    ("last", "severity", "words"),
    [
        (date(2026, 11, 28), "ok", "the next is due by 2027-05-27"),
        (date(2026, 6, 1), "warning", "the next review was due by 2026-11-28"),
        (None, "warning", "but does not name the day of the last review"),
        (date(2027, 1, 1), "warning", "says the plan, but this day is in the future"),
    ],
)
def test_review_is_due_at_the_end_of_its_day(last: date | None, severity: str, words: str) -> None:
    plan = plan_of(review=ReviewPolicy(180 * 86400.0, last))
    [judged] = of_review(plan, datetime.fromisoformat("2026-11-29T00:00:01Z"))
    assert judged.finding.severity == severity
    assert words in judged.finding.text


def test_plan_says_what_it_requires_outside_of_its_hash(tmp_path: Path) -> None:
    more = (
        "training: {operators: {people: 2, within: 180d}, awareness: "
        "{every: 365d, texts: [report], roles: [dba]}}\n"
        "review: {every: 180d, last: 2026-11-28}\n"
    )
    plan, before = load(tmp_path, GOOD + more).plan, load(tmp_path, GOOD).plan
    assert plan.training == TrainingPolicy(
        OperatorsRule(2, 180 * 86400.0), AwarenessRule(365 * 86400.0, ("report",), ("dba",))
    )
    assert plan.review == ReviewPolicy(180 * 86400.0, date(2026, 11, 28))
    assert (plan.digest, plan.proof) == (before.digest, before.proof)


def own(directory: Path, name: str, text: bytes, mode: int = 0o644) -> AwarenessTexts:
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(text)
    (directory / name).chmod(mode)
    return load_texts(directory, {os.getuid()})


def test_own_text_replaces_the_shipped_one_and_a_broken_one_does_not_hide(tmp_path: Path) -> None:
    shipped = load_texts(None, set()).known
    assert set(shipped) == {"recognise", "report"}
    assert all(t.title.startswith("How to ") and not t.own for t in shipped.values())

    found = own(tmp_path / "a", "report.md", b"# Call us\n112\n")
    assert found.get("report").title == "Call us"
    assert found.get("report").digest != shipped["report"].digest
    for name, text, mode in (
        ("report.md", b"\xff", 0o644),
        ("report.md", b" \n", 0o644),
        ("report.md", b"# a\n", 0o666),
    ):
        broken = own(tmp_path / "b", name, text, mode)
        assert "report" not in broken.known
        with pytest.raises(ConfigError, match=r"report\.md"):
            broken.get("report")
    [problem] = own(tmp_path / "c", "Not A Name.md", b"# a\n").problems
    assert "the name of this file is not a valid name of a text" in problem.message
    with pytest.raises(UsageError, match="no awareness text 'repor'") as error:
        found.get("repor")
    assert error.value.hint == "did you mean report?"


INJECTS = ("report", "largest-client", "what-was-read", "run-it")


def test_exercise_counts_for_those_who_typed_with_their_own_account() -> None:
    chain = Chain(key())
    bob = Actor(1001, "bob", None, "db1", "socket")
    text = exercise_to_json(load_exercises(None).known["leaked-api-key"])

    def add(kind: str, actor: Actor, **body: object) -> Entry:
        whole = {**body, "by": "Carol", "actor": actor}
        return chain.add(Draft(kind, "exercise:leaked-api-key", whole, BEGUN, actor))

    number = add(kinds.BEGIN, ANNA, text=text, speed=0).seq
    add(kinds.NOTE, bob, begun=number, note="", text="late", improves=True, elapsed_s=None)
    belief = belief_of(chain)
    assert list(took_part(chain.entries, belief)) == [], "not over yet"
    for name in INJECTS:
        add(kinds.INJECT, ANNA, begun=number, inject=name, elapsed_s=None)
    add(kinds.END, Actor(0, "root", None, "db1", "terminal"), begun=number)
    found = list(took_part(chain.entries, belief))
    assert not list(took_part(chain.entries, replace(belief, keys={})))
    assert [(t.user, t.exercise) for t in found] == [
        ("anna", "leaked-api-key"),
        ("bob", "leaked-api-key"),
    ]


def test_exercise_counts_once_for_a_person_and_only_by_entries_that_are_believed() -> None:
    chain = Chain(key())
    bob = Actor(1001, "bob", None, "db1", "socket")
    text = exercise_to_json(load_exercises(None).known["leaked-api-key"])

    def play(told: tuple[str, ...] = INJECTS) -> list[Entry]:
        def add(kind: str, actor: Actor, **body: object) -> Entry:
            whole = {**body, "by": "Anna", "actor": actor}
            return chain.add(Draft(kind, "exercise:leaked-api-key", whole, BEGUN, actor))

        begun = add(kinds.BEGIN, ANNA, text=text, speed=0)
        said = {"note": "", "text": "late", "improves": True, "elapsed_s": None}
        note = add(kinds.NOTE, bob, begun=begun.seq, **said)
        for name in told:
            add(kinds.INJECT, ANNA, begun=begun.seq, inject=name, elapsed_s=None)
        return [begun, note, add(kinds.END, ANNA, begun=begun.seq)]

    def users(doubtful: Entry | None) -> list[str]:
        belief = cast("Belief", lambda entry: doubtful is None or entry.seq != doubtful.seq)
        return [one.user for one in took_part(chain.entries, belief)]

    play(INJECTS[:-1])
    assert users(None) == [], "it was ended before its last news"
    begun, note, ended = play()
    assert users(None) == ["anna", "bob"]
    assert users(note) == ["anna"]
    assert users(begun) == users(ended) == []
    again, *_ = play()
    found = list(took_part(chain.entries, belief_of(chain)))
    assert [(one.user, one.number) for one in found] == [("anna", again.seq), ("bob", again.seq)]


@pytest.mark.parametrize("blind", [True, False, None])
def test_an_operator_drill_without_hints_is_told_as_that(*, blind: bool | None) -> None:
    chain = Chain(key())
    body = {"user": "anna", "plan": "shop", "run": "r1", "counts": True, "result": "passed"}
    whole = {**body, "blind": blind, "actor": ANNA}
    entry = chain.add(Draft(DRILLED, "shop/r1", whole, BEGUN, ANNA))
    [found] = drilled(chain.entries, belief_of(chain))
    assert found == Drilled("anna", "shop", "r1", BEGUN, blind is True, entry.seq)


def test_entry_of_an_unknown_key_or_with_another_hash_is_not_believed() -> None:
    signer = key()
    made = Chain(signer).add(of_attestation(REPORT, BEGUN, ANNA))
    belief = Belief({signer.public.id: signer.public.text}, lambda *_: True)
    assert belief(made)
    assert belief(replace(made, key="another")) is False
    assert belief(replace(made, hash="0" * len(made.hash))) is False

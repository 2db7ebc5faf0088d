"""What drd finds at the place of a repository counts for every plan that has a repository there.
What it finds with the secrets of one plan counts for the plans with the same secrets. On each
database.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.repositories import Meeting
from tests.catalogue_support import at, plan

URL = "/srv/r"
OK = Meeting("ok")
SHUT = Meeting("shut", "the password does not open it")
SILENT = Meeting("unreachable", "the password's file is missing")


def named(name: str, password: str) -> Plan:
    spec = RepositorySpec("primary", URL, SecretRef("env", password))
    return replace(plan(), name=name, repositories={"primary": spec})


ONE, TWO, LIKE_ONE = named("one", "P"), named("two", "Q"), named("like-one", "P")


def secrets_of(of: Plan) -> str:
    return of.primary.opened_with


def states(catalogue: SqlCatalogue) -> dict[str, str | None]:
    found = {}
    for name in ("one", "two", "like-one"):
        [known] = catalogue.health.of_plan(name)
        found[name] = known.lost or ("unreachable" if known.unreachable else None)
    return found


@pytest.fixture
def shared(catalogue: SqlCatalogue) -> SqlCatalogue:
    """Three plans with one repository, two of them with the same password."""
    for one in (ONE, TWO, LIKE_ONE):
        catalogue.plans.load(one, file_digest="", at=at(0))
    catalogue.repositories.record(URL, "0a" * 32, at(0))
    return catalogue


@pytest.mark.parametrize("found", [SHUT, SILENT])
def test_a_wrong_or_missing_password_of_one_plan_says_nothing_about_a_plan_with_another(
    shared: SqlCatalogue, found: Meeting
) -> None:
    assert shared.health.record_state(URL, found, at(1), secrets_of(ONE))
    assert states(shared) == {"one": found.state, "two": None, "like-one": found.state}
    assert shared.health.expected(URL, secrets_of(TWO))[2] is None
    assert shared.health.expected(URL, secrets_of(ONE))[2] == found.state


@pytest.mark.parametrize("found", [SHUT, SILENT])
def test_a_repository_that_opens_for_one_plan_is_still_closed_to_another(
    shared: SqlCatalogue, found: Meeting
) -> None:
    shared.health.record_state(URL, found, at(1), secrets_of(ONE))
    assert not shared.health.record_state(URL, OK, at(2), secrets_of(TWO))
    assert states(shared) == {"one": found.state, "two": None, "like-one": found.state}
    assert shared.health.record_state(URL, OK, at(3), secrets_of(LIKE_ONE))
    assert set(states(shared).values()) == {None}


@pytest.mark.parametrize("state", ["gone", "emptied", "replaced"])
def test_a_lost_repository_is_lost_for_every_plan_and_is_back_for_every_plan(
    shared: SqlCatalogue, state: str
) -> None:
    lost = Meeting(state, "it is not there")  # type: ignore[arg-type]
    shared.health.record_state(URL, lost, at(1), secrets_of(ONE))
    assert set(states(shared).values()) == {state}
    shared.health.record_state(URL, OK, at(2), secrets_of(TWO))
    assert set(states(shared).values()) == {None}


def test_a_place_that_does_not_answer_is_unreachable_for_every_plan(shared: SqlCatalogue) -> None:
    shared.health.record_state(URL, Meeting("unreachable", "no answer within 30s"), at(1))
    assert set(states(shared).values()) == {"unreachable"}
    shared.health.record_state(URL, OK, at(2), secrets_of(TWO))
    assert states(shared) == {"one": "unreachable", "two": None, "like-one": "unreachable"}


def test_a_plan_with_a_new_password_opens_the_repository_that_was_closed_to_the_former_one(
    shared: SqlCatalogue,
) -> None:
    shared.health.record_state(URL, SHUT, at(1), secrets_of(TWO))
    shared.plans.load(named("two", "P"), file_digest="", at=at(2))
    assert states(shared)["two"] == "shut", "nobody has tried it"
    shared.health.record_state(URL, OK, at(3), secrets_of(ONE))
    assert states(shared)["two"] is None

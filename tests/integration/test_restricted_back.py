"""Restricted entries that came back encrypted: opened again, and encrypted for other keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from sqlalchemy import update
from sqlalchemy.exc import DatabaseError

from drd.catalogue.record_rows import SEALED
from drd.catalogue.record_tables import record_bodies
from drd.catalogue.records import SqlRecords
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import UsageError
from drd.flows.incidents.opening import open_incident
from drd.flows.incidents.writing import Desk
from drd.flows.records.anchors import Place, Result, anchor, compare, standing
from drd.flows.records.coming_back import Known, bring_back
from drd.flows.records.continuing import came_back, go_on
from drd.flows.records.restricted import Opened, hiding, put_back
from drd.model.incidents.entries import Author
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.record_drafts import of_key
from drd.model.records import Body
from tests.catalogue_support import Catalogues, at, opened
from tests.fakes_repository import MemoryRepository
from tests.records_support import ANNA, key

KEY = key()
LEAD, COUNSEL = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
PLACE = Place(RepositorySpec("primary", "/memory/repository", SecretRef("text", "x")), "shop")
MakeHost = Callable[[], SqlCatalogue]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeHost]:
    made: list[SqlCatalogue] = []
    empty = Catalogues(tmp_path / "empty")

    def host() -> SqlCatalogue:
        there = tmp_path / f"host{len(made)}"
        made.append(opened(empty.in_file(there / "state" / "drd.db"), there))
        records = made[-1].records
        assert isinstance(records, SqlRecords)
        records._find_signer = lambda _: KEY
        return made[-1]

    yield host
    for one in made:
        one.close()


@pytest.fixture
def repository() -> MemoryRepository:
    made = MemoryRepository()
    made.initialise()
    return made


@pytest.fixture
def host(make: MakeHost, repository: MemoryRepository) -> SqlCatalogue:
    made = make()
    author = Author("Anna B.", at(1), ANNA)
    open_incident(made, author, "the payroll", plans=["shop"], restricted=True)
    Desk(made, 1, author).log("Elm Street 5", None)
    open_incident(made, author, "a disk is full")
    store(made, repository, LEAD)
    return made


def store(
    catalogue: SqlCatalogue,
    repository: MemoryRepository,
    *people: pyrage.x25519.Identity,
    minute: float = 2,
    protection: str | None = None,
    anew: bool = False,
) -> Result:
    hides = hiding(catalogue, {"lead": [str(p.to_public()) for p in people]})
    place = replace(PLACE, spec=replace(PLACE.spec, protection=protection))
    done = anchor(
        catalogue, place, lambda _: repository, KEY, at(minute),
        entries=not anew, anew=anew, hides=hides,
    )  # fmt: skip
    assert not done.error, done
    return done


def came(make: MakeHost, repository: MemoryRepository) -> SqlCatalogue:
    new = make()
    known = Known(frozenset([KEY.public.id]))
    done = bring_back(new, [PLACE], lambda _: repository, known)
    assert done.newest is not None
    came_back(new, done.newest, reason="lost", at=at(9))
    return new


def unseal(catalogue: SqlCatalogue, identity: pyrage.x25519.Identity) -> Opened:
    return put_back(catalogue, str(identity).encode(), at(10), ANNA)


def sealed(catalogue: SqlCatalogue) -> list[int]:
    return [e.seq for e in catalogue.records.read() if e.sealed]


def test_sealed_entries_are_readable_again_after_their_identity_opens_them(
    host: SqlCatalogue, make: MakeHost, repository: MemoryRepository
) -> None:
    new = came(make, repository)
    assert sealed(new) == [2, 3]
    assert new.incidents.get(1).title == ""
    done = unseal(new, COUNSEL)
    assert (done.entries, done.closed, done.false) == ([], [2, 3], [])
    done = unseal(new, LEAD)
    assert ([e.seq for e in done.entries], done.closed) == ([2, 3], [])
    [said] = new.records.newest(kind="unseal")
    assert (said, said.header.actor_name, bool(said.signature)) == (done.record, "anna", True)
    assert said.body is not None
    assert json.loads(said.body.text)["entries"] == [2, 3]
    assert sealed(new) == []
    assert new.incidents.get(1).title == "the payroll"
    assert list(new.records.read())[:4] == list(host.records.read())
    report, _ = compare(new, [PLACE], lambda _: repository)
    assert (report.faults, report.sealed) == ([], [])
    assert unseal(new, LEAD).entries == [], "nothing is left to open"
    with pytest.raises(UsageError, match="identity"):
        put_back(new, b"no key", at(10), ANNA)


def test_a_body_that_was_exchanged_is_not_put_back(
    host: SqlCatalogue, make: MakeHost, repository: MemoryRepository
) -> None:
    new = came(make, repository)
    [first, second] = [e for e in new.records.read() if e.sealed]
    with new.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER record_bodies_update").close()
        change = update(record_bodies).where(record_bodies.c.seq == first.seq)
        connection.execute(change.values(body=second.sealed))
    done = unseal(new, LEAD)
    assert ([e.seq for e in done.entries], done.false) == ([second.seq], [first.seq])
    with pytest.raises(UsageError, match="is not the one that is encrypted"):
        new.records.open_bodies([replace(first, body=Body("00", "{}"), sealed="")])


def test_only_an_encrypted_body_can_be_replaced(
    host: SqlCatalogue, make: MakeHost, repository: MemoryRepository
) -> None:
    new = came(make, repository)
    for seq, salt in ((4, "00"), (2, "sealed")):
        change = update(record_bodies).where(record_bodies.c.seq == seq)
        with new.database.engine.connect() as connection:
            with pytest.raises(DatabaseError, match="only removed after a signed redaction"):
                connection.execute(change.values(salt=salt, body="{}"))
            connection.rollback()


def test_restricted_entries_are_stored_again_for_keys_that_came_later(
    host: SqlCatalogue, make: MakeHost, repository: MemoryRepository
) -> None:
    assert unseal(came(make, repository), COUNSEL).closed == [2, 3]
    done = store(host, repository, LEAD, COUNSEL, minute=3, anew=True)
    assert (done.stored, done.taken_back) == (True, 1)
    new = came(make, repository)
    assert [e.seq for e in unseal(new, COUNSEL).entries] == [2, 3]
    assert [e.seq for e in unseal(came(make, repository), LEAD).entries] == [2, 3]
    kept = store(host, repository, COUNSEL, minute=4, protection="append-only", anew=True)
    assert (kept.stored, kept.taken_back) == (True, 0)


def test_a_repository_without_restricted_entries_gets_nothing_again(
    make: MakeHost, repository: MemoryRepository
) -> None:
    made = make()
    open_incident(made, Author("Anna B.", at(1), ANNA), "a disk is full")
    store(made, repository, LEAD)
    assert not store(made, repository, LEAD, minute=3, anew=True).stored


def test_restricted_entries_come_back_although_the_key_was_replaced_after_the_kit(
    host: SqlCatalogue, make: MakeHost, repository: MemoryRepository
) -> None:
    kit = standing(host, at(2))
    assert kit is not None
    later = key()
    public = later.public
    change = of_key(public.id, public.text, KEY.public.id, at(3), ANNA)
    host.records.record_key(change, KEY, expecting=KEY.public.id)
    Desk(host, 1, Author("Anna B.", at(4), ANNA)).log("Oak Street 7", None)
    assert isinstance(host.records, SqlRecords)
    host.records._find_signer = lambda _: later
    hides = hiding(host, {"lead": [str(LEAD.to_public())]})
    done = anchor(host, PLACE, lambda _: repository, later, at(5), entries=True, hides=hides)
    assert not done.error
    new, count = make(), len(list(host.records.read()))
    came = bring_back(new, [PLACE], lambda _: repository, Known(kit=kit))
    assert (came.count, came.refused) == (count, [])
    assert len(unseal(new, LEAD).entries) == 3
    stranger = make()
    came = bring_back(stranger, [PLACE], lambda _: repository, Known(frozenset(["0" * 16])))
    assert came.count == 0


def test_a_host_that_could_not_sign_when_entries_came_back_records_this_later(
    host: SqlCatalogue, make: MakeHost, repository: MemoryRepository
) -> None:
    def faults() -> list[tuple[int, str]]:
        report, vouched = compare(new, [PLACE], lambda _: repository)
        return [(f.seq, f.code) for f in (*report.faults, *vouched.faults)]

    new = make()
    assert bring_back(new, [PLACE], lambda _: repository, Known(frozenset({KEY.public.id}))).count
    assert {code for _, code in faults()} == {"sealed"}
    (record,) = go_on(new, [PLACE], lambda _: repository, reason="the host burnt down", at=at(9))
    assert record.signature
    assert faults() == []
    with pytest.raises(UsageError, match="do not have a gap"):
        go_on(new, [PLACE], lambda _: repository, reason="again", at=at(10))


def test_a_body_that_somebody_put_away_after_the_newest_anchor_is_a_change(
    host: SqlCatalogue, repository: MemoryRepository
) -> None:
    Desk(host, 1, Author("Anna B.", at(3), ANNA)).log("later", None)
    head = host.records.head()
    assert head is not None
    with host.database.engine.begin() as connection:
        for (name,) in connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        sealed = update(record_bodies).where(record_bodies.c.seq == head.seq)
        connection.execute(sealed.values(salt=SEALED, body="away"))
    with pytest.raises(UsageError, match=f"changed the records at entry {head.seq}"):
        go_on(host, [PLACE], lambda _: repository, reason="?", at=at(9))

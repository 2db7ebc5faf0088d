"""Restricted entries where they leave the host: nobody without a key of a role reads them, and the
chain verifies all the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from drd.catalogue.outbox import insert
from drd.catalogue.replica import make_ours
from drd.catalogue.sealed_copy import seal
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import RepositoryDamaged, WrongKey
from drd.flows.incidents.opening import open_incident, report
from drd.flows.incidents.writing import Desk
from drd.flows.records import segments
from drd.flows.records.anchors import anchor
from drd.flows.records.continuing import came_back
from drd.flows.records.export import check_export, export, read_export
from drd.flows.records.restricted import concealed, hiding, restricted_incidents, unsealed
from drd.model.chain import check
from drd.model.checkpoint import HOST
from drd.model.incidents.fold import fold
from drd.model.message import Message
from drd.model.records import Entry
from drd.signing import accepts
from tests.catalogue_support import Catalogues, at, opened
from tests.fakes_repository import MemoryRepository
from tests.integration.test_entries_in_repositories import (
    ANNA,
    KEY,
    author,
    back,
    entries,
    log,
    place,
    signs_with,
    verified,
)

LEAD, COUNSEL, STRANGER = (pyrage.x25519.Identity.generate() for _ in range(3))
ROLES = {"lead": [str(LEAD.to_public())], "counsel": [str(COUNSEL.to_public())]}
SECRETS = ("insider", "Elm Street", "payroll")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Catalogues:
    return Catalogues(tmp_path_factory.mktemp("catalogues"))


@pytest.fixture
def catalogues(empty: Catalogues, tmp_path: Path) -> Iterator[Callable[[], SqlCatalogue]]:
    made: list[SqlCatalogue] = []

    def host() -> SqlCatalogue:
        there = tmp_path / f"host{len(made)}"
        made.append(opened(empty.in_file(there / "state" / "drd.db"), there))
        signs_with(made[-1], KEY)
        return made[-1]

    yield host
    for one in made:
        one.close()


@pytest.fixture
def host(catalogues: Callable[[], SqlCatalogue]) -> SqlCatalogue:
    """Incident 1 is restricted, and of incident 2 one entry and its correction."""
    made = catalogues()
    open_incident(made, author(), "an insider", plans=["payroll"], restricted=True)
    log(made, "lives in 7 Elm Street")
    open_incident(made, author(), "orders leak", plans=["shop"])
    log(made, "for everybody", 2)
    desk = Desk(made, 2, author())
    last = desk.log("the insider again", None, restricted=True).last
    desk.correct(last, "the insider of payroll", "wrong name")
    return made


@pytest.fixture
def repository() -> MemoryRepository:
    made = MemoryRepository()
    made.initialise()
    return made


def store(catalogue: SqlCatalogue, repository: MemoryRepository, minute: float = 0) -> bytes:
    """Store all entries in the repository; returns all that it contains then."""
    hides = hiding(catalogue, ROLES)
    done = anchor(
        catalogue, place(), lambda _: repository, KEY, at(minute), entries=True, hides=hides
    )
    assert not done.error, done
    found = repository.snapshots(host=HOST)
    return b"".join(repository.read_file(s.id, segments.FILE) for s in found)


def text_of(identity: pyrage.x25519.Identity) -> bytes:
    return f"# the key of a role\n{identity}\n".encode()


def assert_no_secret(data: bytes) -> None:
    assert [word for word in SECRETS if word.encode() in data] == []
    assert b"for everybody" in data


def test_repositories_get_only_encrypted_bodies_and_give_them_back(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    assert_no_secret(store(host, repository))
    new = catalogues()
    came = back(new, repository, KEY.public.id)
    assert (came.count, came.refused) == (7, [])
    known = entries(new)
    assert [bool(e.sealed) for e in known] == [False, True, True, False, False, True, True]
    incident = new.incidents.get(1)
    assert (incident.title, incident.restricted, incident.plans) == ("", True, ())
    assert new.incidents.get(2).title == "orders leak"
    assert new.incidents.open_numbers() == [1, 2]

    # Until a record says that they came back, they could be somebody's rubbish.
    assert verified(new, repository)[0] == [(seq, "sealed") for seq in (2, 3, 6, 7)]
    assert came.newest is not None
    came_back(new, came.newest, reason="db1 is lost", at=at(9))
    assert verified(new, repository)[0] == []

    for identity in (LEAD, COUNSEL):
        assert unsealed(known, text_of(identity)) == entries(host)
    whole = fold(1, unsealed(known[1:3], text_of(LEAD)))
    assert whole == host.incidents.get(1)
    with pytest.raises(WrongKey, match="this identity does not decrypt the data"):
        unsealed(known, text_of(STRANGER))
    # They leave this host, too, as they came: nobody here could encrypt them.
    assert_no_secret(store(new, repository, minute=3))


def test_the_copy_of_the_catalogue_has_only_encrypted_bodies(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    for number in (1, 2):
        details, text = {"incident": number, "message": 1}, f"{('', 'payroll', 'for all')[number]}"
        update = Message("incident", "", "info", f"update {number}", text, at(1), details=details)
        with host.database.write() as connection:
            insert(connection, [("mail", update)], at(1))
    host.export_to(copy)
    assert b"Elm Street" in copy.read_bytes()
    assert seal(copy, hiding(host, ROLES)) == 4
    assert_no_secret(copy.read_bytes())
    assert b"update 2" in copy.read_bytes()
    assert [path.name for path in tmp_path.glob("copy.db*")] == ["copy.db"]

    assert make_ours(copy, at(5)) == 0
    there = tmp_path / "new"
    (there / "state").mkdir(parents=True)
    copy.rename(there / "state" / "drd.db")
    new = opened(f"sqlite:///{there}/state/drd.db", there)
    assert new.incidents.rebuild() == 0
    assert new.incidents.wrong_rows() == []
    assert unsealed(entries(new), text_of(LEAD)) == entries(host)
    assert [i.title for i in new.incidents.newest()] == ["orders leak", ""]
    new.close()


def test_an_export_verifies_without_any_key_and_opens_with_one(
    host: SqlCatalogue, tmp_path: Path
) -> None:
    export(host.records, tmp_path / "given", hides=hiding(host, ROLES, plain=False))
    assert_no_secret((tmp_path / "given/records.txt").read_bytes())
    exported = read_export(tmp_path / "given")
    report = check_export(exported)
    assert (report.faults, report.sealed, report.entries) == ([], [2, 3, 6, 7], 7)
    assert unsealed(exported.entries, text_of(COUNSEL)) == entries(host)
    done = subprocess.run(
        ["sh", tmp_path / "given/verify.sh"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "FAULT" in done.stdout) == (0, False), done

    export(host.records, tmp_path / "none", hides=hiding(host, {}, plain=False))
    assert_no_secret((tmp_path / "none/records.txt").read_bytes())
    assert check_export(read_export(tmp_path / "none")).withheld == [2, 3, 6, 7]


def test_a_body_that_somebody_exchanged_is_found(host: SqlCatalogue) -> None:
    hides = hiding(host, ROLES)
    first, second = entries(host)[1:3]
    exchanged = replace(first, body=None, sealed=hides(second) or "")
    with pytest.raises(RepositoryDamaged, match="entry 2 differs from the body that was recorded"):
        unsealed([exchanged], text_of(LEAD))
    # On the host where it was made, an encrypted body is a removed one.
    report = check([entries(host)[0], exchanged, *entries(host)[2:]], accepts)
    assert [(f.seq, f.code) for f in report.faults] == [(2, "sealed")]


def test_a_report_that_becomes_restricted_leaves_the_repository(
    host: SqlCatalogue, repository: MemoryRepository
) -> None:
    made = report(host, author(), "somebody took the payroll", 3600.0)
    assert b"payroll" in store(host, repository)
    desk = Desk(host, made.number, author())
    desk.open_report("", plans=(), severity="", restricted=True)
    assert_no_secret(store(host, repository, minute=60 * 30))


def test_a_restricted_body_can_be_redacted_also_where_it_is_encrypted(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    store(host, repository)
    new = catalogues()
    came = back(new, repository, KEY.public.id)
    assert came.newest is not None
    came_back(new, came.newest, reason="db1 is lost", at=at(9))
    new.records.redact(3, reason="asked for", at=at(10), actor=ANNA)
    assert (entries(new)[2].sealed, verified(new, repository)[0]) == ("", [])


def test_people_without_a_role_see_restricted_entries_without_their_bodies(
    host: SqlCatalogue,
) -> None:
    seen: list[Entry] = concealed(entries(host), restricted_incidents(host))
    assert [e.body is None for e in seen] == [False, True, True, False, False, True, True]

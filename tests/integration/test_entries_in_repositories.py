"""The entries of incidents in repositories: stored with anchors, brought back after a loss."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drd.catalogue.records import SqlRecords
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import RepositoryUnreachable, UsageError
from drd.flows.incidents.opening import open_incident
from drd.flows.incidents.writing import Desk
from drd.flows.records import anchors, segments
from drd.flows.records.anchors import Place, Result, compare
from drd.flows.records.coming_back import CameBack, Known, bring_back
from drd.flows.records.continuing import came_back, go_on
from drd.model.actor import Actor
from drd.model.checkpoint import HOST, TAG, Carried, Checkpoint
from drd.model.incidents.entries import Author
from drd.model.kit import KitRecords
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.record_file import lines_of
from drd.model.records import FIRST, Body, Draft, Entry, header_of
from drd.signing import Signer
from tests.catalogue_support import Catalogues, at, opened
from tests.fakes_repository import MemoryRepository
from tests.records_support import Chain, key, signed

ANNA = Actor(1000, "anna", 1000, "db1", "terminal", "anna")
KEY = key()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Catalogues:
    return Catalogues(tmp_path_factory.mktemp("catalogues"))


@pytest.fixture
def catalogues(empty: Catalogues, tmp_path: Path) -> Iterator[Callable[[], SqlCatalogue]]:
    """Makes a host: an empty catalogue."""
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
    made = catalogues()
    open_incident(made, author(), "orders leak", plans=["shop"])
    return made


@pytest.fixture
def repository() -> MemoryRepository:
    made = MemoryRepository()
    made.initialise()
    return made


def signs_with(catalogue: SqlCatalogue, signer: Signer | None) -> None:
    records = catalogue.records
    assert isinstance(records, SqlRecords)
    records._find_signer = lambda _: signer


def author(minute: float = 1) -> Author:
    return Author("Anna B.", at(minute), ANNA)


def log(catalogue: SqlCatalogue, text: str, number: int = 1) -> None:
    Desk(catalogue, number, author()).log(text, None)


def place(protection: str | None = None) -> Place:
    spec = RepositorySpec("primary", "/memory/repository", SecretRef("text", "x"))
    return Place(replace(spec, protection=protection), "shop")


def store(
    catalogue: SqlCatalogue,
    repository: MemoryRepository,
    *,
    minute: float = 0,
    protection: str | None = None,
    entries: bool = True,
) -> Result:
    done = anchors.anchor(
        catalogue,
        place(protection),
        lambda _: repository,
        KEY,
        at(minute),
        entries=entries,
    )
    assert not done.error, done
    return done


def back(
    catalogue: SqlCatalogue, repository: MemoryRepository, *keys: str, kit: KitRecords | None = None
) -> CameBack:
    known = Known(frozenset(keys), kit)
    return bring_back(catalogue, [place()], lambda _: repository, known)


def entries(catalogue: SqlCatalogue) -> list[Entry]:
    return list(catalogue.records.read())


def verified(catalogue: SqlCatalogue, repository: MemoryRepository) -> tuple[list[Any], int]:
    report, vouched = compare(catalogue, [place()], lambda _: repository)
    faults = [(f.seq, f.code) for f in (*report.faults, *vouched.faults)]
    return faults, vouched.newest.checkpoint.seq if vouched.newest is not None else 0


def files(repository: MemoryRepository) -> list[tuple[int, int]]:
    """The ranges of entries that lie in it."""
    found = anchors.found(place(), repository)
    ranges = [(a.checkpoint.carried, a.checkpoint.seq) for a in found]
    return sorted((c.after, seq) for c, seq in ranges if c is not None)


def test_an_empty_machine_gets_every_entry_back(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    store(host, repository)
    log(host, "blocked the key")
    store(host, repository)
    new = catalogues()
    came = back(new, repository, KEY.public.id)
    assert (came.count, came.first, came.last, came.refused) == (3, 1, 3, [])
    assert entries(new) == entries(host)
    assert new.incidents.open_numbers() == [1]
    assert new.incidents.get(1) == host.incidents.get(1)
    assert verified(new, repository) == ([], 3)
    assert back(new, repository, KEY.public.id).count == 0

    assert came.newest is not None
    made = came_back(new, came.newest, reason="db1 is lost", at=at(9))
    assert (made.seq, made.header.kind) == (4, "continued")
    assert verified(new, repository) == ([], 3)


def test_a_copy_of_the_catalogue_gets_the_entries_after_it(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    copy = catalogues()
    copy.records.bring_back(entries(host))
    log(host, "later")
    store(host, repository)
    came = back(copy, repository)
    assert (came.first, came.last) == (3, 3)
    assert entries(copy) == entries(host)
    assert copy.incidents.get(1).last == 3


def test_entries_in_a_repository_are_stored_in_few_files(
    host: SqlCatalogue, repository: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "SMALL", 3000)
    for minute in range(8):
        log(host, "x" * 400)
        store(host, repository, minute=minute)
    ranges = files(repository)
    assert len(ranges) < 6
    assert ranges[0][0] == 0
    assert all(end == after for (_, end), (after, _) in itertools.pairwise(ranges))
    assert ranges[-1][1] == 10
    again = store(host, repository)
    assert (again.stored, again.seq) == (False, 10)
    store(host, repository, entries=False)
    assert files(repository) == ranges


def test_a_long_chain_becomes_several_files(
    host: SqlCatalogue,
    catalogues: Callable[[], SqlCatalogue],
    repository: MemoryRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "PART", 2000)
    for _ in range(9):
        log(host, "x" * 500)
    store(host, repository)
    assert len(files(repository)) > 2
    new = catalogues()
    assert back(new, repository, KEY.public.id).count == 11
    assert entries(new) == entries(host)


def test_nothing_is_taken_back_where_nothing_may_be_deleted(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    for minute in range(3):
        log(host, "x")
        done = store(host, repository, minute=minute, protection="append-only")
        assert done.taken_back == 0
    assert len(files(repository)) == 3
    new = catalogues()
    assert back(new, repository, KEY.public.id).count == 5


def test_a_redacted_body_leaves_the_repository(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    log(host, "Anna B., 7 Elm Street")
    store(host, repository)
    host.records.redact(3, reason="asked for", at=at(2), actor=ANNA)
    store(host, repository, minute=60 * 30)
    held = [repository.read_file(s.id, segments.FILE) for s in repository.snapshots(host=HOST)]
    assert len(held) == 1
    assert b"Elm Street" not in held[0]
    new = catalogues()
    assert back(new, repository, KEY.public.id).count == 4
    assert verified(new, repository) == ([], 4)


def test_a_lost_file_is_stored_again(host: SqlCatalogue, repository: MemoryRepository) -> None:
    store(host, repository)
    repository.forget([s.id for s in repository.snapshots(host=HOST)])
    assert store(host, repository).stored
    assert files(repository) == [(0, 2)]


def test_a_repository_that_is_away_is_named(host: SqlCatalogue) -> None:
    def gone(_: RepositorySpec) -> MemoryRepository:
        raise RepositoryUnreachable("the host does not answer")

    done = anchors.anchor(host, place(), gone, KEY, at(1), entries=True)
    assert (done.stored, done.error) == (False, "the host does not answer")
    came = bring_back(host, [place()], gone, Known())
    assert came.unreached == {"repository primary of shop": "the host does not answer"}


# --- what somebody with the repository's password can store -------------------------------------


def plant(
    repository: MemoryRepository,
    made: list[Entry],
    signer: Signer,
    *,
    after: int = 0,
    data: bytes | None = None,
    **other: Any,
) -> None:
    """Store an anchor with these entries, signed by a key of the attacker's choice."""
    text = "".join(f"{line}\n" for line in lines_of(e for e in made if e.seq > after)).encode()
    data = text if data is None else data
    from hashlib import sha256

    carried = Carried(after, len(data), sha256(data).hexdigest())
    point = Checkpoint(
        made[0].hash,
        made[-1].seq,
        made[-1].hash,
        at(5),
        "db1",
        "a" * 16,
        signer.public.text,
        signer.public.id,
        carried=carried,
    )
    point = replace(point, **other)
    point = replace(point, signature=signer.sign(point.message()))
    repository.store_bytes(data, segments.FILE, host=HOST, tags=[TAG, point.tag()])


def test_a_chain_cut_before_its_key_was_replaced_is_proven_by_what_the_anchor_carries(
    catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    chain, second = Chain(KEY), key()
    chain.note(number=1)
    chain.new_key(second)
    chain.new_key(key())
    assert chain.signer is not None
    plant(repository, chain.entries, chain.signer, after=2)
    cut = catalogues()
    cut.records.bring_back(chain.entries[:2])
    [fault] = compare(cut, [place()], lambda _: repository)[1].faults
    assert (fault.seq, fault.code) == (4, "truncated")
    assert "the chain was cut off before entry 4" in fault.text
    # Of a thief's key, whose record no key of the chain has signed, drd says that it may be false.
    stolen, thief = Chain(), key()
    stolen.entries, stolen.signer = chain.entries[:2], thief
    stolen.new_key(key())
    assert stolen.signer is not None
    other = MemoryRepository()
    other.initialise()
    plant(other, stolen.entries, stolen.signer, after=2)
    [fault] = compare(cut, [place()], lambda _: other)[1].faults
    assert (fault.seq, fault.code) == (3, "replaced")
    assert "If neither is true, the anchor is false" in fault.text


def test_an_anchor_by_an_unknown_key_is_told_and_stays_but_only_a_proven_one_stops_others(
    catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    chain, second = Chain(KEY), key()
    chain.note(number=1)
    cut, before = catalogues(), list(chain.entries)
    cut.records.bring_back(before)
    chain.new_key(second)
    chain.note(number=2)
    plant(repository, chain.entries, second, after=2)
    planted = {one.id for one in repository.snapshots(host=HOST)}

    def stored(there: MemoryRepository) -> Result:
        return anchors.anchor(cut, place(), lambda _: there, KEY, at(6), entries=True)

    proven = stored(repository)
    assert (proven.seq, proven.stored, proven.ahead is not None) == (0, False, True)
    assert "the chain was cut off before entry 3" in proven.error
    assert {one.id for one in repository.snapshots(host=HOST)} == planted

    other, thief = MemoryRepository(), key()
    other.initialise()
    plant(other, chain.entries, thief, data=b"nothing")
    planted = {one.id for one in other.snapshots(host=HOST)}
    done = [stored(other), stored(other)]
    assert [(r.seq, r.stored) for r in done] == [(2, True), (2, False)]
    assert all("the anchor is false: somebody" in r.error and r.ahead for r in done)
    assert len({one.id for one in other.snapshots(host=HOST)} - planted) == 1

    # A record says why, although drd has anchors of its own beyond: then it is quiet.
    [entry] = go_on(cut, [place()], lambda _: other, reason="a false one", at=at(7))
    assert entry.seq == chain.entries[-1].seq + 1
    assert not stored(other).error
    assert verified(cut, other) == ([], entry.seq)
    plant(other, chain.entries, thief, data=b"nothing", seq=2**52)
    with pytest.raises(UsageError, match="so this anchor is false"):
        go_on(cut, [place()], lambda _: other, reason="a false one", at=at(8))


def forged(before: list[Entry], signer: Signer | None, *, kind: str = "incident.close") -> Entry:
    last = before[-1] if before else None
    seq, previous = (last.seq + 1, last.hash) if last else (1, FIRST)
    draft = Draft(kind, "incident:1", {"reason": "all is well"}, at(3), ANNA)
    body = Body.of(draft.body, "0" * 32)
    header = header_of(draft, body, seq=seq, previous=previous)
    return signed(Entry(header, header.hash, body=body), signer)


def test_entries_that_no_known_key_signed_are_refused(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    store(host, repository)
    true, thief = entries(host), key()
    plant(repository, [*true, forged(true, None)], thief)
    plant(repository, [*true, forged(true, thief)], thief, after=2)
    stolen = Chain()
    stolen.entries, stolen.signer = [*true], KEY
    stolen.new_key(thief, lost=True)
    stolen.note(x="made up")
    plant(repository, stolen.entries, thief, after=2)
    new = catalogues()
    came = back(new, repository, KEY.public.id)
    assert (came.count, came.last) == (2, 2)
    assert entries(new) == true
    told = "\n".join(came.refused)
    assert "this host does not know the key that signed" in told
    assert "its signature is not valid" in told


@pytest.mark.parametrize(
    "data",
    [b"", b"drd records 1\nheader {}\n", b"\xff\xfe\n", b"drd records 1\nheader " + b"[" * 90_000],
)
def test_files_that_are_none_are_refused_by_name(
    host: SqlCatalogue,
    catalogues: Callable[[], SqlCatalogue],
    repository: MemoryRepository,
    data: bytes,
) -> None:
    store(host, repository)
    plant(repository, entries(host), key(), data=data or b"x")
    new = catalogues()
    came = back(new, repository, KEY.public.id)
    assert came.count == 2
    assert back(catalogues(), repository, KEY.public.id).count == 2


def test_a_file_that_was_exchanged_is_refused_by_name(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    """The tags of a genuine anchor on another file."""
    store(host, repository)
    [genuine] = repository.snapshots(host=HOST)
    repository.store_bytes(b"drd records 1\n", segments.FILE, host=HOST, tags=list(genuine.tags))
    repository.forget([genuine.id])
    came = back(catalogues(), repository, KEY.public.id)
    [why] = came.refused
    assert (came.count, "its file differs from the file that was signed" in why) == (0, True)
    assert "drd does not use" in why
    assert "in repository primary of shop" in why


def test_the_chain_of_the_kit_comes_back_and_no_other(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    kit = anchors.standing(host, at(1))
    assert kit is not None
    log(host, "after the kit")
    store(host, repository)
    other = Chain(key())
    other.note(x=1)
    plant(repository, other.entries, other.signer or KEY)
    new = catalogues()
    came = back(new, repository, kit=kit)
    assert (came.count, came.on_trust, came.refused) == (3, "", [])
    assert entries(new) == entries(host)

    wrong = replace(kit, hash="0" * 64)
    assert (
        "differs from the entry in the kit" in back(catalogues(), repository, kit=wrong).refused[0]
    )
    away = catalogues()
    away.records.bring_back(other.entries)
    assert (
        "a different chain of records than this catalogue"
        in back(away, repository, kit=kit).refused[0]
    )


def test_without_any_key_one_chain_is_taken_on_trust_and_two_are_not(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    store(host, repository)
    came = back(catalogues(), repository)
    assert (came.count, came.on_trust) == (2, KEY.public.id)
    other = Chain(key())
    other.note(x=1)
    plant(repository, other.entries, other.signer or KEY)
    came = back(catalogues(), repository)
    assert came.count == 0
    assert "entries of 2 chains" in came.refused[0]


def test_a_rotated_key_is_believed_and_so_are_files_of_before(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    store(host, repository)
    chain = Chain()
    chain.entries, chain.signer = entries(host), KEY
    newer = key()
    chain.new_key(newer)
    chain.note(x="after the rotation")
    plant(repository, chain.entries, newer, after=2)
    for known in (KEY, newer):
        new = catalogues()
        came = back(new, repository, known.public.id)
        assert (came.count, came.refused) == (4, []), known
        assert entries(new) == chain.entries
    # Whoever has the former key confirms nothing any more.
    plant(repository, [*chain.entries, forged(chain.entries, None, kind="incident.log")], KEY,
          after=4)  # fmt: skip
    came = back(new, repository, newer.public.id)
    assert (came.count, len(came.refused)) == (0, 1)
    assert came.newest is not None
    assert came.newest.checkpoint.seq == 4


def test_a_body_comes_back_without_what_was_redacted_since(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    log(host, "Anna B., 7 Elm Street")
    before = entries(host)
    host.records.redact(3, reason="asked for", at=at(2), actor=ANNA)
    last = entries(host)[3:]
    at_once, earlier = catalogues(), catalogues()
    at_once.records.bring_back([*before, *last])
    earlier.records.bring_back(before)
    earlier.records.bring_back(last)
    for new in (at_once, earlier):
        assert entries(new) == entries(host)


def test_a_chain_that_went_on_alone_takes_nothing_of_another(
    host: SqlCatalogue, catalogues: Callable[[], SqlCatalogue], repository: MemoryRepository
) -> None:
    copy = catalogues()
    copy.records.bring_back(entries(host))
    copy.incidents.rebuild()
    log(host, "of the original")
    log(host, "again")
    store(host, repository)
    log(copy, "of the copy")
    came = back(copy, repository)
    assert came.count == 0
    [made] = go_on(copy, [place()], lambda _: repository, reason="db1 is lost", at=at(9))
    assert made.seq == 5
    assert verified(copy, repository)[0] == []
    log(copy, "goes on")
    store(copy, repository)
    assert [end for _, end in files(repository)][-1] == 6


def test_nothing_is_added_beside_an_entry_that_came_meanwhile(host: SqlCatalogue) -> None:
    chain = Chain(KEY)
    with pytest.raises(UsageError, match="cannot be added after the newest entry 2"):
        host.records.bring_back(chain.entries)
    chain.note(x=1)
    chain.note(x=2)
    with pytest.raises(UsageError, match="entry 3 cannot be added after the newest entry 2"):
        host.records.bring_back(chain.entries[2:])
    assert len(entries(host)) == 2

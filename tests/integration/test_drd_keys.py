"""Which keys are drd's, and until when: a key that was rotated away signs nothing later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.bootstrap import App
from drd.catalogue.records import SqlRecords
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.daemon.anchoring import Anchoring
from drd.flows.records.anchors import standing
from drd.flows.records.coming_back import Known, _Verifier
from drd.flows.records.key import RecordKey
from drd.flows.records.noted import note_check
from drd.flows.records.rotation import initialise, rotate
from drd.flows.repository.drd_keys import endorsements, keys_of, trust_kit
from drd.flows.repository.signatures import finding, note, note_signature, signatures_of
from drd.flows.services import Services
from drd.model.chain import Fault
from drd.model.checkpoint import Checkpoint
from drd.model.kit import KitRecords
from drd.model.manifest import manifest_from_bytes
from drd.model.manifest_signature import Endorsement, Trust, of_new_key, signed_manifest
from drd.model.plan import SecretRef
from drd.model.record_drafts import of_key
from drd.model.records import Body, Draft, Entry
from drd.model.seals import Seal, seal_of
from drd.model.snapshot import Manifest, RestorePoint
from drd.signing import Signer, new_key
from tests.catalogue_support import Catalogues, at, opened, plan, point
from tests.records_support import ANNA, Chain, key

MakeHost = Callable[[], SqlCatalogue]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Catalogues:
    return Catalogues(tmp_path_factory.mktemp("catalogues"))


@pytest.fixture
def make(empty: Catalogues, tmp_path: Path) -> Iterator[MakeHost]:
    made: list[SqlCatalogue] = []

    def host() -> SqlCatalogue:
        there = tmp_path / f"host{len(made)}"
        made.append(opened(empty.in_file(there / "state" / "drd.db"), there))
        return made[-1]

    yield host
    for one in made:
        one.close()


def services(catalogue: SqlCatalogue) -> Services:
    return cast(Services, SimpleNamespace(catalogue=catalogue))


def manifest(signer: Signer, made: RestorePoint, keys: tuple[Endorsement, ...] = ()) -> Any:
    data = Manifest(made, {}, {}, keys=keys).to_bytes()
    return signed_manifest(data, made.plan, made.id, signer.public.id, signer.sign)


def stored(catalogue: SqlCatalogue, signer: Signer, name: str, minute: float) -> RestorePoint:
    made = point(name, at(minute))
    note_signature(services(catalogue), made.plan, name, manifest(signer, made))
    return made


def trust(catalogue: SqlCatalogue, made: RestorePoint) -> Trust:
    return signatures_of(catalogue, made.plan).trust(made)


class Rotated:
    """A host that has replaced its key at minute 10: by the former one point was made before."""

    def __init__(self, catalogue: SqlCatalogue, directory: Path) -> None:
        self.catalogue = catalogue
        held = RecordKey(SecretRef("file", str(directory / "key")))
        assert isinstance(catalogue.records, SqlRecords)
        catalogue.records._find_signer = held
        initialise(catalogue.records, held, at(0))
        self.old_kit = cast(KitRecords, standing(catalogue, at(1)))
        self.former = held.read()
        self.before = stored(catalogue, self.former, "p1", 5)
        rotate(catalogue, held, at(10), lost=False)
        self.signer = held.read()
        self.kit = cast(KitRecords, standing(catalogue, at(11)))

    def entries(self) -> list[Entry]:
        return list(self.catalogue.records.read())


@pytest.fixture
def rotated(make: MakeHost, tmp_path: Path) -> Rotated:
    return Rotated(make(), tmp_path)


def test_a_kit_names_the_former_keys_and_when_they_were_replaced(
    rotated: Rotated, make: MakeHost
) -> None:
    [former] = rotated.kit.former
    assert (former.key, former.replaced_at) == (rotated.former.public.id, at(10))
    assert former.replaced_seq == rotated.kit.seq
    new = make()
    trust_kit(new, rotated.kit, copied=True)
    told = keys_of(new)
    assert {*told.confirmed} == {rotated.former.public.id, rotated.signer.public.id}
    assert told.ends == {rotated.former.public.id: at(10)}
    assert trust(new, stored(new, rotated.former, "p2", 11)) is Trust.REPLACED_KEY
    assert trust(new, stored(new, rotated.signer, "p3", 11)) is Trust.SIGNED
    # The kit lists the plan's points: one that it lacks appeared later, whatever its time.
    genuine, forged = stored(new, rotated.former, "p1", 5), stored(new, rotated.former, "p4", 4)
    assert trust(new, forged) is Trust.SIGNED
    new.origins.base_on_kit("orders-api", at(11), [seal_of(genuine)])
    assert [trust(new, p) for p in (genuine, forged)] == [Trust.SIGNED, Trust.REPLACED_KEY]
    assert "it appeared later" in signatures_of(new, "orders-api").words(forged)
    assert signatures_of(new, "orders-api").why_not(forged, [genuine, forged])


def test_a_kit_from_before_a_rotation_learns_of_it_from_the_records(
    rotated: Rotated, make: MakeHost
) -> None:
    new = make()
    new.records.bring_back(rotated.entries())
    trust_kit(new, rotated.old_kit, copied=True)
    assert keys_of(new).ends == {rotated.former.public.id: at(10)}
    assert trust(new, stored(new, rotated.former, "p1", 5)) is Trust.SIGNED
    assert trust(new, stored(new, rotated.former, "p2", 11)) is Trust.REPLACED_KEY
    backdated = stored(new, rotated.former, "p4", 4)
    assert trust(new, backdated) is Trust.REPLACED_KEY, "the record of the new key lacks it"
    assert trust(new, stored(new, rotated.signer, "p3", 11)) is Trust.SIGNED


def test_a_kit_from_before_a_rotation_learns_of_it_from_a_restore_point(
    rotated: Rotated, make: MakeHost
) -> None:
    new = make()
    trust_kit(new, rotated.old_kit, copied=False)
    made = point("3a3a3a3a", at(11))
    data = manifest(rotated.signer, made, endorsements(rotated.catalogue))
    read = manifest_from_bytes(data, repository="r", snapshot="a" * 64, available_at=at(12))
    note(services(new), read)
    assert trust(new, made) is Trust.SIGNED
    assert keys_of(new).ends == {rotated.former.public.id: at(10)}
    assert trust(new, stored(new, rotated.former, "p2", 11)) is Trust.REPLACED_KEY
    assert trust(new, stored(new, rotated.former, "p1", 5)) is Trust.SIGNED


def test_a_time_that_the_former_key_did_not_sign_ends_nothing(rotated: Rotated) -> None:
    [one] = endorsements(rotated.catalogue)
    assert rotated.former.public.accepts(one.message(), one.signed)
    assert not rotated.former.public.accepts(replace(one, at="").message(), one.signed)
    assert of_new_key("k", "") == b"drd-key-1\nk\n"


def test_a_record_of_a_key_counts_only_if_the_key_in_use_signed_it(
    make: MakeHost,
) -> None:
    first, second, forger = key(), key(), key()
    chain = Chain(first)
    chain.new_key(second)
    known = chain.note(n=1)
    kit = KitRecords(
        chain.entries[0].hash, known.seq, known.hash, at(0), second.public.id, second.public.text
    )
    # The former key puts one in its own place a second time.
    chain.signer = first
    chain.new_key(forger)
    new = make()
    new.records.bring_back(chain.entries)
    trust_kit(new, kit, copied=True)
    assert {*keys_of(new).confirmed} == {first.public.id, second.public.id}


def test_a_body_that_was_exchanged_names_no_key(rotated: Rotated, make: MakeHost) -> None:
    forger = key()
    *before, last = rotated.entries()
    assert last.body is not None
    text = last.body.text.replace(rotated.signer.public.text, forger.public.text).replace(
        rotated.signer.public.id, forger.public.id
    )
    new = make()
    new.records.bring_back([*before, replace(last, body=Body(last.body.salt, text))])
    trust_kit(new, rotated.old_kit, copied=True)
    assert {*keys_of(new).confirmed} == {rotated.former.public.id}
    assert trust(new, stored(new, forger, "p9", 12)) is Trust.UNKNOWN_KEY


def test_entries_by_a_key_that_a_kit_knows_as_replaced_do_not_come_back(
    rotated: Rotated, make: MakeHost
) -> None:
    new = make()
    known = Known(frozenset([rotated.former.public.id]), rotated.kit)  # an old key file lies there
    verifier = _Verifier(new, known)
    later = Checkpoint(
        rotated.kit.chain, rotated.kit.seq + 1, "a" * 64, at(20), "h", "0" * 16,
        rotated.former.public.text, rotated.former.public.id,
    )  # fmt: skip
    assert not verifier.signed_by_known(later)
    assert verifier.signed_by_known(replace(later, seq=rotated.kit.seq))
    forged = Chain(rotated.former)
    forged.entries = rotated.entries()[:-1]
    for n in range(5):
        forged.add(Draft("evidence", "shop/p", {"n": n}, at(30)))
    verifier.add([e for e in forged.entries if e.seq < rotated.kit.seq], None)
    assert len(verifier.confirmed()) == len(rotated.entries()) - 1
    with pytest.raises(ValueError, match="differs from the entry in the kit"):
        verifier.add(forged.entries, None)
    # The host remembers what the kit said.
    trust_kit(new, rotated.kit, copied=True)
    again = _Verifier(new, Known(frozenset([rotated.former.public.id])))
    assert not again.signed_by_known(later)


def test_a_key_that_claims_the_id_of_drds_key_brings_no_entries_back(
    rotated: Rotated, make: MakeHost
) -> None:
    known, forger, forged = rotated.signer.public.id, key(), Chain(rotated.signer)
    forged.entries = rotated.entries()
    said = of_key(known, forger.public.text, known, at(30), ANNA, lost=True)
    for draft in (said, Draft("evidence", "shop/p", {"result": "passed"}, at(31))):
        forged.entries[-1] = replace(forged.add(draft, forger), key=known)
    verifier = _Verifier(make(), Known(frozenset([known])))
    with pytest.raises(ValueError, match="its key has another id than the entry says"):
        verifier.add(forged.entries, None)
    assert verifier.confirmed() == rotated.entries()


def test_a_host_that_may_not_have_seen_all_points_of_a_key_lists_none(
    rotated: Rotated, make: MakeHost, tmp_path: Path
) -> None:
    new = make()
    trust_kit(new, rotated.kit, copied=True)
    held = RecordKey(SecretRef("file", str(tmp_path / "other")))
    assert isinstance(new.records, SqlRecords)
    new.records._find_signer = held
    initialise(new.records, held, at(20))
    stored(new, held.read(), "p7", 21)
    rotate(new, held, at(22), lost=False)
    assert keys_of(new).points == {}, "this host may not have seen all"
    assert {*keys_of(rotated.catalogue).points} == {rotated.former.public.id}


def test_a_host_without_a_key_says_that_it_cannot_tell(make: MakeHost) -> None:
    new = make()
    made = point("p1", at(1))
    new.origins.record_seals("orders-api", [Seal("p1")])
    assert finding(services(new), plan(), made) is None  # it has stored it itself
    strange = point("p2", at(2))
    told = finding(services(new), plan(), strange)
    assert told is not None
    assert told.remedy == "drd records init"
    assert "cannot check whether drd made this restore point" in told.text
    signed_one, stripped = stored(new, Signer(new_key(), "?"), "p3", 3), point("p4", at(4))
    new.signatures.record("orders-api", "p4", replace(new.signatures.of_plan("orders-api")["p3"],
                                                     key="", signed=""))  # fmt: skip
    known = signatures_of(new, "orders-api")
    assert known.judges
    assert known.trust(signed_one) is Trust.UNCONFIRMED
    assert "no signature, although" in str(known.why_not(stripped, [signed_one, stripped]))


def test_the_service_checks_the_chain_and_reports_what_was_found(
    make: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue, told, started = make(), list[str](), list[tuple[str, ...]]()
    app = cast(App, SimpleNamespace(catalogue=catalogue))
    watching = Anchoring(app, None, lambda _: None, told.append)

    def checked(words: tuple[str, ...]) -> int:
        started.append(words)
        faults = [Fault(7, "body", "changed")] if len(started) == 1 else []
        note_check(catalogue, at(len(started)), faults, None)
        return 1

    monkeypatch.setattr(watching, "_work", checked)
    watching.turn()
    assert (started, told) == ([], [""]), "not at once after the start"
    for _ in range(2):
        watching._check_at = 0.0
        watching.turn()
        watching.turn()
    assert started == [("verify", "--here", "--quiet")] * 2
    fault = "the last check of the records found 1 fault: entry 7 (body)"
    assert told == ["", "", fault, fault, ""]

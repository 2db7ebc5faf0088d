"""The signature in a manifest."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drd.flows.repository.signatures import Signatures
from drd.model import strict
from drd.model.manifest import _endorsed, manifest_from_bytes
from drd.model.manifest_signature import (
    MALFORMED,
    Endorsement,
    ManifestKeys,
    ManifestSignature,
    Trust,
    accepted_by,
    following,
    is_unlisted,
    of_new_key,
    signature_of,
    signed_manifest,
    trust_in,
)
from drd.model.snapshot import Manifest
from drd.signing import Signer, accepts, new_key
from tests.catalogue_support import point

AT = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(new_key(), "a key of the tests")


def made(signer: Signer) -> bytes:
    data = Manifest(point("1a2b3c4d", AT), {}, {}).to_bytes()
    return signed_manifest(data, "orders-api", "1a2b3c4d", signer.public.id, signer.sign)


def trust(data: bytes, keys: ManifestKeys, *, plan: str = "orders-api") -> Trust:
    said = signature_of(data, has_member="signature" in json.loads(data))
    public = accepted_by(said, plan, "1a2b3c4d", keys, accepts)
    return trust_in(ManifestSignature(said.digest, said.key, said.signed, public), keys)


def of(signer: Signer) -> ManifestKeys:
    return ManifestKeys({signer.public.id: signer.public.text})


def test_a_signed_manifest_is_a_manifest_as_before(signer: Signer) -> None:
    data = made(signer)
    read = manifest_from_bytes(data, repository="primary", snapshot="a" * 64, available_at=AT)
    assert read.point.id == "1a2b3c4d"
    assert read.signature.key == signer.public.id
    assert read.signature.same(signature_of(data, has_member=True))
    assert trust(data, of(signer)) is Trust.SIGNED


def test_every_changed_byte_is_found(signer: Signer) -> None:
    data, keys = made(signer), of(signer)
    for at in range(0, len(data) - 2, 7):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            json.loads(changed)
        except ValueError:
            continue
        assert trust(bytes(changed), keys) is not Trust.SIGNED, at


def test_a_signature_is_of_one_plan_and_its_key_alone(signer: Signer) -> None:
    data, other = made(signer), Signer(new_key(), "another")
    assert trust(data, of(signer), plan="billing") is Trust.WRONG
    assert trust(data, of(other)) is Trust.UNKNOWN_KEY
    assert trust(data, ManifestKeys()) is Trust.UNCONFIRMED
    copied = ManifestKeys({}, {signer.public.id: signer.public.text})
    assert trust(data, copied) is Trust.UNCONFIRMED
    false = ManifestKeys({signer.public.id: other.public.text})
    assert trust(data, false) is Trust.WRONG


def test_a_signature_that_drd_did_not_write_so_is_wrong(signer: Signer) -> None:
    document = json.loads(made(signer))
    moved = json.dumps(document, indent=1).encode()
    assert signature_of(moved, has_member=True).key == MALFORMED
    assert trust(moved, of(signer)) is Trust.WRONG
    del document["signature"]
    assert trust(json.dumps(document, indent=1).encode(), of(signer)) is Trust.UNSIGNED
    # What follows the signature is not covered, so nothing may.
    late = made(signer)[:-2] + b',\n "complete": false\n}'
    assert signature_of(late, has_member=True).key == MALFORMED


def test_a_key_counts_that_a_key_of_drd_has_put_in_its_place() -> None:
    def signs(public: str, said: bytes, signed: str) -> bool:
        return signed == f"{public} says {said.decode()}"

    def by(former: str, public: str) -> str:
        return f"{former} says drd-key-1\n{public}\n"

    endorsed = [
        Endorsement("P2", "id P1", by("P1", "P2")),
        Endorsement("P3", "id P2", by("P2", "P3")),
        Endorsement("P4", "id P1", by("P9", "P4")),
        Endorsement("P5", "id P4", by("P4", "P5")),
        Endorsement("P6", "id P9", by("", "P7")),
    ]
    found, ends = following({"id P1": "P1"}, endorsed, signs, lambda public: f"id {public}")
    assert ends == {}  # older endorsements have no time
    assert list(found.items()) == [("id P1", "P1"), ("id P2", "P2"), ("id P3", "P3")]
    found, _ = following({"id P1": "P1"}, endorsed[1:], signs, lambda p: f"id {p}")
    assert list(found) == ["id P1"]


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({}, True),
        ({"public": "p" * 44, "former": "f" * 16, "signed": "s" * 88}, True),
        ({"public": "p" * 45}, False),
        ({"former": "f" * 17}, False),
        ({"signed": "s" * 89}, False),
        ({"signed": 5}, False),
        ({"former": None}, False),
        ({"at": "2026-11-28T10:00:00.000000Z"}, True),
        ({"at": "soon"}, False),
        ({"at": 5}, False),
    ],
)
def test_keys_in_a_manifest_are_read_strictly(changes: dict[str, object], *, read: bool) -> None:
    value = {"public": "p", "former": "f", "signed": "s", **changes}
    if read:
        assert _endorsed(value, "keys[0]") == Endorsement(**value)  # type: ignore[arg-type]
        return
    with pytest.raises(strict.UnexpectedValue):
        _endorsed(value, "keys[0]")
    with pytest.raises(strict.UnexpectedValue):
        _endorsed({"public": "p", "former": "f"}, "keys[0]")


def test_a_replaced_key_signs_nothing_later_and_endorses_no_second_key(signer: Signer) -> None:
    said = signature_of(made(signer), has_member=True)
    said = replace(said, public=signer.public.text)
    keys = replace(of(signer), ends={signer.public.id: AT})
    assert trust_in(said, keys, AT) is Trust.SIGNED
    assert trust_in(said, keys, AT + timedelta(seconds=1)) is Trust.REPLACED_KEY
    assert trust_in(said, keys) is Trust.SIGNED  # known before
    ids = {}
    endorsed = []
    for _ in range(2):
        new = Signer(new_key(), "the next")
        ids[new.public.text] = new.public.id
        signed = signer.sign(of_new_key(new.public.text))
        endorsed.append(Endorsement(new.public.text, signer.public.id, signed))
    first, second = ids.values()
    known = of(signer).confirmed
    found, _ = following(known, endorsed, accepts, ids.__getitem__)
    assert {*found} == {signer.public.id, first}
    [only], _ = following(known, endorsed, accepts, ids.__getitem__, [signer.public.id])
    assert only == signer.public.id
    # What follows a key that only a repository names is no more than that one.
    claimed = ManifestKeys({}, {second: "k"})
    assert trust_in(said, claimed) is Trust.UNCONFIRMED
    assert trust_in(replace(said, public=""), claimed) is Trust.UNKNOWN_KEY


@pytest.mark.parametrize(
    ("keys", "trust"),
    [
        (ManifestKeys({"k": "public"}), Trust.SIGNED),
        (ManifestKeys({}, {"k": "public"}), Trust.UNCONFIRMED),
        (ManifestKeys({"k": "another"}), Trust.WRONG),
        (ManifestKeys({}, {"k": "another"}), Trust.WRONG),
        (ManifestKeys({"l": "public"}), Trust.UNKNOWN_KEY),
        (ManifestKeys(), Trust.UNCONFIRMED),
    ],
)
def test_trust_depends_on_who_says_that_the_valid_key_is_drds(
    keys: ManifestKeys, trust: Trust
) -> None:
    assert trust_in(ManifestSignature("d", "k", "signed", "public"), keys) is trust


def test_an_empty_key_makes_no_signature_valid() -> None:
    nameless = ManifestSignature("d", "k", "signed")
    assert trust_in(nameless, ManifestKeys({"k": ""})) is Trust.UNKNOWN_KEY
    assert trust_in(nameless, ManifestKeys({}, {"k": ""})) is Trust.WRONG


@pytest.mark.parametrize(
    ("keys", "by_kit", "unlisted"),
    [
        (ManifestKeys(), False, False),
        (ManifestKeys(), True, False),
        (ManifestKeys(points={"k": frozenset({"d" * 32})}), False, False),
        (ManifestKeys(points={"k": frozenset({"e" * 32})}), False, True),
        (ManifestKeys(points={"k": frozenset()}), True, True),
        (ManifestKeys(points={"l": frozenset()}), True, False),
        (ManifestKeys(before_kit=frozenset("k")), True, True),
        (ManifestKeys(before_kit=frozenset("k")), False, False),
        (ManifestKeys(before_kit=frozenset("l")), True, False),
    ],
)
def test_a_replaced_key_signed_only_the_manifests_that_are_listed(
    keys: ManifestKeys, *, by_kit: bool, unlisted: bool
) -> None:
    assert is_unlisted(ManifestSignature("d" * 64, "k"), keys, by_kit=by_kit) is unlisted


def test_a_point_without_a_signature_after_one_by_a_claimed_key_is_not_chosen() -> None:
    earlier, later = point("p1", AT), point("p2", AT + timedelta(hours=1))
    noted = {
        "p1": ManifestSignature("d" * 64, "a" * 16, "s" * 88, "k" * 44),
        "p2": ManifestSignature("e" * 64),
    }
    keys = ManifestKeys({}, {"a" * 16: "k" * 44})
    known = Signatures("orders-api", keys, noted, frozenset(), from_kit=False)
    assert known.trust(earlier) is Trust.UNCONFIRMED
    assert "it has no signature" in str(known.why_not(later, [earlier, later]))
    assert known.why_not(earlier, [earlier, later]) is None
    ended = replace(keys, ends={"a" * 16: AT - timedelta(hours=1)})
    assert "replaced" in str(replace(known, keys=ended).why_not(earlier, [earlier]))
    assert replace(known, keys=ended, sealed=frozenset(["p1"])).why_not(earlier, [earlier]) is None

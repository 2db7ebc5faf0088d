"""Decide who made restore points, by the signatures of their manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from drd.errors import CatalogueError, ManifestRefused
from drd.flows.repository.drd_keys import keys_of
from drd.flows.services import Services
from drd.model.finding import Finding
from drd.model.finding_codes import POINT_SIGNATURE
from drd.model.manifest_signature import (
    ManifestKeys,
    ManifestSignature,
    Trust,
    accepted_by,
    following,
    is_late,
    signature_of,
    trust_in,
)
from drd.model.plan import Plan
from drd.model.snapshot import Manifest, RestorePoint, made_by
from drd.model.text import escaped
from drd.ports import Catalogue
from drd.process import rights
from drd.signing import accepts, public_key

_REFUSED = (Trust.UNKNOWN_KEY, Trust.REPLACED_KEY, Trust.WRONG)


def note(services: Services, manifest: Manifest) -> ManifestSignature:
    """Record what a manifest that was read says about its signature. If its key has replaced a key
    that a kit has named since, it belongs to drd, too. If it has replaced a key that only a
    repository names, it is trusted no more than that key."""
    signatures, said = services.catalogue.signatures, manifest.signature
    plan, point = manifest.point.plan, manifest.point.id
    of_kits = signatures.trusted().keys
    keys = keys_of(services.catalogue)
    known = of_kits or keys.claimed
    if known and keys.of(said.key) is None and manifest.keys:
        noted_keys, ends = following(known, manifest.keys, accepts, _id_of, keys.ends)
        if said.key in noted_keys and accepted_by(
            said, plan, point, ManifestKeys(noted_keys), accepts
        ):
            if of_kits:
                with suppress(CatalogueError):
                    signatures.trust(noted_keys, after=0, replaced=ends)
                keys = keys_of(services.catalogue)
            else:
                keys = replace(keys, claimed=noted_keys)
    return _note(services, plan, point, said, keys)


def _id_of(public: str) -> str:
    key = public_key(public)
    return key.id if key is not None else ""


def note_signature(services: Services, plan: str, point: str, data: bytes) -> ManifestSignature:
    """Record the signature of a manifest that was stored."""
    said = signature_of(data, has_member=False)
    return _note(services, plan, point, said, keys_of(services.catalogue))


def _note(
    services: Services, plan: str, point: str, said: ManifestSignature, keys: ManifestKeys
) -> ManifestSignature:
    signature = _checked(said, plan, point, keys)
    with suppress(CatalogueError):  # a reader may have no right to write
        services.catalogue.signatures.record(plan, point, signature)
    return signature


def _checked(
    said: ManifestSignature, plan: str, point: str, keys: ManifestKeys
) -> ManifestSignature:
    return replace(said, public=accepted_by(said, plan, point, keys, accepts))


def require_same_signature(services: Services, manifest: Manifest, repository: str) -> None:
    """Raise ManifestRefused if the signature of the manifest differs from the signature that drd
    has noted for its point; if none is noted, note this one. If drd made the point of another
    tool's copy, it is not compared: it has a seal, and its signature changes with the components of
    the plan.
    """
    point = manifest.point
    if made_by(point.id) and services.catalogue.origins.seal(point.plan, point.id) is not None:
        return
    known = services.catalogue.signatures.get(point.plan, point.id)
    if known is None:
        note(services, manifest)
    elif not known.same(manifest.signature):
        raise ManifestRefused(
            f"the manifest of restore point {point.id} in {repository} is not the manifest "
            "that drd stored: this manifest has another signature",
            hint="use another restore point or repository, and find out who else has the password "
            "of this repository.",
            repair="none",
        )


@dataclass(frozen=True, slots=True)
class Signatures:
    """What is known about the signatures of a plan's restore points."""

    plan: str
    keys: ManifestKeys
    noted: Mapping[str, ManifestSignature]
    sealed: frozenset[str]
    from_kit: bool
    kit_lists: bool = False

    @property
    def judges(self) -> bool:
        """Return whether signatures say anything here: this host knows a key, or has read a
        manifest that is signed."""
        return bool(self.keys) or any(said.key for said in self.noted.values())

    def is_signed(self, point: RestorePoint) -> bool:
        """Return whether a key of drd signed a point while the key was in use, by what this host
        has read."""
        return self.trust(point) is Trust.SIGNED

    def trust(self, point: RestorePoint) -> Trust:
        """Return how far the manifest of a point is drd's own."""
        if made_by(point.id):
            return Trust.NOT_OURS
        said = self.noted.get(point.id)
        if said is None:
            stored_here = point.id in self.sealed and not self.from_kit
            return Trust.UNSIGNED if stored_here else Trust.UNCHECKED
        if said.key and not said.public:  # its key may be known by now
            said = _checked(said, self.plan, point.id, self.keys)
        # What this host has stored itself, or the kit lists, is from when its key was in use.
        at = None if point.id in self.sealed else point.data_time
        return trust_in(said, self.keys, at, by_kit=self.kit_lists)

    def why_not(self, point: RestorePoint, others: Iterable[RestorePoint]) -> str | None:
        """Return why drd does not choose a point by itself; None if it may. A point that this host
        has stored itself, or that the kit lists, needs no signature."""
        if point.id in self.sealed:
            return None
        trust = self.trust(point)
        if trust in _REFUSED:
            return self.words(point)
        if trust is not Trust.UNSIGNED:
            return None
        signed = [p for p in others if self.trust(p) in {Trust.SIGNED, Trust.UNCONFIRMED}]
        if any(p.data_time <= point.data_time for p in signed):
            return "it has no signature, although drd had signed restore points before it"
        return None

    def words(self, point: RestorePoint) -> str:
        """Return a sentence about the signature of a point."""
        said = self.noted.get(point.id)
        key = escaped(said.key) if said is not None else ""
        match self.trust(point):
            case Trust.SIGNED:
                return f"its manifest is signed by key {key} of drd"
            case Trust.UNCONFIRMED:
                return (
                    f"its manifest is signed by key {key}, but only the repository says that this "
                    "key is drd's"
                )
            case Trust.UNKNOWN_KEY:
                return f"its manifest is signed by key {key}, which is not one of drd's keys"
            case Trust.REPLACED_KEY if said is None or is_late(said, self.keys, point.data_time):
                return (
                    f"its manifest is signed by key {key} of drd, which another key had replaced "
                    "before the time of its data"
                )
            case Trust.REPLACED_KEY:
                return (
                    f"its manifest is signed by key {key} of drd, which another key has replaced. "
                    "The list of restore points that drd made then does not contain this point: it "
                    "appeared later"
                )
            case Trust.WRONG:
                return (
                    "its manifest has a signature that belongs to another text, not to "
                    "this manifest"
                )
            case Trust.UNCHECKED:
                return "this host has not checked the signature of its manifest yet"
            case Trust.NOT_OURS:
                return "another tool made the copy, so it does not have a signature of drd"
            case Trust.UNSIGNED:
                return "its manifest is not signed"


def signatures_of(catalogue: Catalogue, plan: str) -> Signatures:
    """Return what is known about the signatures of a plan's restore points. Reads no repository."""
    origins = catalogue.origins
    base = origins.kit_base(plan)
    return Signatures(
        plan,
        keys_of(catalogue),
        catalogue.signatures.of_plan(plan),
        frozenset(origins.seals(plan)),
        from_kit=base is not None,
        kit_lists=base is not None and base.listed,
    )


def said_in_evidence(catalogue: Catalogue, point: RestorePoint) -> str | None:
    """Return how far drd trusts the manifest of a point. None if nothing is signed; and for root on
    another user's state, because root signs nothing that this user could have written there."""
    if rights.acts_for() is not None:
        return None
    known = signatures_of(catalogue, point.plan)
    return str(known.trust(point)) if known.keys else None


def finding(services: Services, plan: Plan, point: RestorePoint) -> Finding | None:
    """Return what a person has to know about the signature of a point. None for points that another
    tool made; and, if this host has no key, for points that it has stored itself or that its kit
    lists."""
    known = signatures_of(services.catalogue, plan.name)
    trust, words = known.trust(point), f"restore point {point.id}: {known.words(point)}"
    if trust is Trust.NOT_OURS or (not known.keys and point.id in known.sealed):
        return None
    if not known.keys:
        text = (
            f"restore point {point.id}: this host does not have a key of drd, so it cannot "
            "check whether drd made this restore point. Whoever has the repository's "
            "password could have forged the point. A host that is made from a recovery kit "
            "with the key can check this. With a key, drd signs the restore points that it "
            "stores"
        )
        return Finding(POINT_SIGNATURE, "warning", "", text, "drd records init")
    if trust is Trust.SIGNED:
        return Finding(POINT_SIGNATURE, "ok", "", words)
    if trust in _REFUSED:
        text = (
            f"{words}. Whoever has the repository's password could have forged this restore point"
        )
        return Finding(POINT_SIGNATURE, "warning", "", text, f"drd points {plan.name}")
    if trust is Trust.UNSIGNED and services.catalogue.records.current_key():
        return Finding(POINT_SIGNATURE, "warning", "", words, "drd records key")
    return Finding(POINT_SIGNATURE, "warning", "", words)

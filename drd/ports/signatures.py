"""The signatures of manifests, and the keys that this host knows from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from drd.model.manifest_signature import ManifestSignature


class SignatureStore(Protocol):
    """What manifests said of their signatures when drd stored or read them. None of it comes out of
    a copy of the catalogue in a repository."""

    def record(self, plan: str, point: str, signature: ManifestSignature) -> None:
        """Record the signature of a point's manifest. It replaces an earlier one."""

    def of_plan(self, plan: str) -> dict[str, ManifestSignature]:
        """By restore point, what was recorded."""

    def get(self, plan: str, point: str) -> ManifestSignature | None:
        """What was recorded of one point."""

    def trust(self, keys: Mapping[str, str], *, after: int) -> None:
        """Record public keys by their ids that a recovery kit names as drd's. The records up to
        entry `after` came out of a repository; what was recorded first counts."""

    def trusted(self) -> tuple[Mapping[str, str], int | None]:
        """The keys of kits, and up to which entry the records came out of a repository; None if
        none did."""

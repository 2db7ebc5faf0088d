"""The signatures of manifests, and the keys that this host knows from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from drd.model.manifest_signature import ManifestSignature, Replaced, TrustedKeys


class SignatureStore(Protocol):
    """What manifests said about their signatures when drd stored or read them. No part of it comes
    from a copy of the catalogue in a repository."""

    def record(self, plan: str, point: str, signature: ManifestSignature) -> None:
        """Record the signature of a point's manifest. It replaces an earlier one."""

    def of_plan(self, plan: str) -> dict[str, ManifestSignature]:
        """Return what was recorded, by restore point."""

    def get(self, plan: str, point: str) -> ManifestSignature | None:
        """Return what was recorded about one point; None if nothing was."""

    def by_key(self, key: str) -> list[str]:
        """Return the digests of the manifests that this key has signed, if they were recorded."""

    def trust(
        self,
        keys: Mapping[str, str],
        *,
        after: int,
        replaced: Mapping[str, Replaced] = ...,
    ) -> None:
        """Record the public keys, by their ids, that a recovery kit names as drd's, and when other
        keys have `replaced` them. The records up to entry `after` came out of a repository. If
        `after` and `replaced` were recorded before, the first record counts."""

    def trusted(self) -> TrustedKeys:
        """Return the trusted keys that were recorded."""

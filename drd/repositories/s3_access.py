"""The address and the keys of a bucket. No boto3 here: importing it takes long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drd.model.location import S3Location

_VIRTUAL_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".googleapis.com", ".aliyuncs.com")
"""The providers for which restic puts the bucket into the host name unless told otherwise."""


@dataclass(frozen=True, slots=True)
class S3Keys:
    """Resolved access; without a key, the chain of defaults up to the instance's role."""

    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    region: str | None = None
    ca_cert: str | None = None
    bucket_lookup: Literal["auto", "dns", "path"] = "auto"


def by_host_name(location: S3Location, keys: S3Keys) -> bool:
    """Return whether the bucket is addressed by its host name, and not by its path."""
    if keys.bucket_lookup == "auto":
        return location.host.endswith(_VIRTUAL_HOSTS)
    return keys.bucket_lookup == "dns"

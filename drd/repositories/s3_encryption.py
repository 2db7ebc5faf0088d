"""What a bucket answers when drd asks how it encrypts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.model.controls import BucketEncryption, ControlUnknown
from drd.model.location import S3Location
from drd.repositories import s3_errors as trouble

_NONE = "ServerSideEncryptionConfigurationNotFoundError"
_MAY_NOT = ("AccessDenied", "AllAccessDisabled", "403", "Forbidden")
_CANNOT = ("NotImplemented", "MethodNotAllowed", "501", "405", "XNotImplemented")


def of_answer(answer: Mapping[str, Any], bucket: str) -> BucketEncryption:
    """Judge the body of the answer: some servers answer 200 with an empty one. Raises
    ControlUnknown."""
    rules = (answer.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or []
    for rule in rules:
        default = rule.get("ApplyServerSideEncryptionByDefault") or {}
        if algorithm := default.get("SSEAlgorithm"):
            return BucketEncryption(
                bucket, str(algorithm), str(default.get("KMSMasterKeyID") or "")
            )
    raise ControlUnknown(
        f"bucket {bucket} does not say how it encrypts: the answer is empty",
        hint="find out in the settings of the S3 server whether and how it encrypts.",
    )


def of_error(error: Exception, location: S3Location) -> BucketEncryption:
    """Return a bucket without encryption, if the error says that. Raises ControlUnknown, and what
    `s3_errors.translated` returns."""
    code, bucket = trouble.code_of(error), location.bucket
    if code == _NONE:
        return BucketEncryption(bucket)
    if code in _MAY_NOT:
        raise ControlUnknown(
            f"the access key may not read how bucket {bucket} encrypts",
            hint="allow s3:GetEncryptionConfiguration for this access key.",
        ) from None
    if code in _CANNOT:
        raise ControlUnknown(
            f"the server of bucket {bucket} does not report how it encrypts",
            hint="check the settings of the S3 server, and remove this control.",
        ) from None
    raise trouble.translated(error, location) from error

"""Translate boto3's exceptions into our errors with a remedy."""

from __future__ import annotations

from typing import Any

from botocore import exceptions

from drd.errors import (
    RepositoryError,
    RepositoryMissing,
    RepositoryRefused,
    RepositoryUnreachable,
    SecretUnavailable,
)
from drd.log import masked
from drd.model.clock import SYNCHRONISE
from drd.model.location import S3Location
from drd.repositories.s3_requests import TooLarge

_REASONS = (
    ("connection refused", "connection refused"),
    ("name or service not known", "no such host"),
    ("no address associated", "no such host"),
    ("temporary failure in name resolution", "its name cannot be resolved"),
    ("network is unreachable", "network is unreachable"),
    ("no route to host", "no route to host"),
    ("connection reset", "connection reset"),
    ("timed out", "no answer in time"),
    ("timeout", "no answer in time"),
)
_BAD_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken")


def code_of(error: Exception) -> str:
    """S3's own error code (`NoSuchBucket`), or an empty string."""
    answer: Any = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def translated(error: Exception, location: S3Location) -> Exception:
    """Return the error to raise for `error`, which came from a request to `location`'s bucket."""
    if isinstance(error, exceptions.ClientError):
        return _drd_error(error, location)
    if isinstance(error, exceptions.SSLError):
        return _untrusted(error, location)
    if isinstance(error, exceptions.NoCredentialsError | exceptions.CredentialRetrievalError):
        return SecretUnavailable(
            f"there is no access key for {location.endpoint}, and this host has no role that "
            "gives access",
            hint="give the repository `s3: {access_key: …, secret_key: …}`.",
        )
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return RepositoryUnreachable(
            f"cannot reach {location.endpoint}: {_reason(error)}",
            hint="check the URL, the network and that the S3 server runs.",
        )
    if isinstance(error, TooLarge):
        return RepositoryUnreachable(
            f"cannot parse the answer of {location.endpoint}: {error}",
            hint="check the S3 server's log: this answer does not follow the S3 protocol.",
        )
    return RepositoryError(f"cannot send a request to {location.endpoint}: {masked(str(error))}")


def _reason(error: BaseException) -> str:
    text = " ".join(str(e) for e in _chain(error)).lower()
    return next((words for mark, words in _REASONS if mark in text), masked(str(error)))


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return the error and all errors that it wraps."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        inner = getattr(error, "kwargs", {}).get("error")
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return chain


def _untrusted(error: Exception, location: S3Location) -> RepositoryError:
    text = str(error)
    if "WRONG_VERSION_NUMBER" in text or "wrong version number" in text:
        return RepositoryError(
            f"{location.endpoint} does not speak TLS",
            hint="if the server uses plain HTTP, write s3:http://….",
        )
    return RepositoryError(
        f"the certificate of {location.endpoint} is not trusted: {_verification(text)}",
        hint="give the repository `s3: {ca_cert: FILE}` with the CA that signed the certificate; "
        "in a bootstrap: --ca-cert FILE.",
    )


def _verification(text: str) -> str:
    _, marker, reason = text.partition("certificate verify failed: ")
    return reason.partition(" (_ssl")[0] if marker else text


def _drd_error(error: Exception, location: S3Location) -> Exception:
    response: Any = getattr(error, "response", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    code = code_of(error)
    if status == 404 or code == "NoSuchBucket":
        return RepositoryMissing(
            f"bucket {location.bucket} does not exist at {location.endpoint}",
            hint="create the bucket, or correct the URL: drd never creates a bucket.",
            state="gone",
        )
    home = headers.get("x-amz-bucket-region")
    if status in (301, 307, 400) and home:
        return RepositoryError(
            f"bucket {location.bucket} is in region {home}",
            hint=f"give the repository `s3: {{region: {home}}}`.",
        )
    if code == "RequestTimeTooSkewed":
        return RepositoryError(
            f"{location.endpoint} refuses requests because this host's clock is wrong",
            hint=SYNCHRONISE,
        )
    if status in (401, 403) or code in _BAD_KEYS:
        return RepositoryRefused(
            f"{location.endpoint} does not accept the access key, or the key may not use "
            f"bucket {location.bucket}",
            hint="check access_key and secret_key, and that the key may list the bucket.",
        )
    if status >= 500 or code in ("SlowDown", "503", "500"):
        return RepositoryUnreachable(
            f"{location.endpoint} answers with {status or code}",
            hint="check the S3 server's log, then try again.",
        )
    return RepositoryError(
        f"{location.endpoint} refuses the request for bucket {location.bucket}: {code or status}",
        hint="check the S3 server's log, and what the access key may do.",
    )

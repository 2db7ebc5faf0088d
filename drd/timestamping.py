"""Time stamps of an authority (RFC 3161): asking for one, and checking it. The library is optional:
`drd[timestamp]`."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from drd import http

try:
    import cryptography.x509
    import rfc3161_client
except ImportError:  # without the extra
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

_DEADLINE_S = 20.0
_MOST = 1 << 16
_SHA256 = "2.16.840.1.101.3.4.2.1"


class NoStamp(Exception):
    """There is no time stamp, or it proves nothing; the message says why."""


def ask(url: str, message: bytes, roots: bytes) -> bytes:
    """Let the authority stamp the SHA-256 of a message, check its answer by the `roots` (PEM), and
    return it (DER). Only the digest leaves this host. Raises NoStamp."""
    parts = http.parts_of(url)
    if parts is None:
        raise NoStamp("the address is not an http or https URL")
    request = (
        rfc3161_client.TimestampRequestBuilder()
        .data(message)
        .hash_algorithm(rfc3161_client.HashAlgorithm.SHA256)
        .build()
    )
    try:
        answer = http.exchange(
            parts,
            "POST",
            request.as_bytes(),
            headers={"Content-Type": "application/timestamp-query"},
            deadline_s=_DEADLINE_S,
            most=_MOST,
            trust=lambda: http.tls_context(None),
            loopback_directly=True,
        )
    except http.NoAnswer as error:
        raise NoStamp(error.message) from None
    if answer.status != 200:
        raise NoStamp(f"{answer.host} answered {answer.status}")
    checked(answer.body, sha256(message).hexdigest(), roots, nonce=request.nonce)
    return answer.body


def checked(response: bytes, digest: str, roots: bytes, *, nonce: int | None = None) -> datetime:
    """Return the time at which the authority has signed that this SHA-256 existed. Its certificate
    has to be issued by one of the `roots` (PEM), and valid at that time. Raises NoStamp."""
    try:
        read = rfc3161_client.decode_timestamp_response(response)
        builder = rfc3161_client.VerifierBuilder(
            roots=cryptography.x509.load_pem_x509_certificates(roots), nonce=nonce
        )
        if read.tst_info.message_imprint.hash_algorithm.dotted_string != _SHA256:
            raise NoStamp("the answer is not a time stamp of a SHA-256")
        builder.build().verify(read, bytes.fromhex(digest))
    except rfc3161_client.VerificationError as error:
        raise NoStamp(_said(error)) from None
    except (ValueError, TypeError) as error:
        raise NoStamp("the answer is not a time stamp (RFC 3161)") from error
    return read.tst_info.gen_time


def _said(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__

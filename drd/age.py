"""Encryption to public keys of people: age keys, keys of hardware, SSH keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyrage

from drd.errors import DrdError, UsageError, WrongKey

_KINDS = (
    ("age1tagpq1", pyrage.tagpq.Recipient),
    ("age1tag1", pyrage.tag.Recipient),
    ("age1", pyrage.x25519.Recipient),
    ("ssh-", pyrage.ssh.Recipient),
)


def recipient(text: str) -> Any:
    """Return an age public key, one for hardware or post-quantum keys, or an SSH public key. Raises
    UsageError."""
    for prefix, kind in _KINDS:
        if text.startswith(prefix):
            try:
                return kind.from_str(text)
            except pyrage.RecipientError as error:
                raise UsageError(
                    f"{text!r} is not a public key: {error_text(error)}",
                    hint="give a public key: the line that begins with age1 (`age-keygen -y FILE` "
                    "prints it) or with ssh-.",
                ) from None
    raise UsageError(
        f"{text!r} is not a public key",
        hint="give an age public key (age1…) or an SSH public key (ssh-ed25519 …).",
    )


def identities(text: bytes) -> list[Any]:
    """Return the identities in an identity file. Raises UsageError if there is none, or one has a
    passphrase."""
    try:
        if text.startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(text)]
        lines = [line.strip() for line in text.decode("ascii").splitlines()]
        identities_read = [
            pyrage.x25519.Identity.from_str(line)
            for line in lines
            if line and not line.startswith("#")
        ]
    except (pyrage.IdentityError, ValueError, DrdError) as error:
        raise UsageError(
            f"the identity file cannot be used: {error_text(error)}",
            hint="give the file that age-keygen wrote, or an SSH key without a passphrase.",
        ) from None
    if not identities_read:
        raise UsageError(
            "the identity file contains no identity",
            hint="make an identity with `age-keygen -o FILE`, or give an SSH key.",
        )
    return identities_read


def encrypt(data: bytes, recipients: Iterable[str], *, armored: bool = False) -> bytes:
    """Return the data as an age file that each of these public keys opens, `armored` as text.
    Raises UsageError."""
    keys = [recipient(text) for text in recipients]
    return bytes(pyrage.encrypt(data, keys, armored=armored))


def decrypt(data: bytes, identity: bytes) -> bytes:
    """Return the decrypted content of an age file; `identity` is the text of an identity file.
    Raises UsageError, and WrongKey if the identity does not open the file, or the file is damaged.
    """
    try:
        return bytes(pyrage.decrypt(data, identities(identity)))
    except pyrage.DecryptError as error:
        raise WrongKey(
            f"this identity does not decrypt the data: {error_text(error)}",
            hint="give the identity of a role that drd.yaml named when the data was encrypted.",
        ) from None


def error_text(error: Exception) -> str:
    """Return the library's message on one line; it contains no secret."""
    text = " ".join(str(error).split()).rstrip(".")
    return text[:1].lower() + text[1:]

"""Signatures of drd's own key (Ed25519, RFC 8032), and its public half."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import lru_cache

from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from drd.errors import SecretUnavailable
from drd.model.records import key_id

_CURVE = "Ed25519"
_HINT = (
    "give a private key in the format of `openssl genpkey -algorithm ed25519`, or let drd "
    "make a key: drd records init"
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key. `raw` are its 32 bytes."""

    raw: bytes

    @property
    def id(self) -> str:
        """Return the id by which records identify the key."""
        return key_id(self.raw)

    @property
    def text(self) -> str:
        """The key as base64, as records contain it."""
        return b64encode(self.raw).decode()

    @property
    def pem(self) -> str:
        """Return the key in the form that `openssl` reads."""
        return eddsa.import_public_key(self.raw).export_key(format="PEM") + "\n"

    def accepts(self, message: bytes, signature: str) -> bool:
        """Return whether this key has made the signature (base64) of this message."""
        try:
            signed = b64decode(signature, validate=True)
            eddsa.new(eddsa.import_public_key(self.raw), "rfc8032").verify(message, signed)
        except ValueError:
            return False
        return True


def public_key(text: str) -> PublicKey | None:
    """Read a public key from base64, as records contain it, or from PEM; None for anything else."""
    try:
        if "-----BEGIN" in text:
            key = ECC.import_key(text)
            if key.curve != _CURVE:
                return None
            return PublicKey(key.public_key().export_key(format="raw"))
        raw = b64decode(text, validate=True)
        eddsa.import_public_key(raw)
    except (ValueError, IndexError, TypeError):
        return None
    return PublicKey(raw)


def accepts(public: str, message: bytes, signature: str) -> bool:
    """Return whether the signature of the message was made with this key (base64); False if the
    text is not a key."""
    key = _known(public)
    return key is not None and key.accepts(message, signature)


@lru_cache(16)
def _known(public: str) -> PublicKey | None:
    return public_key(public)


class Signer:
    """A private key, which never leaves this object."""

    def __init__(self, pem: str, name: str) -> None:
        """Read a private key. `name` is what messages call it. Raises SecretUnavailable."""
        try:
            self._key = ECC.import_key(pem)
        except (ValueError, IndexError, TypeError):
            raise SecretUnavailable(f"{name} is not a private key", hint=_HINT) from None
        if self._key.curve != _CURVE or not self._key.has_private():
            raise SecretUnavailable(f"{name} is not a private Ed25519 key", hint=_HINT)
        self.public = PublicKey(self._key.public_key().export_key(format="raw"))

    def sign(self, message: bytes) -> str:
        """Return the signature of the message, as base64."""
        return b64encode(eddsa.new(self._key, "rfc8032").sign(message)).decode()


def new_key() -> str:
    """Make a private key, as PEM."""
    pem: str = ECC.generate(curve=_CURVE).export_key(format="PEM")
    return pem + "\n"

"""Kits whose passphrase takes no time to derive.

pyrage chooses the work factor so that a passphrase takes it a second, at each sealing and at each
opening. Here a kit is sealed with the smallest of factors, which stands in its header, and pyrage
opens it like any other. The format: age-encryption.org/v1.
"""

from __future__ import annotations

import hashlib
import hmac
import textwrap
from base64 import b64encode
from types import SimpleNamespace

import pyrage
from Crypto.Cipher import ChaCha20_Poly1305
from Crypto.Random import get_random_bytes

from drd.kit import sealing

_LOG_N = 1
_CHUNK = 64 << 10


def install() -> None:
    """For what this process seals, from now on."""
    light = SimpleNamespace(encrypt=encrypt, decrypt=pyrage.passphrase.decrypt)
    parts = {name: getattr(pyrage, name) for name in dir(pyrage) if not name.startswith("__")}
    vars(sealing)["pyrage"] = SimpleNamespace(**parts | {"passphrase": light})


def encrypt(plain: bytes, passphrase: str, *, armored: bool) -> bytes:
    """As pyrage.passphrase.encrypt."""
    assert armored
    file_key, salt = get_random_bytes(16), get_random_bytes(16)
    scrypt_salt = b"age-encryption.org/v1/scrypt" + salt
    wrap = hashlib.scrypt(passphrase.encode(), salt=scrypt_salt, n=1 << _LOG_N, r=8, p=1, dklen=32)
    stanza = f"-> scrypt {_text(salt)} {_LOG_N}\n{_text(_sealed(wrap, bytes(12), file_key))}\n"
    header = f"age-encryption.org/v1\n{stanza}---".encode()
    mac = hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")
    nonce = get_random_bytes(16)
    body = _stream(_derived(file_key, nonce, b"payload"), plain)
    lines = textwrap.wrap(
        b64encode(header + f" {_text(mac)}\n".encode() + nonce + body).decode(), 64
    )
    begin, end = (f"-----{word} AGE ENCRYPTED FILE-----" for word in ("BEGIN", "END"))
    return "\n".join([begin, *lines, end, ""]).encode()


def _stream(key: bytes, plain: bytes) -> bytes:
    chunks = [plain[at : at + _CHUNK] for at in range(0, len(plain), _CHUNK)] or [b""]
    return b"".join(
        _sealed(key, number.to_bytes(11, "big") + bytes([number == len(chunks) - 1]), chunk)
        for number, chunk in enumerate(chunks)
    )


def _sealed(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    sealed, tag = ChaCha20_Poly1305.new(key=key, nonce=nonce).encrypt_and_digest(plain)
    return sealed + tag


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 of 32 bytes."""
    extracted = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def _text(raw: bytes) -> str:
    return b64encode(raw).decode().rstrip("=")

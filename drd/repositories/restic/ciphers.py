"""What restic encrypts with, as far as drd has to tell what restic wrote from what it did not:
which key file a password opens, and whether an object was stored by somebody who has the master
key.

restic's design document has the formats: scrypt from the password, AES-256 in counter mode, and
Poly1305-AES over the ciphertext; an object is its IV, the ciphertext and that digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IV, DIGEST = 16, 16

MOST_MEMORY = 256 << 20
"""Bytes that scrypt may take for one key. restic keeps to 60 MiB when it makes one."""
MOST_WORK = 1 << 24
"""N times r times p. restic takes what costs half a second, which is about 2^20."""

MASTER_BYTES = {"encrypt": 32, "k": 16, "r": 16}


class NoKey(Exception):
    """A key file is none that restic writes; `args` say why."""


class Untried(Exception):
    """drd could not try whether a password opens a key file; `args` say why."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    n: int
    r: int
    p: int
    salt: bytes
    data: bytes

    @property
    def work(self) -> int:
        """The work of one try: N times r times p."""
        return self.n * self.r * self.p

    @property
    def memory(self) -> int:
        """The memory of one try in bytes, as OpenSSL computes it."""
        return 128 * self.r * (self.n + self.p + 2)


@dataclass(frozen=True, slots=True)
class MasterKey:
    """What all of a repository is encrypted with."""

    encrypt: bytes
    mac: bytes

    def wrote(self, stored: bytes) -> bool:
        """Whether somebody who has this key stored exactly that."""
        return len(stored) > IV + DIGEST and _is_authentic(self.mac, stored)


def key_file(content: bytes) -> KeyFile:
    """Raises NoKey, also for one that would cost more to try than any that restic makes."""
    try:
        told = json.loads(content)
        n, r, p = (told[name] for name in ("N", "r", "p"))
        salt, data = (base64.b64decode(told[name], validate=True) for name in ("salt", "data"))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NoKey("is no key file") from None
    numbers = (n, r, p)
    if told.get("kdf") != "scrypt" or not all(type(x) is int and x > 0 for x in numbers):
        raise NoKey("is no key file")
    key = KeyFile(n, r, p, salt, data)
    if key.memory > MOST_MEMORY or key.work > MOST_WORK:
        raise NoKey(
            f"needs {_said(key.memory >> 20)} MiB of memory and {_said(key.work)} units of work "
            f"to try, which is more than drd allows ({MOST_MEMORY >> 20} MiB, {MOST_WORK:,})"
        )
    # A power of two, and below 2^(16 r): scrypt knows no other.
    if n < 2 or n & (n - 1) or n.bit_length() > 16 * r or len(data) <= IV + DIGEST:
        raise NoKey("is no key file")
    return key


def _said(number: int) -> str:
    """The number in words, also for a number with thousands of digits, which somebody may have
    written there."""
    return f"{number:,}" if number < 1 << 64 else "far too many"


def unlock(key: KeyFile, password: str) -> MasterKey | None:
    """The master key, if the password opens the key file; None otherwise. Takes as long as the
    key's parameters demand. Raises NoKey and Untried."""
    try:
        derived = hashlib.scrypt(
            password.encode("utf-8", "surrogateescape"),
            salt=key.salt,
            n=key.n,
            r=key.r,
            p=key.p,
            maxmem=key.memory,
            dklen=64,
        )
    except (ValueError, OverflowError, MemoryError) as error:
        raise Untried(str(error) or "there is no memory for it") from error
    if not _is_authentic(derived[32:], key.data):
        return None
    try:
        told = json.loads(_decrypted(derived[:32], key.data))
        mac = _bytes(told["mac"], "k") + _bytes(told["mac"], "r")
        return MasterKey(_bytes(told, "encrypt"), mac)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NoKey("holds no master key") from None


def _bytes(told: Mapping[str, Any], name: str) -> bytes:
    found = base64.b64decode(told[name])
    if len(found) != MASTER_BYTES[name]:
        raise ValueError(f"{name} has {len(found)} bytes")
    return found


def _is_authentic(mac: bytes, stored: bytes) -> bool:
    from Crypto.Cipher import AES
    from Crypto.Hash import Poly1305

    made = Poly1305.new(key=mac, cipher=AES, nonce=stored[:IV], data=stored[IV:-DIGEST])
    try:
        made.verify(stored[-DIGEST:])
    except ValueError:
        return False
    return True


def _decrypted(key: bytes, stored: bytes) -> bytes:
    from Crypto.Cipher import AES

    cipher = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=stored[:IV])
    return bytes(cipher.decrypt(stored[IV:-DIGEST]))

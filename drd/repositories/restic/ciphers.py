"""The parts of restic's encryption that drd needs to recognise what restic wrote: which key file a
password opens, and whether an object was stored by someone who has the master key.

restic's design document has the formats: scrypt from the password, AES-256 in counter mode, and
Poly1305-AES over the ciphertext. An object consists of its IV, the ciphertext and that digest.
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
"""Bytes of memory that scrypt may take for one key. restic stays within 60 MiB when it makes one.
"""
MOST_WORK = 1 << 24
"""Limit of N times r times p. restic chooses parameters that cost half a second, about 2^20."""

MASTER_BYTES = {"encrypt": 32, "k": 16, "r": 16}


class NoKey(Exception):
    """restic did not write this key file; `args` say why."""


class CannotTry(Exception):
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
    """The key with which everything in a repository is encrypted."""

    encrypt: bytes
    mac: bytes

    def authenticates(self, stored: bytes) -> bool:
        """Return whether someone who has this key stored exactly these bytes."""
        return len(stored) > IV + DIGEST and _is_authentic(self.mac, stored)


def key_file(content: bytes) -> KeyFile:
    """Parse a key file. Raises NoKey, also for a key that takes more time and memory to try than
    any key that restic makes.
    """
    try:
        told = json.loads(content)
        n, r, p = (told[name] for name in ("N", "r", "p"))
        salt, data = (base64.b64decode(told[name], validate=True) for name in ("salt", "data"))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NoKey("is not a key file") from None
    numbers = (n, r, p)
    if told.get("kdf") != "scrypt" or not all(type(x) is int and x > 0 for x in numbers):
        raise NoKey("is not a key file")
    key = KeyFile(n, r, p, salt, data)
    if key.memory > MOST_MEMORY or key.work > MOST_WORK:
        raise NoKey(
            f"needs {_in_words(key.memory >> 20)} MiB of memory and {_in_words(key.work)} units of "
            f"computing to open; drd's limits are {MOST_MEMORY >> 20} MiB and {MOST_WORK:,}"
        )
    # scrypt accepts only a power of two below 2^(16 r).
    if n < 2 or n & (n - 1) or n.bit_length() > 16 * r or len(data) <= IV + DIGEST:
        raise NoKey("is not a key file")
    return key


def _in_words(number: int) -> str:
    """Return the number as text, also for a number with thousands of digits, which an attacker may
    have written there.
    """
    return f"{number:,}" if number < 1 << 64 else "far too many"


def unlock(key: KeyFile, password: str) -> MasterKey | None:
    """Return the master key, if the password opens the key file; None otherwise. Takes as long as
    the key's parameters demand. Raises NoKey and Untried."""
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
        raise CannotTry(str(error) or "not enough memory") from error
    if not _is_authentic(derived[32:], key.data):
        return None
    try:
        told = json.loads(_decrypted(derived[:32], key.data))
        mac = _bytes(told["mac"], "k") + _bytes(told["mac"], "r")
        return MasterKey(_bytes(told, "encrypt"), mac)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NoKey("contains no master key") from None


def _bytes(told: Mapping[str, Any], name: str) -> bytes:
    data = base64.b64decode(told[name])
    if len(data) != MASTER_BYTES[name]:
        raise ValueError(f"{name} has {len(data)} bytes")
    return data


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

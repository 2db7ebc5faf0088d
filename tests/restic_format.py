"""What restic keeps in its files `config` and `keys/…`, with the smallest parameters for scrypt.

The format: restic's doc/design.rst, "Keys, Encryption and MAC".
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

from Crypto.Cipher import AES

LIGHT = {"N": 2, "r": 1, "p": 1}


@dataclass(frozen=True)
class Keys:
    """A key to encrypt with, and two to sign with."""

    encrypt: bytes
    mac: bytes
    mac_r: bytes

    def seal(self, text: bytes) -> bytes:
        nonce = secrets.token_bytes(16)
        sealed = self._crypt(nonce, text)
        return nonce + sealed + self._sign(nonce, sealed)

    def open(self, sealed: bytes) -> bytes:
        nonce, text, signature = sealed[:16], sealed[16:-16], sealed[-16:]
        assert self._sign(nonce, text) == signature
        return self._crypt(nonce, text)

    def _sign(self, nonce: bytes, text: bytes) -> bytes:
        """Poly1305-AES."""
        r = int.from_bytes(self.mac_r, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
        total = 0
        for start in range(0, len(text), 16):
            block = int.from_bytes(text[start : start + 16] + b"\1", "little")
            total = (total + block) * r % ((1 << 130) - 5)
        total += int.from_bytes(AES.new(self.mac, AES.MODE_ECB).encrypt(nonce), "little")
        return (total % (1 << 128)).to_bytes(16, "little")

    def _crypt(self, nonce: bytes, text: bytes) -> bytes:
        """Encrypts, and decrypts."""
        return AES.new(self.encrypt, AES.MODE_CTR, nonce=b"", initial_value=nonce).encrypt(text)


def derived(password: str, key: dict[str, Any]) -> Keys:
    """What a password becomes by the parameters of a key's file."""
    found = hashlib.scrypt(
        password.encode(), salt=b64decode(key["salt"]), n=key["N"], r=key["r"], p=key["p"],
        maxmem=1 << 30, dklen=64,
    )  # fmt: skip
    return Keys(found[:32], found[32:48], found[48:])


def new_master() -> bytes:
    """The keys of a new repository, as a key's file holds them."""
    mac = {name: b64encode(secrets.token_bytes(16)).decode() for name in ("k", "r")}
    return json.dumps({"mac": mac, "encrypt": b64encode(secrets.token_bytes(32)).decode()}).encode()


def of_master(master: bytes) -> Keys:
    found = json.loads(master)
    mac = found["mac"]
    return Keys(b64decode(found["encrypt"]), b64decode(mac["k"]), b64decode(mac["r"]))


def master_of(key: dict[str, Any], password: str) -> bytes:
    return derived(password, key).open(b64decode(key["data"]))


def with_password(key: dict[str, Any], master: bytes, password: str) -> tuple[str, bytes]:
    """The name and the content of a file of this key that `password` opens at once."""
    light = {**key, **LIGHT, "salt": b64encode(secrets.token_bytes(64)).decode()}
    data = b64encode(derived(password, light).seal(master)).decode()
    text = json.dumps({**light, "data": data}).encode()
    return hashlib.sha256(text).hexdigest(), text


def new_config(polynomial: str = "") -> dict[str, Any]:
    made = polynomial or f"{_irreducible():x}"
    return {"version": 2, "id": secrets.token_hex(32), "chunker_polynomial": made}


def _irreducible() -> int:
    """A random polynomial of degree 53 over two elements that has no factors, by Rabin's test: 53
    is prime, so it divides x^(2^53) - x and shares nothing with x^2 - x."""
    while True:
        found = secrets.randbits(53) | 1 << 53 | 1
        power = 2
        for _ in range(53):
            power = _square(power, found)
        if power == 2 and found.bit_count() % 2:
            return found


def _square(of: int, modulus: int) -> int:
    squared = int(f"{of:b}", 4)  # a zero between each two digits
    while (over := squared.bit_length() - 54) >= 0:
        squared ^= modulus << over
    return squared

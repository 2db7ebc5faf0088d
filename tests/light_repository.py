"""Repositories that restic made and whose key takes no time to derive.

restic spends half a second of CPU on the password in every call, by parameters that stand in the
key's file, and three seconds on finding those when it makes a repository. Of a test's time that is
most. So one repository is made by the real `restic init`, its key is encrypted anew with the
smallest of parameters (as `restic key add` would on a very slow computer), and tests begin with a
copy of it. The format of the file is restic's: doc/design.rst, "Keys, Encryption and MAC".
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from drd.repositories.restic import keys, maintenance
from drd.repositories.restic.runner import ResticRunner
from tests.servers import S3Server

_LIGHT = {"N": 2, "r": 1, "p": 1}


def begin(directory: Path, password: str) -> None:
    """An empty repository at `directory`, which must not be there yet."""
    shutil.copytree(_made(password), directory)


def begin_in_bucket(server: S3Server, url: str, password: str) -> None:
    """The same at restic's `url` of a place in a bucket that is there."""
    (bucket, prefix), made, client = _in_bucket(url), _made(password), server.client()
    for file in (made / "config", *(made / "keys").iterdir()):
        key = f"{prefix}{file.relative_to(made)}"
        client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())


def lighten(directory: Path, password: str, known: Iterable[str] = ()) -> None:
    """Give a repository in a directory such a key, in place of the one that restic just made there:
    the only one beside those that were `known` before."""
    (file,) = (f for f in (directory / "keys").iterdir() if f.name not in known)
    name, text = _light_file(file.read_bytes(), password)
    light = file.with_name(name)
    light.write_bytes(text)
    shutil.copystat(file, light)
    file.unlink()


def install() -> None:
    """Let the keys that drd of this process adds to repositories in directories be such keys, from
    now on."""
    add, initialise = keys.add, maintenance._initialise

    def add_light(runner: ResticRunner, password: str) -> None:
        place = Path(runner.url, "keys")
        known = [f.name for f in place.iterdir()] if place.is_dir() else []
        add(runner, password)
        if known:
            lighten(place.parent, password, known)

    def initialise_light(runner: ResticRunner, chunker_from: ResticRunner | None) -> str:
        made = initialise(runner, chunker_from)
        if Path(runner.url, "keys").is_dir():
            lighten(Path(runner.url), runner.session.password())
        return made

    keys.add, maintenance._initialise = add_light, initialise_light


def lighten_in_bucket(server: S3Server, url: str, password: str) -> None:
    """The same at restic's `url` of a place in a bucket."""
    (bucket, prefix), client = _in_bucket(url), server.client()
    (found,) = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}keys/")["Contents"]
    old = client.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
    name, text = _light_file(old, password)
    client.put_object(Bucket=bucket, Key=f"{prefix}keys/{name}", Body=text)
    client.delete_object(Bucket=bucket, Key=found["Key"])


def add_keys(file: Path, password: str, other: str, count: int) -> list[str]:
    """So many keys more for `other`, beside the one in a file, which `password` opens; their
    ids."""
    key, names = json.loads(file.read_text()), []
    for number in range(count):
        made = {**key, "created": f"2001-01-01T00:00:{number:02}Z", "hostname": f"host-{number}"}
        text = json.dumps(_lightened(made, password, other)).encode()
        names.append(hashlib.sha256(text).hexdigest())
        file.with_name(names[-1]).write_bytes(text)
    return names


def _in_bucket(url: str) -> tuple[str, str]:
    """The bucket, and what the names of all objects there begin with."""
    bucket, _, prefix = url.removeprefix("s3:").split("/", 3)[3].partition("/")
    return bucket, f"{prefix}/" if prefix else ""


@cache
def _made(password: str) -> Path:
    """In the directory of the test run, which is removed at its end. Whoever needs it first makes
    it, for all processes of the run."""
    run = Path(os.environ["DRD_TEST_RUN"])
    home = run / f"light-{hashlib.sha256(password.encode()).hexdigest()[:12]}"
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            new = home.with_suffix(".new")
            words = ["restic", "init", "--quiet", "--no-cache", "--repo", new]
            environment = {**os.environ, "RESTIC_PASSWORD": password}
            subprocess.run(words, env=environment, check=True)
            lighten(new, password)
            new.rename(home)
    return home


@dataclass(frozen=True)
class _Keys:
    """What the password becomes: a key to encrypt with, and two to sign with."""

    encrypt: bytes
    mac: bytes
    mac_r: bytes

    def sign(self, nonce: bytes, text: bytes) -> bytes:
        """Poly1305-AES."""
        r = int.from_bytes(self.mac_r, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
        total = 0
        for start in range(0, len(text), 16):
            block = int.from_bytes(text[start : start + 16] + b"\1", "little")
            total = (total + block) * r % ((1 << 130) - 5)
        total += int.from_bytes(_aes("ecb", self.mac, nonce), "little")
        return (total % (1 << 128)).to_bytes(16, "little")

    def crypt(self, nonce: bytes, text: bytes) -> bytes:
        """AES in counter mode: encrypts, and decrypts."""
        return _aes("ctr", self.encrypt, text, "-iv", nonce.hex())


def _light_file(key: bytes, password: str) -> tuple[str, bytes]:
    """Name and content."""
    text = json.dumps(_lightened(json.loads(key), password)).encode()
    return hashlib.sha256(text).hexdigest(), text


def _lightened(key: dict[str, Any], password: str, other: str = "") -> dict[str, Any]:
    """The same master key behind the same password, or another."""
    sealed = b64decode(key["data"])
    nonce, text, signature = sealed[:16], sealed[16:-16], sealed[-16:]
    heavy = _derived(password, key)
    assert heavy.sign(nonce, text) == signature
    master = heavy.crypt(nonce, text)
    light = _derived(other or password, {**key, **_LIGHT})
    text = light.crypt(nonce, master)
    return {**key, **_LIGHT, "data": b64encode(nonce + text + light.sign(nonce, text)).decode()}


def _derived(password: str, key: dict[str, Any]) -> _Keys:
    found = hashlib.scrypt(
        password.encode(), salt=b64decode(key["salt"]), n=key["N"], r=key["r"], p=key["p"],
        maxmem=1 << 30, dklen=64,
    )  # fmt: skip
    return _Keys(found[:32], found[32:48], found[48:])


def _aes(mode: str, key: bytes, text: bytes, *words: str) -> bytes:
    argv = ["openssl", "enc", f"-aes-{8 * len(key)}-{mode}", "-nopad", "-K", key.hex(), *words]
    return subprocess.run(argv, input=text, capture_output=True, check=True).stdout

"""Repositories whose key takes no time to derive.

restic spends half a second of CPU on the password in every call, by parameters that stand in the
key's file, and two seconds on finding those for each key that it makes. Of a test's time that is
most. So what `restic init` would make on a very slow computer is made here; restic itself makes its
repositories and keys in the contract tests.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drd.process import rights
from drd.repositories import init_lock
from drd.repositories.restic import keys, maintenance
from drd.repositories.restic.runner import ResticRunner
from tests import restic_format
from tests.servers import S3Server


def begin(directory: Path, password: str, polynomial: str = "") -> str:
    """An empty repository at `directory`, where nothing may be yet but a mark; its id."""
    for name in ("", "data", "index", "keys", "locks", "snapshots"):
        (directory / name).mkdir(0o700, exist_ok=name in ("", "locks"))
    data = os.fspath(directory / "data")
    for number in range(256):
        os.mkdir(f"{data}/{number:02x}", 0o700)  # noqa: PTH102 - no object for each
    config, made = _made(password, polynomial)
    for name, text in made.items():
        _write(directory / name, text)
    return str(config["id"])


def begin_in_bucket(server: S3Server, url: str, password: str) -> None:
    """The same at restic's `url` of a place in a bucket that is there."""
    (bucket, prefix), client = _in_bucket(url), server.client()
    for name, text in _made(password)[1].items():
        client.put_object(Bucket=bucket, Key=f"{prefix}{name}", Body=text)


def lighten(directory: Path, password: str) -> None:
    """Give a repository that restic just made in a directory such a key, instead of its only
    one."""
    (file,) = (directory / "keys").iterdir()
    name, text = _lightened(file.read_bytes(), password)
    _write(directory / "keys" / name, text)
    file.unlink()


def lighten_in_bucket(server: S3Server, url: str, password: str) -> None:
    """The same at restic's `url` of a place in a bucket."""
    (bucket, prefix), client = _in_bucket(url), server.client()
    (found,) = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}keys/")["Contents"]
    old = client.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
    name, text = _lightened(old, password)
    client.put_object(Bucket=bucket, Key=f"{prefix}keys/{name}", Body=text)
    client.delete_object(Bucket=bucket, Key=found["Key"])


def add_keys(file: Path, password: str, other: str, count: int) -> list[str]:
    """So many keys more for `other`, beside the one in a file, which `password` opens; their
    ids."""
    key, names = json.loads(file.read_text()), []
    master = restic_format.master_of(key, password)
    for number in range(count):
        made = {**key, "created": f"2001-01-01T00:00:{number:02}Z", "hostname": f"host-{number}"}
        name, text = restic_format.with_password(made, master, other)
        file.with_name(name).write_bytes(text)
        names.append(name)
    return names


def lighten_new() -> None:
    """Let the repositories that drd of this process initialises by restic in directories have such
    a key, from now on."""
    initialise = maintenance._initialise

    def initialise_light(runner: ResticRunner, chunker_from: ResticRunner | None) -> str:
        made = initialise(runner, chunker_from)
        if Path(runner.url, "keys").is_dir():
            lighten(Path(runner.url), runner.session.password())
        return made

    maintenance._initialise = initialise_light


def install() -> None:
    """Let drd of this process make keys and repositories in directories as `begin` does, from now
    on; where that is not possible, and in buckets, restic makes them."""
    add, initialise = keys.add, maintenance._initialise

    def add_light(runner: ResticRunner, password: str) -> None:
        ours = runner.session.password()
        if (opened := _opened(runner.url, ours)) is None:
            return add(runner, password)
        key = {**json.loads(opened.read_text()), **_by_us()}
        name, text = restic_format.with_password(key, restic_format.master_of(key, ours), password)
        _write(opened.with_name(name), text)
        return None

    def initialise_light(runner: ResticRunner, chunker_from: ResticRunner | None) -> str:
        place = Path(runner.url)
        if not (place.is_absolute() and rights.acts_for() is None and _has_only_a_mark(place)):
            return initialise(runner, chunker_from)
        polynomial = ""
        if chunker_from is not None:
            password = chunker_from.session.password()
            if (opened := _opened(chunker_from.url, password)) is None:
                return initialise(runner, chunker_from)
            master = restic_format.master_of(json.loads(opened.read_text()), password)
            config = restic_format.of_master(master).open(
                (opened.parents[1] / "config").read_bytes()
            )
            polynomial = json.loads(config)["chunker_polynomial"]
        return begin(place, runner.session.password(), polynomial)

    keys.add, maintenance._initialise = add_light, initialise_light


def _has_only_a_mark(place: Path) -> bool:
    """Whether nothing is there but what says that somebody makes a repository."""
    marks = [path.name for path in (place / "locks").iterdir()]
    here = [path.name for path in place.iterdir()]
    return here == ["locks"] and all(name.startswith(init_lock.MARK) for name in marks)


def _opened(url: str, password: str) -> Path | None:
    """The file of the key that a password opens, in a directory."""
    place = Path(url, "keys")
    for file in place.iterdir() if place.is_dir() else ():
        with suppress(AssertionError, ValueError, KeyError, OSError):
            restic_format.master_of(json.loads(file.read_text()), password)
            return file
    return None


def _made(password: str, polynomial: str = "") -> tuple[dict[str, Any], dict[str, bytes]]:
    """The configuration of a new repository, and what its files hold, by their names."""
    master, config = restic_format.new_master(), restic_format.new_config(polynomial)
    key = {**_by_us(), "kdf": "scrypt"}
    name, text = restic_format.with_password(key, master, password)
    sealed = restic_format.of_master(master).seal(json.dumps(config).encode())
    return config, {"config": sealed, f"keys/{name}": text}


def _by_us() -> dict[str, str]:
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {"created": at, "username": getpass.getuser(), "hostname": socket.gethostname()}


def _lightened(key: bytes, password: str) -> tuple[str, bytes]:
    """The name and the content of the same key behind the same password."""
    found = json.loads(key)
    return restic_format.with_password(found, restic_format.master_of(found, password), password)


def _write(file: Path, text: bytes) -> None:
    """As restic does, which lets a group read what its repository's directory lets it read."""
    file.write_bytes(text)
    file.chmod(0o400 | file.parent.stat().st_mode & 0o040)


def _in_bucket(url: str) -> tuple[str, str]:
    """The bucket, and what the names of all objects there begin with."""
    bucket, _, prefix = url.removeprefix("s3:").split("/", 3)[3].partition("/")
    return bucket, f"{prefix}/" if prefix else ""

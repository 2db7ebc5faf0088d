"""Repositories over the real restic, for the tests of `drd.repositories`."""

from __future__ import annotations

import array
import fcntl
import os
import secrets
import signal
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from drd import process
from drd.model.plan import RepositorySpec, S3Access, SecretRef
from drd.model.schemes import SCHEMES, parse_sftp
from drd.ports import Stream
from drd.process import Command, Completed
from drd.repositories import open_repository
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.stall import Patience
from tests import light_repository
from tests.servers import RestServer, S3Server, SshServer

HURRIED = Patience(still_s=1.0, gone_s=2.0, every_s=0.5, probe_s=3.0)
"""What the tests wait for instead of a minute."""


def text(value: str) -> SecretRef:
    return SecretRef("text", value)


def value(ref: SecretRef) -> str:
    """Stands for `drd.secrets.resolve`: the tests' secrets are their own references."""
    assert isinstance(ref.value, str)
    return ref.value


def local_repository(
    directory: Path, *, password: str = "a password", name: str = "local"
) -> ResticRepository:
    place = "repository" if name == "local" else name
    spec = RepositorySpec(name, str(directory / place), text(password))
    return open_repository(spec, cache_dir=directory / "cache", resolve=value)


def s3_repository(
    server: S3Server,
    directory: Path,
    *,
    url: str | None = None,
    password: str = "a password",
    secret_key: str | None = None,
    endpoint: str | None = None,
    protection: str | None = None,
) -> ResticRepository:
    """In a new bucket, or at `url`; through a proxy's `endpoint`; with another key."""
    if url is None:
        bucket = new_bucket(server)
        url = server.repository(bucket, "some/prefix", endpoint)
    access = S3Access(
        access_key=text(server.access_key),
        secret_key=text(secret_key or server.secret_key),
        region=server.region,
    )
    spec = RepositorySpec("primary", url, text(password), s3=access, protection=protection)
    repository = open_repository(spec, cache_dir=directory / "cache", resolve=value)
    repository.runner.patience = HURRIED
    return repository


def limited_repository(
    server: S3Server, directory: Path, name: str, *, copy_of: str | None = None
) -> ResticRepository:
    """In a bucket that only the key `name` (and the server's own) can touch."""
    bucket = f"{name}-{secrets.token_hex(6)}"
    server.create_bucket(bucket)
    access = S3Access(
        access_key=text(name), secret_key=text(server.limited[name]), region=server.region
    )
    url = server.repository(bucket, "some/prefix")
    spec = RepositorySpec(name, url, text(f"password of {name}"), s3=access, copy_of=copy_of)
    repository = open_repository(spec, cache_dir=directory / "cache", resolve=value)
    repository.runner.patience = HURRIED
    return repository


FAR = ("sftp", "rest", "rclone")
"""The schemes of places that only restic reaches, and that the tests have servers of."""


def far_repository(
    scheme: str,
    request: pytest.FixtureRequest,
    directory: Path,
    *,
    name: str = "far",
    port: int | None = None,
    **changed: str,
) -> ResticRepository:
    """At a server of this scheme, or through a proxy's `port`; `directory_of` says where."""
    place = directory / name
    if scheme == "sftp":
        ssh: SshServer = request.getfixturevalue("ssh")
        url, given = ssh.url(place, port), {"key": ssh.key, "known_hosts": ssh.known_hosts(port)}
    elif scheme == "rest":
        rest: RestServer = request.getfixturevalue("rest")
        place = rest.root / f"{directory.name}-{name}-{secrets.token_hex(6)}"
        url, given = rest.url(place.name, port), {"user": rest.user, "password": rest.password}
    else:
        url, given = f"rclone:box:{place}", {"config": "[box]\ntype = local\n"}
    settings = SCHEMES[scheme].settings
    access = tuple(
        (key, text(content) if settings[key].secret else content)
        for key, content in {**given, **changed}.items()
    )
    spec = RepositorySpec(name, url, text("a password"), access=access)
    return open_repository(spec, cache_dir=directory / "cache", resolve=value)


def again(repository: ResticRepository, directory: Path, **changed: object) -> ResticRepository:
    """The repository as another host has it, with other settings of its spec."""
    spec = replace(repository.runner.session.spec, **changed)  # type: ignore[arg-type]
    return open_repository(spec, cache_dir=directory / "cache-again", resolve=value)


def directory_of(repository: ResticRepository, request: pytest.FixtureRequest) -> Path:
    """The directory behind a local repository or one of `far_repository`."""
    url = repository.url
    if url.startswith("rest:"):
        return Path(request.getfixturevalue("rest").root, url.rstrip("/").rpartition("/")[2])
    if url.startswith("sftp:"):
        return Path(parse_sftp(url).path)
    return Path(url.removeprefix("rclone:box:"))


def founded(
    repository: ResticRepository, server: S3Server | None = None, place: Path | None = None
) -> ResticRepository:
    """The repository, with an empty one where nothing was yet; on S3, `server` is the one there,
    elsewhere `place` is its directory.
    """
    password = repository.runner.session.password()
    if server is None:
        light_repository.begin(place or Path(repository.url), password)
    else:
        light_repository.begin_in_bucket(server, repository.url, password)
    return repository


def founded_anywhere(
    repository: ResticRepository, request: pytest.FixtureRequest
) -> ResticRepository:
    """The same, also on the servers that all tests share."""
    if repository.url.startswith("s3:"):
        return founded(repository, request.getfixturevalue("s3"))
    return founded(repository, place=directory_of(repository, request))


def lightened(repository: ResticRepository, request: pytest.FixtureRequest) -> None:
    """Make the key of a repository that was just initialised on a server take no time to derive
    (in directories it does not)."""
    password = repository.runner.session.password()
    if repository.url.startswith("s3:"):
        server: S3Server = request.getfixturevalue("s3")
        light_repository.lighten_in_bucket(server, repository.url, password)
    elif not repository.url.startswith("/"):
        light_repository.lighten(directory_of(repository, request), password)


def new_bucket(server: S3Server, *, object_lock: bool = False) -> str:
    name = f"repo-{secrets.token_hex(6)}"
    server.create_bucket(name, object_lock=object_lock)
    return name


def shell(script: str) -> Stream:
    """What a shell prints, to be stored as `dump`."""
    return Stream(Command(["/bin/sh", "-c", script], name="the dump"), "dump")


def restic(repository: ResticRepository, *words: str) -> Completed:
    """restic itself, past everything of ours but the words and secrets that all calls have."""
    return process.run(repository.runner.session.command(words, deadline_s=60.0))


def restic_processes(directory: Path) -> list[int]:
    """Processes of restic that were started with a cache in `directory`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(directory / "cache" / "restic") in words:
            found.append(int(entry.name))
    return found


@contextmanager
def held_lock(repository: ResticRepository) -> Iterator[int]:
    """A restic that holds a lock of this repository because its input does not end; its pid.

    At the end of the block it is killed, so that its lock stays.
    """
    read_end, write_end = os.pipe()
    command = repository.runner.session.command(["backup", "--stdin", "--json"])
    before = repository.runner.session.place.locks()
    child = process.start(command, stdin=read_end)
    os.close(read_end)
    try:
        until(lambda: repository.runner.session.place.locks() > before)
        # restic looks at all locks a second time before it begins to read.
        os.write(write_end, b"x")
        until(lambda: _unread(write_end) == 0)
        yield child.pid
    finally:
        child.stop(signal.SIGKILL)
        os.close(write_end)


def _unread(pipe: int) -> int:
    """How many bytes nobody has read yet."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def until(condition: object, *, patience_s: float = 20.0) -> None:
    """Wait until `condition()` holds; fails the test when it does not."""
    assert callable(condition)
    limit = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)

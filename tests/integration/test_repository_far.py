"""Repositories that only restic reaches: what each failure is called, how long it may take, and
what is left of the secrets."""

from __future__ import annotations

import hashlib
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drd import process
from drd.errors import (
    DrdError,
    RepositoryDamaged,
    RepositoryError,
    RepositoryMissing,
    RepositoryReadOnly,
    RepositoryRefused,
    RepositoryUnreachable,
    WrongKey,
)
from drd.model.finding_codes import WRITING
from drd.process import Command, cancel, reset_cancel
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.messages import complaints
from drd.repositories.restic.stall import Patience
from tests.integration.test_repository_faults import small_disk
from tests.repository_support import (
    FAR,
    again,
    directory_of,
    far_repository,
    founded,
    restic,
    restic_processes,
    shell,
    text,
    until,
)
from tests.servers import Proxy, RestServer, SshServer, rest_server, short_directory, tcp_proxy
from tests.servers.child import free_ports
from tests.servers.tls import TlsProxy, self_signed

SOON = Patience(still_s=2.0, gone_s=3.0, every_s=1.0, probe_s=4.0)


def refused(call: Callable[[], object], kind: type[DrdError] = RepositoryError) -> str:
    """What a person reads of the error that the call ends with."""
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    return f"{caught.value.message}\n{caught.value.hint}"


def test_each_failure_of_an_ssh_server_has_its_own_words_and_remedy(
    request: pytest.FixtureRequest, ssh: SshServer, tmp_path: Path
) -> None:
    def at(**changed: str) -> ResticRepository:
        return far_repository("sftp", request, tmp_path, **changed)

    founded(at(), place=tmp_path / "far")
    where = f"127.0.0.1, port {ssh.port}"
    said = refused(at(key=ssh.another_key).identity, RepositoryRefused)
    assert f"{where} does not accept the key of `sftp: {{key: …}}` for user {ssh.user}" in said
    assert "authorized_keys" in said
    said = refused(at(known_hosts="example.com ssh-ed25519 AAAA").identity)
    assert f"`known_hosts` has no key of the SSH server {where}" in said
    assert f"ssh-keyscan -p {ssh.port} 127.0.0.1" in said
    said = refused(at(known_hosts=ssh.known_hosts(of="stranger")).probe)
    assert f"{where} does not have the key that `known_hosts` names" in said
    (port,) = free_ports(1)
    closed = far_repository("sftp", request, tmp_path, port=port)
    said = refused(closed.preflight, RepositoryUnreachable)
    assert said.startswith(f"cannot reach 127.0.0.1, port {port}: connection refused")


def test_each_failure_of_a_rest_server_has_its_own_words_and_remedy(
    request: pytest.FixtureRequest, rest: RestServer, tmp_path: Path
) -> None:
    wrong = far_repository("rest", request, tmp_path, password="another")
    said = refused(wrong.identity, RepositoryRefused)
    assert f"http://127.0.0.1:{rest.port} refuses the login of section `rest`: 401" in said
    (port,) = free_ports(1)
    begun = time.monotonic()
    closed = far_repository("rest", request, tmp_path, port=port)
    said = refused(closed.preflight, RepositoryUnreachable)
    assert said.startswith(f"cannot reach http://127.0.0.1:{port}: connection refused")
    assert time.monotonic() - begun < 12


@pytest.mark.parametrize("scheme", FAR)
def test_a_wrong_password_an_empty_place_and_an_emptied_one_are_different(
    scheme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    repository = far_repository(scheme, request, tmp_path)
    place = directory_of(repository, request)
    repository.preflight()
    assert (repository.identity(), repository.probe()) == (None, None)
    assert ((repository.free_bytes() or 0) > 0) == (scheme in ("sftp", "rclone"))
    assert repository.missing(["0" * 64]) == ["0" * 64]
    founded(repository, place=place)
    known = repository.identity()
    assert known is not None
    assert repository.probe() == known
    stranger = again(repository, tmp_path, password=text("another"))
    stranger.preflight()
    assert "the password does not open" in refused(stranger.identity, WrongKey)
    assert not stranger.opens()
    shutil.rmtree(place)
    assert (repository.identity(), repository.probe()) == (None, None)
    with pytest.raises(RepositoryMissing):
        repository.snapshots(fresh=True)


@pytest.mark.parametrize("scheme", ["sftp", "rest"])
def test_a_server_that_falls_silent_ends_a_backup_and_leaves_no_restic(
    scheme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    direct = far_repository(scheme, request, tmp_path)
    founded(direct, place=directory_of(direct, request))
    port = request.getfixturevalue("ssh" if scheme == "sftp" else "rest").port
    with tcp_proxy("127.0.0.1", port) as proxy:
        behind = _behind(proxy, direct, scheme, request, tmp_path)
        behind.runner.patience = SOON
        behind.runner.ready()
        threading.Timer(3.0, proxy.stall).start()
        begun = time.monotonic()
        slow = shell("while :; do head -c 400000 /dev/urandom; sleep 0.1; done")
        with pytest.raises(RepositoryUnreachable):
            behind.store(slow, host="p", tags=["t"], deadline_s=120)
        assert time.monotonic() - begun < 60
    until(lambda: restic_processes(tmp_path) == [], patience_s=40)
    assert direct.snapshots(fresh=True) == []
    direct.remove_stale_locks()
    assert direct.store_bytes(b"1", "m", host="p", tags=["t"]).snapshot


def _behind(
    proxy: Proxy,
    direct: ResticRepository,
    scheme: str,
    request: pytest.FixtureRequest,
    directory: Path,
) -> ResticRepository:
    """The same repository through the proxy."""
    spec, access = direct.runner.session.spec, direct.runner.session.spec.access
    server = request.getfixturevalue("ssh" if scheme == "sftp" else "rest")
    if scheme == "sftp":
        known = far_repository("sftp", request, directory, port=proxy.port)
        access = known.runner.session.spec.access
    url = spec.url.replace(f":{server.port}/", f":{proxy.port}/")
    return again(direct, directory, url=url, access=access)


@pytest.mark.parametrize("scheme", FAR)
def test_a_cancelled_backup_leaves_no_lock_and_no_secret_in_any_command_line(
    scheme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    repository = far_repository(scheme, request, tmp_path)
    founded(repository, place=directory_of(repository, request))
    secrets = [str(ref.value).encode() for ref in repository.runner.session.spec.secrets().values()]
    seen: list[bytes] = []

    def watch() -> None:
        until(lambda: len(restic_processes(tmp_path)) > 0)
        time.sleep(2.0)
        seen.extend(_command_lines())
        cancel(signal.SIGTERM)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        with pytest.raises(BaseException, match="cancelled"):
            repository.store(shell("sleep 60"), host="p", tags=["t"])
    finally:
        thread.join()
        reset_cancel()
    assert any(b"restic" in line for line in seen)
    assert not [line for line in seen for secret in secrets if secret in line]
    assert restic_processes(tmp_path) == []
    assert repository.runner.session.place.locks() == frozenset()


def _command_lines() -> list[bytes]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(entry.read_bytes().replace(b"\0", b" "))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("scheme", FAR)
def test_the_remains_of_a_killed_init_are_named_with_the_remedy(
    scheme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    repository = far_repository(scheme, request, tmp_path)
    place = directory_of(repository, request)
    repository.initialise()
    (place / "config").unlink()
    said = refused(repository.initialise, RepositoryDamaged)
    assert said.startswith(f"{repository.url} has keys of a repository, but not its file `config`")
    assert "remove everything at this place" in said


def test_an_append_only_server_takes_backups_and_keeps_what_a_retention_forgets(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with short_directory() as directory, rest_server(directory, append_only=True) as server:
        usual = far_repository("rest", request, tmp_path)
        repository = again(usual, tmp_path, url=server.url("kept"))
        founded(repository, place=server.root / "kept")
        stored = repository.store_bytes(b"1", "m", host="p", tags=["t"]).snapshot
        with suppress(RepositoryError):
            repository.forget([stored])
        assert [s.id for s in repository.snapshots(fresh=True)] == [stored]


def test_a_full_disk_of_a_server_is_named_within_the_patience(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """restic itself repeats each operation for a quarter of an hour."""
    usual = far_repository("rest", request, tmp_path)
    with small_disk(tmp_path / "disk", "3m") as disk, rest_server(disk) as server:
        repository = again(usual, tmp_path, url=server.url("full"))
        founded(repository, place=server.root / "full")
        repository.runner.patience = SOON
        begun = time.monotonic()
        much = shell("head -c 6000000 /dev/urandom")
        said = refused(lambda: repository.store(much, host="p", tags=["t"], deadline_s=300))
        assert f"no space left for the repository at {server.url('full')}" in said
        with suppress(OSError), (disk / "rest").open("wb") as rest:
            while True:
                rest.write(b"0" * 512)
                rest.flush()
        said = refused(
            lambda: repository.store_bytes(b"1", "m", host="p", tags=["t"]), RepositoryReadOnly
        )
        assert "no space left for the repository" in said
        assert time.monotonic() - begun < 120
        assert repository.snapshots(fresh=True) == []


def test_a_missing_snapshot_is_found_among_thousands_without_reading_any(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    repository = far_repository("sftp", request, tmp_path)
    place = founded(repository, place=tmp_path / "far")
    one, two = (place.store_bytes(b, "m", host="p", tags=["t"]).snapshot for b in (b"1", b"2"))
    (tmp_path / "far" / "snapshots" / one).unlink()
    # More names than a megabyte holds.
    for number in range(17_000):
        name = hashlib.sha256(str(number).encode()).hexdigest()
        (tmp_path / "far" / "snapshots" / name).touch()
    assert repository.missing([one, two]) == [one]
    assert restic(repository, "--no-lock", "cat", "config").exit_code == 0


def test_a_rest_server_with_an_authority_of_its_own_needs_its_certificate(
    request: pytest.FixtureRequest, rest: RestServer, tmp_path: Path
) -> None:
    usual = far_repository("rest", request, tmp_path)
    founded(usual, place=directory_of(usual, request))
    proxy = TlsProxy("127.0.0.1", rest.port, self_signed(tmp_path))
    try:
        secure = usual.url.replace("http://", "https://").replace(f":{rest.port}", f":{proxy.port}")
        said = refused(again(usual, tmp_path, url=secure).preflight)
        assert f"the certificate of https://127.0.0.1:{proxy.port} is not trusted" in said
        assert "`rest: {ca_cert: FILE}`" in said
        spec = again(usual, tmp_path, url=secure).runner.session.spec
        trusting = spec.trusting(str(tmp_path / "ca.pem"))
        assert again(usual, tmp_path, url=secure, access=trusting.access).identity() is not None
    finally:
        proxy.close()


def remount(disk: Path, how: str) -> None:
    done = process.run(Command(["mount", "-o", f"remount,{how}", str(disk)]))
    assert done.exit_code == 0, done.complaint


def writing(repository: ResticRepository) -> list[tuple[str, str, str]]:
    """What doctor says about the right to write."""
    found = (f for f in repository.doctor() if f.code == WRITING)
    return [(f.severity, f.text, f.remedy) for f in found]


@pytest.mark.parametrize("scheme", ["rclone", "sftp"])
def test_doctor_tries_whether_a_repository_can_be_made(
    scheme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "16m") as disk:
        repository = far_repository(scheme, request, disk, name="repos/far")
        place = f"drd can write to the place {repository.url}"
        assert writing(repository) == [("ok", place, "")]
        assert list(disk.iterdir()) == []
        remount(disk, "ro")
        try:
            ((severity, text, remedy),) = writing(repository)
        finally:
            remount(disk, "rw")
    assert severity == "error"
    assert text.startswith(f"drd cannot make a repository at {repository.url}: ")
    assert "the user that drd runs as" in remedy
    if scheme == "rclone":
        assert text.endswith(": read-only file system")


def test_rclone_says_why_nothing_can_be_stored(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """restic reports only the number 500, and repeats the attempt for minutes."""
    with small_disk(tmp_path / "disk", "16m") as disk:
        there, missing = (far_repository("rclone", request, disk, name=n) for n in ("far", "no"))
        snapshot = founded(there, place=disk / "far").store(
            shell("echo here"), host="p", tags=["t"]
        )
        assert writing(there)[0][0] == "ok"
        remount(disk, "ro")
        try:
            ((severity, text, _),) = writing(there)
            assert severity == "error"
            assert text.startswith(f"rclone cannot write to {there.url}: open {disk}/far/locks/")
            assert text.endswith(": read-only file system")
            said = refused(missing.initialise, RepositoryReadOnly)
            assert f"rclone cannot write to {missing.url}: mkdir {disk}/no: read-only file" in said
            there.runner.patience = SOON
            (listed,) = there.snapshots(host="p", tags=["t"])  # without a lock
            assert listed.id == snapshot.snapshot
        finally:
            remount(disk, "rw")


def test_drd_finds_out_why_rclone_makes_no_repository_if_restic_does_not_say_it(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """restic may end before it has passed on rclone's messages."""
    silent = tmp_path / "bin" / "rclone"
    silent.parent.mkdir()
    real = shutil.which("rclone")
    silent.write_text(f'#!/bin/sh\n[ "$1" = serve ] || exec {real} "$@"\n{real} "$@" 2>/dev/null\n')
    silent.chmod(0o755)
    monkeypatch.setenv("PATH", str(silent.parent), prepend=":")
    with small_disk(tmp_path / "disk", "16m") as disk:
        missing = far_repository("rclone", request, disk, name="no")
        remount(disk, "ro")
        try:
            said = refused(missing.initialise, RepositoryReadOnly)
        finally:
            remount(disk, "rw")
    assert said.startswith(f"drd cannot make a repository at {missing.url}: mkdir {disk}/drd-write")
    assert "read-only file system" in said


def test_a_message_that_nobody_knows_is_shown_with_what_rclone_said() -> None:
    said = complaints(
        "rclone: 2026/11/30 11:40:25 ERROR : : Create repo failed to Mkdir: the moon is full\n"
        "Fatal: create repository at rclone:box:b failed: Fatal: unable to open repository at "
        "rclone:box:b: unexpected HTTP response (500): 500 Internal Server Error\n"
    )
    assert said.last.endswith(
        "(500): 500 Internal Server Error (rclone: Create repo failed to Mkdir: the moon is full)"
    )

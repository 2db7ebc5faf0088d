"""Repositories that are damaged, locked, closed, or whose restic dies: nothing passes for done."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from drd import log, process
from drd.errors import (
    Cancelled,
    DeadlineExceeded,
    DumpFailed,
    RepositoryDamaged,
    RepositoryError,
    RepositoryLocked,
    RepositoryMissing,
    SecretUnavailable,
    SnapshotIncomplete,
    SourceMissing,
    TargetError,
    ToolMissing,
    ToolTooOld,
    WrongKey,
)
from drd.model.plan import RepositorySpec
from drd.ports import Tree
from drd.process import Command, process_alive
from drd.repositories import open_repository
from drd.repositories.restic import ResticRepository
from tests.repository_support import (
    founded,
    held_lock,
    local_repository,
    restic_processes,
    shell,
    text,
    until,
    value,
)
from tests.user_support import as_root


def packs(tmp_path: Path) -> list[Path]:
    """The packs of the repository, largest first."""
    found = [p for p in (tmp_path / "repository" / "data").rglob("*") if p.is_file()]
    return sorted(found, key=lambda p: -p.stat().st_size)


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def random_stream(repository: ResticRepository) -> str:
    return repository.store(shell("head -c 300000 /dev/urandom"), host="p", tags=["t"]).snapshot


# --- damage ---------------------------------------------------------------------------------


def test_a_flipped_byte_fails_the_restore_and_leaves_nothing(
    repository: ResticRepository, tmp_path: Path
) -> None:
    snapshot = random_stream(repository)
    flip_a_byte(packs(tmp_path)[0])
    into = tmp_path / "out"
    into.mkdir()
    with pytest.raises(RepositoryDamaged, match="/dump") as caught:
        repository.restore(snapshot, into)
    assert list(into.iterdir()) == []
    assert "another restore point" in caught.value.hint
    with pytest.raises(RepositoryDamaged):
        repository.read_file(snapshot, "dump")


def test_a_failed_restore_removes_what_it_wrote_and_nothing_beyond(
    repository: ResticRepository, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed" / "a").write_bytes(b"a" * 10)
    (tree / "link").symlink_to(tmp_path / "precious")
    (tree / "big").write_bytes(os.urandom(200_000))
    (tree / "closed").chmod(0o500)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    stored = repository.store(Tree((str(tree),)), host="p", tags=["t"])
    flip_a_byte(packs(tmp_path)[0])
    into = tmp_path / "out"
    into.mkdir()
    with pytest.raises(RepositoryDamaged, match="big"):
        repository.restore(stored.snapshot, into)
    assert list(into.iterdir()) == []
    assert (tmp_path / "precious" / "file").read_text() == "kept"


def test_a_missing_pack_fails_restore_and_check(
    repository: ResticRepository, tmp_path: Path
) -> None:
    snapshot = random_stream(repository)
    packs(tmp_path)[0].unlink()
    into = tmp_path / "out"
    into.mkdir()
    with pytest.raises(RepositoryDamaged):
        repository.restore(snapshot, into)
    assert list(into.iterdir()) == []
    with pytest.raises(RepositoryDamaged, match="pack"):
        repository.check()


def test_a_flipped_byte_is_found_by_a_check_that_reads_all(
    repository: ResticRepository, tmp_path: Path
) -> None:
    random_stream(repository)
    flip_a_byte(packs(tmp_path)[0])
    repository.check()
    with pytest.raises(RepositoryDamaged):
        repository.check(read_subset="100%")


def test_a_corrupt_snapshot_is_not_left_out_in_silence(
    repository: ResticRepository, tmp_path: Path
) -> None:
    sound, snapshot = random_stream(repository), random_stream(repository)
    flip_a_byte(tmp_path / "repository" / "snapshots" / snapshot)
    listing = repository.snapshots(fresh=True)
    assert [s.id for s in listing] == [sound]
    assert set(listing.unreadable) == {snapshot}


# --- keys and places ------------------------------------------------------------------------


def test_a_wrong_password_is_told_from_a_missing_repository(
    repository: ResticRepository, tmp_path: Path
) -> None:
    stranger = local_repository(tmp_path, password="another password")
    for attempt in (
        stranger.identity,
        stranger.snapshots,
        lambda: stranger.store(shell("echo x"), host="p", tags=["t"]),
    ):
        with pytest.raises(WrongKey, match="does not open") as caught:
            attempt()
        assert "another password" not in str(caught.value)
        assert caught.value.exit_code == 12


def test_an_emptied_place_has_no_identity(repository: ResticRepository, tmp_path: Path) -> None:
    random_stream(repository)
    shutil.rmtree(tmp_path / "repository")
    assert repository.identity() is None
    with pytest.raises(RepositoryMissing) as caught:
        repository.snapshots()
    assert caught.value.exit_code == 10


def test_an_empty_password_is_refused_before_restic_runs(tmp_path: Path) -> None:
    repository = local_repository(tmp_path, password="")
    with pytest.raises(SecretUnavailable, match="empty"):
        repository.initialise()
    assert not (tmp_path / "repository").exists()


def test_a_second_initialise_destroys_nothing(repository: ResticRepository) -> None:
    before = repository.identity()
    assert repository.initialise() == before, "somebody was quicker"
    assert repository.identity() == before


def test_a_repository_can_take_the_chunker_parameters_of_another(
    repository: ResticRepository, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    second = local_repository(tmp_path / "second", password="second password")
    second.initialise(chunker_from=repository)
    polynomials = {
        r.runner.ask(lambda library: library.cat.config())["chunker_polynomial"]
        for r in (repository, second)
    }
    assert len(polynomials) == 1
    assert second.identity() != repository.identity()


def test_a_missing_parent_directory_is_an_error(tmp_path: Path) -> None:
    repository = local_repository(tmp_path / "not mounted")
    with pytest.raises(RepositoryMissing, match="not mounted") as caught:
        repository.preflight()
    assert "mount" in caught.value.hint
    with pytest.raises(RepositoryMissing):
        repository.initialise()


def test_a_file_in_place_of_a_repository_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "repository").write_text("")
    with pytest.raises(RepositoryError, match="not a directory"):
        local_repository(tmp_path).preflight()


# --- locks ----------------------------------------------------------------------------------


def test_a_live_lock_is_respected(repository: ResticRepository) -> None:
    repository.runner.retry_lock_s = 1
    with held_lock(repository) as pid:
        with pytest.raises(RepositoryLocked, match=f"PID {pid}") as caught:
            repository.prune()
        assert caught.value.exit_code == 11
        assert repository.remove_stale_locks() == 0
        repository.check()  # which finds nothing, so it needs no lock to believe it
    assert repository.remove_stale_locks() == 1


def test_the_lock_of_a_killed_restic_blocks_nothing(
    repository: ResticRepository,
) -> None:
    with held_lock(repository):
        pass
    assert len(repository.runner.session.place.locks()) == 1
    repository.prune()


def test_a_dead_restic_that_nobody_has_reaped_locks_nothing(repository: ResticRepository) -> None:
    """Its parent is the drd that was killed with it, and whoever inherits orphans takes his
    time."""
    with held_lock(repository) as pid:
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid in process.unreaped("restic"))
        assert repository.remove_stale_locks() == 1
        with held_lock(repository):
            assert repository.remove_stale_locks() == 0, "that one lives"
    assert repository.remove_stale_locks() == 1


def locked_by_another_host(repository: ResticRepository) -> None:
    """A lock for itself alone of a restic that died on a host which is gone."""
    other = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
    command = repository.runner.session.command(
        ["check", "--read-data", "--limit-download", "1"], deadline_s=60.0
    )
    before = repository.runner.session.place.locks()
    child = process.start(replace(command, argv=(*other, *command.argv)))
    try:
        until(lambda: repository.runner.session.place.locks() > before)
    finally:
        child.stop(signal.SIGKILL)


@as_root
def test_a_restore_does_not_wait_for_a_host_that_is_gone(
    repository: ResticRepository, tmp_path: Path, logged: Callable[[], str]
) -> None:
    snapshot = random_stream(repository)
    locked_by_another_host(repository)
    repository.runner.retry_lock_s = 1
    (tmp_path / "into").mkdir()
    assert repository.restore(snapshot, tmp_path / "into").bytes == 300000
    assert '"locked_by": "elsewhere"' in logged()
    with pytest.raises(RepositoryLocked):
        repository.prune()
    # What cannot be read beside a lock is no damage: a prune may just have moved it.
    packs(tmp_path)[0].unlink()
    shutil.rmtree(tmp_path / "into")
    (tmp_path / "into").mkdir()
    with pytest.raises(
        RepositoryLocked, match="drd read without a lock, and host elsewhere holds a lock"
    ) as caught:
        repository.restore(snapshot, tmp_path / "into")
    assert "if a prune runs on elsewhere" in caught.value.hint
    for name in repository.runner.session.place.locks():
        (tmp_path / "repository/locks" / name).unlink()


def test_a_backup_goes_beside_another(repository: ResticRepository) -> None:
    with held_lock(repository):
        assert random_stream(repository)
    assert repository.remove_stale_locks() == 1


# --- sources --------------------------------------------------------------------------------


def test_an_unreadable_file_makes_the_snapshot_incomplete(tmp_path: Path) -> None:
    """restic as an ordinary user, with the real messages and exit code 3."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "open").write_text("open")
    (tree / "secret").write_text("secret")
    (tree / "secret").chmod(0o000)
    repository = local_repository(tmp_path)
    if os.geteuid() == 0:
        drop_rights(tmp_path, repository)
    repository.initialise()
    with pytest.raises(SnapshotIncomplete, match="permission denied") as caught:
        repository.store(Tree((str(tree),)), host="p", tags=["t"])
    assert caught.value.unread == (str(tree / "secret"),)
    assert [s.id for s in repository.snapshots()] == [caught.value.snapshot]


def drop_rights(tmp_path: Path, repository: ResticRepository) -> None:
    """Let this repository's restic read no more than its owner may, although we are root."""
    program = tmp_path / "bin" / "restic"
    program.parent.mkdir()
    real = repository.runner.session.program
    program.write_text(
        "#!/bin/sh\nexec setpriv --inh-caps=-all --bounding-set=-all --securebits=+noroot -- "
        f'{real} "$@"\n'
    )
    program.chmod(0o755)
    repository.runner.session._program = str(program)


def test_paths_that_all_are_missing_make_no_snapshot(
    repository: ResticRepository, tmp_path: Path
) -> None:
    with pytest.raises(SourceMissing, match="gone"):
        repository.store(Tree((str(tmp_path / "gone"),)), host="p", tags=["t"])
    assert repository.snapshots() == []


def test_a_producer_killed_in_the_middle_leaves_no_snapshot(
    repository: ResticRepository,
) -> None:
    script = "head -c 5000000 /dev/urandom; sleep 1; kill -9 $$"
    with pytest.raises(DumpFailed, match="SIGKILL, perhaps because memory ran out"):
        repository.store(shell(script), host="p", tags=["t"])
    assert repository.snapshots(fresh=True) == []


# --- restic and its end ---------------------------------------------------------------------


def test_a_restic_killed_in_the_middle_is_named_by_its_signal(
    repository: ResticRepository, tmp_path: Path
) -> None:
    def kill() -> None:
        until(repository.runner.session.place.locks)
        for pid in restic_processes(tmp_path):
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(RepositoryError, match="SIGKILL, perhaps because memory ran out") as caught:
        repository.store(shell("sleep 30; echo data"), host="p", tags=["t"])
    killer.join()
    assert not caught.value.permanent, "another time there may be enough"
    assert not repository.runner.session.place.locks(), "what the dead one held is free"
    assert repository.snapshots(fresh=True) == []


def test_a_deadline_ends_restic_and_the_producer(
    repository: ResticRepository, tmp_path: Path
) -> None:
    pidfile = tmp_path / "pid"
    with pytest.raises(DeadlineExceeded):
        repository.store(
            shell(f"echo $$ > {pidfile}; exec sleep 60"), host="p", tags=["t"], deadline_s=2.0
        )
    assert not process_alive(int(pidfile.read_text()), None)
    assert repository.snapshots(fresh=True) == []


def test_a_cancel_ends_restic_and_drops_its_lock(repository: ResticRepository) -> None:
    def cancel() -> None:
        until(repository.runner.session.place.locks)
        process.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    try:
        with pytest.raises(Cancelled):
            repository.store(shell("sleep 60"), host="p", tags=["t"])
    finally:
        canceller.join()
        process.reset_cancel()
    assert repository.runner.session.place.locks() == frozenset()
    assert repository.snapshots(fresh=True) == []


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    at.mkdir()
    mounted = process.run(Command(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at)]))
    assert mounted.exit_code == 0, mounted.complaint
    try:
        yield at
    finally:
        process.run(Command(["umount", str(at)]))


def test_a_full_target_is_the_targets_fault(repository: ResticRepository, tmp_path: Path) -> None:
    snapshot = repository.store(
        shell("head -c 3000000 /dev/urandom"), host="p", tags=["t"]
    ).snapshot
    with small_disk(tmp_path / "small", "1m") as small:
        with pytest.raises(TargetError, match="no space left"):
            repository.restore(snapshot, small)
        assert list(small.iterdir()) == []


def test_a_repository_on_a_full_disk_can_be_restored(tmp_path: Path) -> None:
    """Where no lock can be written, nor anything into the cache."""
    with small_disk(tmp_path / "disk", "4m") as disk:
        snapshot = (
            founded(local_repository(disk))
            .store(shell("printf here"), host="p", tags=["t"])
            .snapshot
        )
        with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))
        repository = local_repository(disk)
        with pytest.raises(RepositoryError, match="no space left for the repository"):
            repository.store(shell("echo more"), host="p", tags=["t"])
        (tmp_path / "back").mkdir()
        repository.restore(snapshot, tmp_path / "back")
        assert [p.read_text() for p in (tmp_path / "back").iterdir()] == ["here"]


VERSION = '{"version":"%s","go_version":"go1.24","go_os":"linux","go_arch":"amd64"}'


@pytest.mark.parametrize(
    ("version", "code", "error", "words"),
    [
        ("0.16.4", 0, ToolTooOld, "0.16.4 is too old"),
        ("0.18.0", 77, RepositoryError, "exit code 77"),
        ("0.18.0", 130, Cancelled, "interrupted"),
        ("0.18.0", 0, RepositoryError, "cannot parse restic's answer"),
    ],
)
def test_an_unknown_version_of_restic_is_refused(
    tmp_path: Path, version: str, code: int, error: type[Exception], words: str
) -> None:
    program = tmp_path / "restic"
    said = VERSION % version
    answers = f'case " $* " in *" version "*) echo \'{said}\'; exit 0;; esac'
    program.write_text(f"#!/bin/sh\n{answers}\nexit {code}\n")
    program.chmod(0o755)
    repository = other_program(tmp_path, str(program))
    with pytest.raises(error, match=words):
        repository.snapshots()


def test_a_restic_that_is_not_there_is_named_with_its_package(tmp_path: Path) -> None:
    repository = other_program(tmp_path, str(tmp_path / "nowhere" / "restic"))
    with pytest.raises(ToolMissing, match="restic"):
        repository.snapshots()
    assert [f.failed for f in repository.doctor() if f.name == "restic"] == [True]


def other_program(tmp_path: Path, program: str) -> ResticRepository:
    spec = RepositorySpec("local", str(tmp_path / "repository"), text("a password"))
    return open_repository(spec, cache_dir=tmp_path / "cache", resolve=value, restic=program)


# --- secrets --------------------------------------------------------------------------------


def test_the_password_is_in_no_command_line(repository: ResticRepository, tmp_path: Path) -> None:
    with held_lock(repository) as pid:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"a password" not in words
        assert b"RESTIC_PASSWORD=a password" in environment
        assert stat.S_IMODE(Path(f"/proc/{pid}/environ").stat().st_mode) == 0o400
    assert "RESTIC_PASSWORD" not in os.environ
    assert repository.remove_stale_locks() == 1


def test_a_listing_is_exact_although_a_secret_is_a_part_of_it(tmp_path: Path) -> None:
    log.mask("orders")
    repository = founded(local_repository(tmp_path, password="orders"))
    repository.store_bytes(b"orders", "m", host="orders-api", tags=["plan:orders-api"])
    (found,) = repository.snapshots(host="orders-api")
    assert (found.host, found.tags) == ("orders-api", ("plan:orders-api",))
    assert repository.read_file(found.id, "m") == b"orders"


def test_an_incomplete_lock_is_ignored(repository: ResticRepository, tmp_path: Path) -> None:
    """What a restic leaves that is killed while it writes its lock on a local disk."""
    (tmp_path / "repository" / "locks" / f"{'a' * 64}-tmp-123").write_text("half a lo")
    assert repository.remove_stale_locks() == 0
    repository.check()


def test_short_reads_take_no_lock_and_damage_counts_only_under_a_lock(
    tmp_path: Path,
) -> None:
    program, calls = tmp_path / "restic", tmp_path / "calls"
    program.write_text(f'#!/bin/sh\necho "$*" >>{calls}\nexec {shutil.which("restic")} "$@"\n')
    program.chmod(0o755)
    repository = other_program(tmp_path, str(program))
    repository.initialise()
    stored = repository.store(shell("echo here"), host="p", tags=["t"]).snapshot

    def restored() -> list[bool]:
        """Of each restic that restored, whether it did without a lock."""
        calls.unlink(missing_ok=True)
        into = tmp_path / "into"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        try:
            repository.restore(stored, into, brief=True)
        except RepositoryDamaged:
            assert not list(into.iterdir())
        return ["--no-lock" in call for call in calls.read_text().splitlines() if "restore" in call]

    assert restored() == [True]
    for pack in (tmp_path / "repository/data").rglob("*"):
        if pack.is_file():
            pack.unlink()
    assert restored() == [True, False]


def test_a_copy_that_fails_names_the_one_of_both_repositories_that_fails(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    source, copy = local_repository(tmp_path / "a"), local_repository(tmp_path / "b")
    founded(source)
    founded(copy)
    snapshot = source.store(shell("printf here"), host="p", tags=["t"]).snapshot
    locked_out = (
        local_repository(tmp_path / "a", password="false"),
        local_repository(tmp_path / "b", password="false"),
    )
    for into, of, fails in ((copy, locked_out[0], source), (locked_out[1], source, copy)):
        with pytest.raises(WrongKey) as caught:
            into.copy_from(of, [snapshot])
        assert caught.value.message == f"the password does not open the repository at {fails.url}"


@pytest.mark.parametrize("side", ["copy", "source"])
def test_a_copy_names_the_repository_whose_disk_is_full(tmp_path: Path, side: str) -> None:
    """Into the source, restic writes a lock."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        places = {"copy": tmp_path / "copy", "source": tmp_path / "source", side: disk}
        for place in places.values():
            place.mkdir(exist_ok=True)
        source, copy = local_repository(places["source"]), local_repository(places["copy"])
        founded(source)
        founded(copy)
        snapshot = source.store(shell("head -c 2M /dev/urandom"), host="p", tags=["t"]).snapshot
        with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))
        if side == "source":  # it can be read without a lock
            copy.copy_from(source, [snapshot])
            return
        with pytest.raises(RepositoryError) as caught:
            copy.copy_from(source, [snapshot])
        assert caught.value.message == f"no space left for the repository at {copy.url}"

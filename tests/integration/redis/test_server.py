"""Live servers as sources, and the files that a recovery gives to a server."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drd.errors import (
    DumpFailed,
    RepositoryDamaged,
    SandboxUnavailable,
    SourceError,
    SourceUnreachable,
    TargetError,
)
from drd.kinds.redis import save as saving
from drd.kinds.redis.address import Address
from drd.kinds.redis.by_hand import by_hand
from drd.kinds.redis.client import Client, Login, login_of
from drd.kinds.redis.inspector import RdbInspector
from drd.kinds.redis.kind import RedisKind, ValkeyKind
from drd.kinds.redis.server_facts import info
from drd.kinds.redis.settings import RedisSettings, RedisTarget
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, StoredSnapshot
from drd.ports import NamedDestination, RestoreOptions, Stream, Workplace, no_progress
from drd.process import Command
from tests.death_support import Died, every_death
from tests.notify_support import make_plain_authority
from tests.restic_support import place
from tests.servers.child import free_ports
from tests.servers.redis import RedisServer

KIND = RedisKind()
KEYS = 300


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server with append-only files and a user for drd, for all tests here."""
    with_short = Path(tmp_path_factory.mktemp("r")) / "live"
    server = RedisServer(with_short, "redis", "--appendonly", "yes")
    fill = f"for i = 1, {KEYS} do redis.call('set', 'k' .. i, i) end"
    server.ask("EVAL", f"{fill} redis.call('set', 'e', 1, 'EX', 10000)", "0")
    rights = "-@all +ping +info +bgsave +psync +sync +replconf +acl|list +config|get"
    server.ask("ACL", "SETUSER", "drd", "on", ">s3cret-of-drd", *rights.split())
    yield server
    server.kill()


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


def component(live: RedisServer, **more: Any) -> Component:
    settings = {"kind": "redis", "url": live.url, "dir": str(live.directory), **more}
    return Component("sessions", "redis", RedisSettings.model_validate(settings))


def client_of(server: RedisServer) -> Client:
    return Client(Login(Address(socket=str(server.socket))))


def take(
    live: RedisServer, work: Workplace, **more: Any
) -> tuple[ComponentSnapshot, bytes, dict[str, Any]]:
    """Capture the server, as a backup run does."""
    with KIND.source(component(live, **more), work).open() as capture:
        assert isinstance(capture.payload, Stream)
        data = Path(capture.payload.command.argv[-1]).read_bytes()
        stored = StoredSnapshot("0" * 64, len(data), len(data), 1)
        fingerprint = capture.verify(stored, capture.fingerprint())
        snapshot = ComponentSnapshot(
            component="sessions",
            kind="redis",
            state="captured",
            data_time=capture.data_time,
            snapshot="0" * 64,
            bytes=len(data),
            facts=capture.facts,
            fingerprint=fingerprint,
        )
        KIND.require_written(snapshot, capture.private)
        return snapshot, data, dict(capture.private)


def target(live: RedisServer, directory: Path, work: Workplace, **more: Any) -> NamedDestination:
    settings = RedisTarget(path=str(directory), **more)
    return KIND.target(component(live), settings, work, RestoreOptions(keep=True))


def restore(
    at: NamedDestination,
    taken: tuple[ComponentSnapshot, bytes, dict[str, Any]],
    *,
    overwrite: bool = True,
) -> None:
    snapshot, data, private = taken
    assert not any(f.failed for f in at.preflight(snapshot, overwrite=overwrite))
    (at.landing() / "sessions.rdb").write_bytes(data)
    at.restore(snapshot, private, on_progress=no_progress)


def served(directory: Path, *settings: str) -> tuple[int, list[str]]:
    """Start a server on the files; return its keys and the users of its ACLs."""
    users = directory / "users.acl"
    server = RedisServer(directory, "redis", "--aclfile", str(users), *settings)
    try:
        keys, lines = server.ask("DBSIZE"), server.ask("ACL", "LIST")
        assert isinstance(keys, int)
        assert isinstance(lines, list)
        return keys, [str(line).split()[1] for line in lines]
    finally:
        server.kill()


def test_a_server_with_append_only_files_gets_all_its_data_and_its_users_back(
    live: RedisServer, work: Workplace, short_tmp: Path
) -> None:
    taken = take(live, work)
    assert taken[0].facts["appendonly"] is True
    (directory := short_tmp / "t").mkdir()
    at = target(live, directory, work)
    restore(at, taken, overwrite=False)
    assert served(directory, "--appendonly", "yes") == (KEYS + 1, ["default", "drd"])
    # A server without append-only files reads the other name of the same data.
    shutil.rmtree(directory / "appendonlydir")
    assert served(directory)[0] == KEYS + 1


def test_a_directory_with_append_only_files_refuses_a_dump_that_its_server_would_ignore(
    live: RedisServer, work: Workplace, short_tmp: Path
) -> None:
    snapshot, data, private = take(live, work)
    (short_tmp / "t/appendonlydir").mkdir(parents=True)
    (short_tmp / "t/appendonlydir/appendonly.aof.manifest").write_text("x")
    at = target(live, short_tmp / "t", work, appendonly=False)
    with pytest.raises(TargetError, match=r"would ignore dump\.rdb") as caught:
        restore(at, (snapshot, data, private))
    assert "appendonly: true" in caught.value.hint
    (done,) = [task for task in at.left_to_do(snapshot) if task.code == "appendonly"]
    assert "appendonly no" in str(done.text)


def test_an_undo_also_takes_away_append_only_files_that_were_not_there(
    live: RedisServer, work: Workplace, short_tmp: Path
) -> None:
    taken = take(live, work)
    (directory := short_tmp / "t").mkdir()
    (directory / "dump.rdb").write_bytes(b"former")
    restore(target(live, directory, work), taken)
    kept = KIND.kept(component(live), RedisTarget(path=str(directory)), taken[0], work.run)
    kept.swap(back=True)
    assert (directory / "dump.rdb").read_bytes() == b"former"
    assert list((directory / "appendonlydir").iterdir()) == []
    kept.discard()


def test_killed_anywhere_and_run_again_the_end_is_the_same(
    live: RedisServer, short_tmp: Path
) -> None:
    taken = take(live, place(short_tmp / "w0"))
    for death in every_death():
        base = short_tmp / f"d{death.effect}"
        (base / "t/appendonlydir").mkdir(parents=True)
        (base / "t/appendonlydir/old").write_text("x")
        (base / "t/dump.rdb").write_bytes(b"former")
        work = place(base / "w", "4f2a1c3e")
        with suppress(Died), death.active():
            restore(target(live, base / "t", work), taken)
        again = target(live, base / "t", work)
        restore(again, taken)
        saved = taken[0].fingerprint
        assert isinstance(saved, DatabaseFingerprint)
        restored = again.inspector().fingerprint(saved, 60.0)
        assert isinstance(restored, DatabaseFingerprint)
        assert restored.tables == saved.tables
        kept = KIND.kept(component(live), RedisTarget(path=str(base / "t")), taken[0], work.run)
        kept.swap(back=True)
        assert (base / "t/dump.rdb").read_bytes() == b"former", death.effect
        assert (base / "t/appendonlydir/old").exists(), death.effect


def test_a_server_that_works_in_the_directory_is_refused_by_name(
    live: RedisServer, work: Workplace
) -> None:
    snapshot, _, _ = taken = take(live, work)
    at = target(live, live.directory, work)
    (used, *_) = at.in_use(snapshot)
    assert used.blocks
    assert "redis-server (process" in used.by[0]
    with pytest.raises(TargetError, match=r"works in .* when it stops, it replaces"):
        restore(at, taken)
    KIND.sweep(work.directory)
    kept = KIND.kept(component(live), RedisTarget(path=str(live.directory)), snapshot, work.run)
    assert kept.held() == []


def test_the_data_time_of_received_data_is_when_the_server_froze_it(
    live: RedisServer, work: Workplace
) -> None:
    """A server waits for other replicas first; what is written meanwhile is in the data."""
    began = time.time()
    live.ask("CONFIG", "SET", "repl-diskless-sync-delay", "3")
    try:
        snapshot, _, _ = take(live, work, dir=None)
    finally:
        live.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    assert snapshot.data_time is not None
    assert began + 1 <= snapshot.data_time.timestamp() <= time.time()


def test_the_password_is_in_no_argument_and_rights_that_are_missing_are_named(
    live: RedisServer, work: Workplace, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = short_tmp / "secret"
    secret.write_text("s3cret-of-drd")
    secret.chmod(0o600)
    login = {"user": "drd", "password": {"file": str(secret)}, "method": "replica"}
    seen: list[Command] = []
    real = saving.process.run
    monkeypatch.setattr(saving.process, "run", lambda c, **more: seen.append(c) or real(c, **more))
    snapshot, _, private = take(live, work, **login)
    (command,) = seen
    assert not [word for word in command.argv if "s3cret" in str(word)]
    assert snapshot.facts["users"] == len(private["acl"]) == 2
    live.ask("ACL", "SETUSER", "drd", "-acl|list", "-psync", "-sync")
    try:
        findings = KIND.source(component(live, **login), work).doctor()
        assert [f.code for f in findings if f.severity == "warning"] == ["rights"]
        with pytest.raises(DumpFailed, match="redis-cli --rdb ended with exit 1") as caught:
            take(live, work, **login)
        assert "+psync +sync +replconf" in caught.value.hint
    finally:
        live.ask("ACL", "SETUSER", "drd", "+acl|list", "+psync", "+sync")
    secret.write_text("wrong")
    with pytest.raises(SourceError, match="refused the login"):
        KIND.source(component(live, **login), work).probe()
    assert list(work.directory.iterdir()) == []


@pytest.mark.parametrize(("method", "command"), [("save", "bgsave"), ("replica", "replconf")])
def test_doctor_says_that_a_backup_would_fail_for_lack_of_a_right_or_a_command(
    method: str, command: str, live: RedisServer, work: Workplace, short_tmp: Path
) -> None:
    where = {"method": method, "dir": str(live.directory)}
    live.ask("ACL", "SETUSER", "default", f"-{command}")
    try:
        (finding,) = KIND.source(component(live, **where), work).doctor()
        assert (finding.severity, finding.code) == ("error", "reachable")
        assert f"may not send {command.upper()}" in finding.text
        assert "ACL SETUSER" in finding.remedy
    finally:
        live.ask("ACL", "SETUSER", "default", f"+{command}")
    saved = live.ask("LASTSAVE")
    assert not [f for f in KIND.source(component(live, **where), work).doctor() if f.failed]
    assert live.ask("LASTSAVE") == saved
    without = RedisServer(short_tmp / "without", live.product, "--rename-command", command, "")
    try:
        where["dir"] = str(without.directory)
        (finding,) = KIND.source(component(without, **where), work).doctor()
        assert f"does not have the command {command.upper()}" in finding.text
        assert "rename-command" in finding.remedy
        with pytest.raises(SourceError, match="does not have the command"):
            KIND.source(component(without, **where), work).probe()
    finally:
        without.kill()


def test_the_password_goes_only_to_a_server_whose_certificate_has_its_name(
    work: Workplace, short_tmp: Path
) -> None:
    """Also with redis-cli, which itself checks no names."""
    ca, leaf = make_plain_authority(short_tmp)
    (port,) = free_ports(1)
    secret = short_tmp / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    words = (
        f"--tls-port {port} --tls-cert-file {leaf} --tls-key-file {leaf} --tls-ca-cert-file {ca}"
    )
    words += " --tls-auth-clients no"
    server = RedisServer(short_tmp / "t", "redis", *words.split())
    try:
        server.ask("SET", "large", "x" * 1_000_000)
        server.ask("ACL", "SETUSER", "drd", "on", ">s3cret", "~*", "+@all")
        login = {"user": "drd", "password": {"file": str(secret)}, "ca_cert": str(ca), "dir": None}
        snapshot, _, _ = take(server, work, url=f"rediss://localhost:{port}", **login)
        assert snapshot.fingerprint.tables["db0 string"].rows == 1
        other = component(server, url=f"rediss://127.0.0.1:{port}", **login).settings
        into = saving.Into(short_tmp / "c", 1 << 20)
        with pytest.raises(SourceUnreachable, match="no TLS connection"):
            saving.receive(login_of(other), "redis-cli", into, 30, work.directory)
    finally:
        server.kill()
    assert list(work.directory.iterdir()) == []


def test_a_started_server_without_the_restored_data_is_no_recovery(
    live: RedisServer, work: Workplace, short_tmp: Path
) -> None:
    """The file is whole, and the server on it runs with other settings."""
    snapshot, data, _ = take(live, work)
    (short_tmp / "t").mkdir()
    (short_tmp / "t/dump.rdb").write_bytes(data)
    server = RedisServer(short_tmp / "t", "redis", "--dbfilename", "other.rdb")
    try:
        like = snapshot.fingerprint
        settings = component(server).settings
        started = RdbInspector(short_tmp / "t/dump.rdb", settings, is_loaded=True)
        with pytest.raises(SourceError, match=f"has 0 keys in database 0, .* {KEYS} without"):
            started.fingerprint(like, 30)
        unknown = RdbInspector(short_tmp / "t/dump.rdb", None, is_loaded=True)
        with pytest.raises(SourceUnreachable, match="the target has no `url`"):
            unknown.fingerprint(like, 30)
        server.ask("EVAL", f"for i = 1, {KEYS} do redis.call('set', 'k' .. i, i) end", "0")
        assert started.fingerprint(like, 30).tables["db0 string"].rows == KEYS
    finally:
        server.kill()


def test_a_drill_says_that_all_keys_have_ended(work: Workplace, short_tmp: Path) -> None:
    server = RedisServer(short_tmp / "s")
    try:
        server.ask("SET", "session", "x", "PX", "1000")
        snapshot, data, private = take(server, work)
    finally:
        server.kill()
    time.sleep(1.1)
    at = KIND.sandbox(component(server), snapshot, work)
    try:
        at.prepare()
        (at.landing() / snapshot.facts["filename"]).write_bytes(data)
        done = at.restore(snapshot, private, on_progress=no_progress)
        assert "of 1 of 1 key is over: the server of the drill has no keys" in done.notes[0]
    finally:
        at.close()


def test_a_save_that_fails_and_a_directory_of_another_server_are_named(
    live: RedisServer, work: Workplace, short_tmp: Path
) -> None:
    server = RedisServer(short_tmp / "s")
    try:
        server.ask("SAVE")
        # The file there is new at each backup: that server could save at the same time.
        with pytest.raises(SourceError, match=f"writes its file to {live.directory}, which is not"):
            take(live, work, dir=str(server.directory))
        (finding,) = KIND.source(component(live, dir=str(server.directory)), work).doctor()
        assert finding.failed
        (server.directory / "dump.rdb").unlink()
        (server.directory / "dump.rdb").mkdir()
        with pytest.raises(SourceError, match="is not a file"):
            take(server, work)
        (server.directory / "dump.rdb").rmdir()
        server.ask("CONFIG", "SET", "rdbcompression", "no")
        server.ask("SET", "large", "x" * (2 << 20))
        process = int(info(client_of(server), "server")["process_id"])
        resource.prlimit(process, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        with pytest.raises(DumpFailed, match="could not save its data"):
            take(server, work)
    finally:
        server.kill()
    assert list(work.directory.iterdir()) == []


def test_the_directory_of_a_server_has_to_be_proven(
    live: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process at the other end of a Unix socket proves it; else CONFIG GET."""
    with client_of(live) as client:
        assert client.works_in(live.directory.stat())
        assert not client.works_in(live.directory.parent.stat())
        monkeypatch.setattr(client, "works_in", lambda _: False)
        saving.require_own(client, live.directory)
        client.ask("ACL", "SETUSER", "default", "-config|get")
        try:
            with pytest.raises(SourceError, match="cannot prove") as caught:
                saving.require_own(client, live.directory)
        finally:
            client.ask("ACL", "SETUSER", "default", "+config|get")
        assert "+config|get" in caught.value.hint


def test_a_server_that_cannot_read_the_file_is_the_named_reason(
    live: RedisServer, work: Workplace, short_tmp: Path
) -> None:
    snapshot, data, private = take(live, work)
    (only := short_tmp / "bin").mkdir()
    (only / "valkey-server").symlink_to("/usr/bin/valkey-server")
    here = component(live, bin_dir=str(only))
    said = r"Valkey 8\S+ of this host cannot read the data of Redis 8\S+ \(RDB version 12\)"
    (finding,) = KIND.sandbox_findings(here, work)
    assert finding.failed
    (finding,) = KIND.sandbox_findings_for(here, snapshot, work)
    assert "redis-server" in finding.remedy
    with pytest.raises(SandboxUnavailable, match=said):
        KIND.sandbox(here, snapshot, work).prepare()
    # A manifest that says another version does not hide it: the server has the last word.
    forged = replace(snapshot, facts={**snapshot.facts, "format_version": 11})
    sandbox = ValkeyKind().sandbox(here, forged, work)
    try:
        sandbox.prepare()
        (sandbox.landing() / "sessions.rdb").write_bytes(data)
        with pytest.raises(SandboxUnavailable, match="cannot read the data of Redis"):
            sandbox.restore(forged, private, on_progress=no_progress)
    finally:
        sandbox.close()


def test_a_damaged_file_that_the_source_has_saved_is_the_named_reason_without_names_of_keys(
    live: RedisServer, work: Workplace
) -> None:
    """What the server says first of its host, such as of its memory, is not the reason."""
    snapshot, data, private = take(live, work)
    damaged = bytearray(data)
    damaged[-1] ^= 1
    facts = {**snapshot.facts, "sha256": hashlib.sha256(damaged).hexdigest()}
    snapshot = replace(snapshot, facts=facts)
    sandbox = KIND.sandbox(component(live), snapshot, work)
    try:
        sandbox.prepare()
        (sandbox.landing() / "sessions.rdb").write_bytes(damaged)
        with pytest.raises(RepositoryDamaged) as caught:
            sandbox.restore(snapshot, private, on_progress=no_progress)
    finally:
        sandbox.close()
    assert caught.value.message.endswith("RDB CRC error | [additional info] While doing: check-sum")
    assert "overcommit" not in caught.value.message


def test_a_check_can_only_read_and_users_of_the_data_do_not_lock_drd_out(
    live: RedisServer, work: Workplace
) -> None:
    snapshot, data, private = take(live, work)
    private = {"acl": ["user default off -@all", *private["acl"][1:]]}
    sandbox = KIND.sandbox(component(live), snapshot, work)
    try:
        sandbox.prepare()
        (sandbox.landing() / "sessions.rdb").write_bytes(data)
        sandbox.restore(snapshot, private, on_progress=no_progress)
        inspector = sandbox.inspector()
        assert inspector.scalar("GET k7") == 7
        assert inspector.scalar("-n 1 DBSIZE") == 0
        for query in (
            "DEL k7",
            "FLUSHALL",
            "SET a 1",
            "EVAL 'return 1' 0",
            "CONFIG GET *",
            "KEYS *",
        ):
            with pytest.raises(SourceError):
                inspector.scalar(query)
        assert inspector.scalar("DBSIZE") == KEYS + 1
    finally:
        sandbox.close()
    assert list(work.directory.iterdir()) == []


def test_a_sweep_ends_the_server_that_a_killed_drill_left(
    live: RedisServer, work: Workplace
) -> None:
    snapshot, data, private = take(live, work)
    sandbox = KIND.sandbox(component(live), snapshot, work)
    sandbox.prepare()
    (sandbox.landing() / "sessions.rdb").write_bytes(data)
    sandbox.restore(snapshot, private, on_progress=no_progress)
    (note,) = KIND.sweep(work.directory)
    assert "ended the abandoned server" in note
    sandbox.close()
    assert list(work.directory.iterdir()) == []


def test_a_server_with_many_databases_is_loaded_and_cannot_change_the_file_meanwhile(
    work: Workplace, short_tmp: Path
) -> None:
    server = RedisServer(short_tmp / "s", "redis", "--databases", "40")
    try:
        with client_of(server) as client:
            client.ask("SELECT", "33")
            client.ask("SET", "far", "1")
        snapshot, data, private = take(server, work)
    finally:
        server.kill()
    sandbox = KIND.sandbox(component(server), snapshot, work)
    try:
        sandbox.prepare()
        (sandbox.landing() / "sessions.rdb").write_bytes(data)
        sandbox.restore(snapshot, private, on_progress=no_progress)
        inspector = sandbox.inspector()
        assert inspector.scalar("-n 33 GET far") == 1
        loaded = Path(inspector.environment["DRD_PATH"])
        assert (loaded.stat().st_uid, loaded.stat().st_mode & 0o777) == (os.geteuid(), 0o444)
        assert snapshot.fingerprint is not None
        assert inspector.fingerprint(snapshot.fingerprint, 60.0) == replace(
            snapshot.fingerprint, properties={}
        )
    finally:
        sandbox.close()
    assert list(work.directory.iterdir()) == []


def test_the_commands_by_hand_restore_a_server_with_append_only_files(
    live: RedisServer, work: Workplace, short_tmp: Path
) -> None:
    snapshot, data, private = take(live, work)
    (directory := short_tmp / "t").mkdir()
    (short_tmp / "saved").write_bytes(data)
    manifest = {"components": [snapshot.to_json()], "private": {"sessions": private}}
    (short_tmp / "manifest.json").write_text(json.dumps(manifest))
    hand = by_hand(component(live), RedisTarget(path=str(directory)), place="x", resolve=str)
    head = (
        "set -euo pipefail\nrestic() { cat -- saved; }\nsnapshot() { echo 1; }\n"
        "fact() { jq -er --arg f \"$2\" '.components[0].facts[$f]' manifest.json; }\n"
    )
    script = head + "".join(p.commands for p in hand.passages) + f"{hand.ask} 'GET k9'\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=short_tmp, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"db0: {KEYS} keys\n" in done.stdout
    assert done.stdout.endswith("9\n")
    assert served(directory, "--appendonly", "yes") == (KEYS + 1, ["default", "drd"])

"""Whoever can write to the repository writes the manifest that pgBackRest believes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drd import process
from drd.cli.plan_stanza import Asked, stanza_plan
from drd.errors import DrdError, UsageError
from drd.fence import kernel
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.server import ThrowAwayServer, sandbox_programs
from drd.ports import Workplace
from drd.repositories.adopted import landed
from tests.integration.test_adopted_pgbackrest import Site
from tests.pgbackrest_support import Backed, backed

Sections = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def stanza() -> Iterator[Backed]:
    with backed(Path("/tmp"), cipher=False) as made:
        made.order(3)
        made.backup()
        yield made


@pytest.fixture
def site(tmp_path: Path, stanza: Backed) -> Iterator[Site]:
    made = Site(tmp_path, stanza)
    yield made
    made.app.close()


@pytest.fixture
def forged(stanza: Backed) -> Iterator[Callable[[Callable[[Sections, Path], None]], None]]:
    """Change the manifest as one who can write there, with the checksum that belongs to it."""
    (file,) = stanza.repository.glob("backup/main/2*F/backup.manifest")
    before = {f: f.read_bytes() for f in (file, file.with_suffix(".manifest.copy"))}

    def change(how: Callable[[Sections, Path], None]) -> None:
        sections = _parsed(before[file].decode())
        how(sections, file.parent)
        for one in before:
            one.write_text(_written(sections))

    yield change
    for one, was in before.items():
        one.write_bytes(was)


def _parsed(text: str) -> Sections:
    sections: Sections = {}
    section: dict[str, str] = {}
    for line in filter(None, text.splitlines()):
        if line[0] == "[" and line[-1] == "]":
            section = sections.setdefault(line[1:-1], {})
        else:
            key, _, value = line.partition("=")
            section[key] = value
    sections["backrest"].pop("backrest-checksum")
    return sections


def _written(sections: Sections) -> str:
    def said(pairs: dict[str, str]) -> str:
        return ",".join(f"{json.dumps(k)}:{v}" for k, v in pairs.items())

    whole = ",".join(
        f"{json.dumps(name)}:{{{said(pairs)}}}" for name, pairs in sections.items() if pairs
    )
    digest = hashlib.sha1(f"{{{whole}}}".encode()).hexdigest()
    text = "\n".join(
        f"[{name}]\n" + "".join(f"{k}={v}\n" for k, v in pairs.items())
        for name, pairs in sections.items()
        if pairs
    )
    return f'{text}\n[backrest]\nbackrest-checksum="{digest}"\n'


def _add(sections: Sections, backup: Path, name: str, **facts: str) -> None:
    packed = gzip.compress(b"put there by the repository\n")
    stored = Path(os.path.normpath(f"{backup}/{name}.gz"))
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(packed)
    content = gzip.decompress(packed)
    value = {
        "checksum": hashlib.sha1(content).hexdigest(),
        "rck": hashlib.sha1(packed).hexdigest(),
        "repo-size": len(packed), "size": len(content), "timestamp": 1795857142, **facts,
    }  # fmt: skip
    files = sections["target:file"]
    files[name] = json.dumps(dict(sorted(value.items())), separators=(",", ":"))
    sections["target:file"] = dict(sorted(files.items()))


def _file(victim: Path) -> Callable[[Sections, Path], None]:
    return lambda sections, backup: _add(
        sections, backup, f"pg_data/{'../' * 14}{str(victim)[1:]}/cron"
    )


def _space(victim: Path) -> Callable[[Sections, Path], None]:
    def change(sections: Sections, backup: Path) -> None:
        for name, value in sections["backup:target"].items():
            if name.startswith("pg_tblspc/"):
                to = f'"tablespace-name":"{"../" * 14}{str(victim)[1:]}/opt"'
                sections["backup:target"][name] = value.replace('"tablespace-name":"space"', to)
                _add(sections, backup, f"{name}/sh", mode="4755", user="root", group="root")

    return change


@pytest.mark.parametrize("forgery", [_file, _space])
def test_a_drill_writes_nothing_where_a_forged_manifest_leads(
    site: Site,
    tmp_path: Path,
    forged: Callable[[Callable[[Sections, Path], None]], None],
    forgery: Callable[[Path], Callable[[Sections, Path], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    victim.chmod(0o777)
    forged(forgery(victim))
    before = list(victim.iterdir())
    plan = site.plan()
    outcome = site.drilled(plan)
    assert outcome.evidence.result != "passed"
    assert "names a place outside the backup" in str(outcome)
    assert list(victim.iterdir()) == before
    if kernel.landlock_abi() >= 3:
        monkeypatch.setattr(landed, "require_inside", lambda *_: None)
        outcome = site.drilled(plan)
        assert outcome.evidence.result != "passed"
        assert "pgBackRest restore" in str(outcome)
        assert list(victim.iterdir()) == before


def test_restored_files_of_a_stanza_keep_no_set_id_bit(
    site: Site,
    forged: Callable[[Callable[[Sections, Path], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    closed = landed.require_closed

    def look(data: Path, spaces: Path) -> None:
        before = (data / "sh").stat()
        closed(data, spaces)
        seen.extend((before.st_uid, stat.S_IMODE((data / "sh").stat().st_mode)))

    monkeypatch.setattr(landed, "require_closed", look)
    forged(lambda s, b: _add(s, b, "pg_data/sh", mode="4755", user="root", group="root"))
    outcome = site.drilled(site.plan())
    assert outcome.evidence.result == "passed", outcome
    assert seen[0] != 0
    assert seen[1] == 0o755


def test_root_uses_no_configuration_that_somebody_else_can_change(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("root's case")
    config, ran = tmp_path / "pgbackrest.conf", tmp_path / "ran"
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    config.write_text(f"[global]\nrepo1-host=localhost\ncmd-ssh={program}\n[main]\npg1-path=/x\n")
    os.chown(config, 65534, 65534)
    with pytest.raises(UsageError, match="root does not use") as refusal:
        stanza_plan("shop", Asked("main", config=config), tmp_path / "cache")
    assert "use a copy that belongs to root" in (refusal.value.hint or "")
    assert not ran.exists()


def test_the_server_of_a_sandbox_gets_no_password_of_this_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text("*:*:*:*:a secret of root\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    monkeypatch.setenv("PGPASSWORD", "another secret of root")
    programs = sandbox_programs(13, None)
    place = Workplace(tmp_path / "place", "1", None, 1)
    server = ThrowAwayServer(place, programs)
    heard: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    server._sockets = tmp_path
    listener.bind(f"{tmp_path}/.s.PGSQL.5432")
    listener.listen(5)

    def ask() -> None:
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            with one:
                one.recv(4096)
                one.send(b"R" + struct.pack("!II", 8, 3))  # a password in clear text
                heard.append(one.recv(500))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    with pytest.raises(DrdError):
        connect(server.address("shop"))
    words = [programs.path("pg_dump"), f"--dbname={server.address('shop').conninfo}"]
    monkeypatch.setenv("HOME", str(tmp_path))
    passfile.rename(tmp_path / ".pgpass")
    done = process.run(process.Command(words, deadline_s=20))
    assert done.exit_code != 0
    listener.close()
    assert len(heard) >= 2
    assert b"secret" not in b"".join(heard)

"""Attack: whoever can write to the repository of another tool lies about how large a copy is, or a
file of it: a few kilobytes in the repository become a full disk, or a full memory.

drd had compared the space with what the repository says. Now a restore ends before the disk is
full, and of a file of the copy drd reads a bounded part.
"""

from __future__ import annotations

import bz2
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.errors import RepositoryError, TargetError
from drd.kinds.postgres.whole_server import pg_dump
from drd.model.adopted import Adopted, Stanza
from drd.ports import Progress, no_progress
from drd.ports.adopted import CopyDamaged, ForeignCopy, Landing
from drd.repositories.adopted import afar, cut_off, pg_archive
from drd.repositories.adopted.restic import ResticCopies
from drd.repositories.adopted.stanza_program import StanzaProgram
from drd.repositories.adopted.stored_file import StoredFile

_FULL = "has written until only 1 B were free"
_MEMORY = 400 << 20
_HUGE = 4 << 30


@pytest.fixture
def filling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full as soon as something was written to a directory on it."""

    def usage(place: Path) -> SimpleNamespace:
        return SimpleNamespace(free=1 if any(Path(place).rglob("*")) else 1 << 40)

    monkeypatch.setattr(shutil, "disk_usage", usage)


class Bomb:
    """A repository of restic whose snapshot has no end."""

    runner = SimpleNamespace(only_reads=False)

    def restore(self, _: str, into: Path, *, on_progress: Any, **__: Any) -> None:
        (into / "zeros").touch()
        on_progress(Progress("", "fetch", 1, 1))
        raise AssertionError("it goes on")


def test_a_packed_file_that_unpacks_without_end_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """113 bytes of bzip2 are a hundred megabytes: a file of a gigabyte would take months."""
    monkeypatch.setattr(cut_off, "_MOST_UNPACKED", 1 << 20)
    stream, read = bz2.compress(bytes(8 << 20)), 0
    bomb = tmp_path / "dump.sql.bz2"
    bomb.write_bytes(stream * 40)
    blocks = cut_off.Packer.blocks

    def counted(packer: cut_off.Packer, file: Any) -> Iterator[bytes]:
        nonlocal read
        for block in blocks(packer, file):
            read += len(block)
            yield block

    monkeypatch.setattr(cut_off.Packer, "blocks", counted)
    cut_off.require_whole(bomb, "dump.sql.bz2", "")
    assert read <= 1000 * bomb.stat().st_size + (1 << 20)
    # Healthy twin: what is packed as dumps are is read to its end.
    text = b"".join(b"INSERT INTO t VALUES (%d);\n" % n for n in range(200_000))
    bomb.write_bytes(bz2.compress(b"-- MariaDB dump\n" + text + b"-- Dump completed\n"))
    cut_off.require_whole(bomb, "dump.sql.bz2", "")
    bomb.write_bytes(bz2.compress(b"-- MariaDB dump\n" + text))
    with pytest.raises(CopyDamaged, match="cut off"):
        cut_off.require_whole(bomb, "dump.sql.bz2", "")


@pytest.mark.usefixtures("filling")
def test_a_dump_of_a_restored_server_ends_before_the_disk_is_full(tmp_path: Path) -> None:
    """Its tables may be compressed: the files of the copy do not say how large a dump is."""
    program = tmp_path / "bin"
    program.write_text("#!/bin/sh\nprintf x\nexec sleep 300\n")
    program.chmod(0o755)
    (tmp_path / "landing").mkdir()
    tools: Any = SimpleNamespace(path=lambda _: str(program))
    address: Any = SimpleNamespace(conninfo="dbname=x")
    with pytest.raises(TargetError, match=_FULL):
        pg_dump(tools, address, tmp_path / "landing/dump", "db", by_hand="by hand")


@pytest.mark.usefixtures("filling")
def test_a_snapshot_that_is_larger_than_it_says_ends_before_the_disk_is_full(
    tmp_path: Path,
) -> None:
    made: Any = ResticCopies(Bomb(), Adopted("shop", "restic", ()))  # type: ignore[arg-type]
    now = datetime.now(UTC)
    copy = ForeignCopy("ab" * 32, "ab" * 32, now, now, 100)
    with pytest.raises(RepositoryError, match=_FULL):
        made.fetch(
            copy, Landing(paths=("/srv",)), tmp_path, deadline_s=9.0, on_progress=no_progress
        )


@pytest.mark.usefixtures("filling")
def test_a_backup_that_is_larger_than_it_says_ends_before_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into, bin_dir = tmp_path / "into", tmp_path / "bin"
    into.mkdir()
    bin_dir.mkdir()
    program = bin_dir / "pgbackrest"
    program.write_text(f"#!/bin/sh\necho x > {into}/x\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_dir), prepend=":")
    made = StanzaProgram("main", Stanza("main", 1), lambda _: "", tmp_path / "cache")
    monkeypatch.setattr(StanzaProgram, "_confined", lambda _, command, __: command)
    with pytest.raises(RepositoryError, match=f"pgBackRest restore {_FULL}"):
        made.run(["restore"], writes=(into,))


def test_of_many_messages_of_pgbackrest_the_last_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/pgbackrest"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\nhead -c 900000 /dev/zero | tr '\\0' x >&2\n"
        "echo 'ERROR: [056]: no such host' >&2\nexit 56\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    made = StanzaProgram("main", Stanza("main", 1), lambda _: "", tmp_path / "cache")
    code, _, said = made.run(["info"])
    assert code == 56
    assert len(said) <= 64 << 10
    assert said.endswith("ERROR: [056]: no such host")
    with pytest.raises(RepositoryError, match="no such host") as told:
        made.fail("info", said)
    assert len(str(told.value)) < 1000


def test_a_huge_configuration_in_a_backup_does_not_fill_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "postgresql.conf").open("wb") as file:
        file.write(b"shared_preload_libraries = 'auto_explain'\n")
        file.truncate(_HUGE)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))

    code = (
        "import sys; from pathlib import Path; from drd.kinds.postgres import restored_server;"
        "print(restored_server._preloaded(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        preexec_fn=limit,
        text=True,
        check=False,
    )
    assert done.stdout == "('auto_explain',)\n", done.stderr


_CHECKS = """
import sys
from pathlib import Path
from drd.errors import RepositoryDamaged
from drd.model.adopted import Stanza
from drd.repositories.adopted import landed
from drd.repositories.adopted.stanza_program import StanzaProgram
program = StanzaProgram("main", Stanza("main"), lambda _: "", Path(sys.argv[1]))
try:
    landed.require_inside(program, "main", "20261128-123052F")
    print("accepted")
except RepositoryDamaged as error:
    print("refused")
"""


@pytest.mark.parametrize(
    ("line", "size", "said"),
    [
        ('pg_data/{"x" * 900000}={{}}', 540_000_000, "accepted"),
        ('pg_data/{"x" * (1 << 21)}={{}}', 5_000_000, "refused"),
        ('pg_data/{"x" * 900000}/../x={{}}', 5_000_000, "refused"),
    ],
)
def test_a_huge_manifest_does_not_fill_the_memory(
    tmp_path: Path, line: str, size: int, said: str
) -> None:
    program = tmp_path / "bin/pgbackrest"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable} -IS\n"
        f"import sys\nline = f'{line}\\n'\n"
        "sys.stdout.write('[target:file]\\n')\n"
        f"for _ in range({size} // len(line)): sys.stdout.write(line)\n"
        f"open('{tmp_path}/whole', 'w').close()\n"
    )
    program.chmod(0o755)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))

    done = subprocess.run(
        [sys.executable, "-c", _CHECKS, str(tmp_path / "cache")],
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        preexec_fn=limit,
        text=True,
        check=False,
    )
    assert done.stdout == f"{said}\n", done.stderr[-2000:]
    assert (tmp_path / "whole").exists()


class _Pieces:
    """A repository in which each piece of a file has one byte."""

    def __init__(self) -> None:
        self.read = 0

    def capture_into(self, answer: Any, words: Any, *, most: int) -> None:
        self.read += 1
        answer.write(b"x")


def test_a_file_of_very_many_small_pieces_does_not_keep_the_listing() -> None:
    """restic makes no such file. Each piece takes a call of restic."""
    runner: Any = _Pieces()
    pieces = [f"{number:064x}" for number in range(65536)]
    file = StoredFile("/srv/shop.dump", 65536, "ab" * 32, pieces, runner)
    with pytest.raises(RepositoryError, match=r"could read only [\d,]+ of 65,536 bytes"):
        afar.looked(file)
    assert runner.read <= 100


def test_an_archive_whose_contents_have_no_end_does_not_keep_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of contents whose first entry depends on empty names, to the end of a file of
    zeros."""
    monkeypatch.setattr(pg_archive, "_MOST_TEXTS", 1000)
    zero, word = bytes(5), b"\0\4\0\0\0shop"
    header = b"PGDMP" + bytes([1, 14, 0, 4, 8, 1]) + zero * 8 + word * 3
    dump = tmp_path / "shop.dump"
    dump.write_bytes(header + b"\0\1\0\0\0" * 2)
    os.truncate(dump, _HUGE)
    with dump.open("rb") as file:
        assert pg_archive.judged(file) == ""
        assert file.tell() == _HUGE, "its last bytes decide"
        reader = pg_archive._Reader(file)
        with pytest.raises(pg_archive._TooLong):
            pg_archive._contents(reader)
        assert file.tell() < 1 << 16

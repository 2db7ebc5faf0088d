"""Commands that list and restore the copies of another tool: what they start, print and write ends
with them, and nobody else chooses what they are."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from drd import process
from drd.config.dump_places import DumpsDirectory
from drd.config.dumps_starter import FoundDumps, dumps_starter
from drd.errors import DeadlineExceeded, RepositoryError, RepositoryUnreachable
from drd.kit.adopted_by_hand import choosing
from drd.kit.document import Commands
from drd.model.adopted import Adopted, CommandTool
from drd.model.dump_names import series_of
from drd.ports import no_progress
from drd.ports.adopted import Landing
from drd.ports.dumps import FoundDump
from drd.process import Command, process_alive
from drd.process.programs import replaceable
from drd.repositories.adopted import command as adapter
from drd.repositories.adopted.command import CommandCopies
from drd.repositories.adopted.running import run_into
from tests.integration.files.support import component
from tests.integration.test_adopted_command import copy_of, fetch, listed, tool
from tests.user_support import as_root

REAL = "shop-2020-01-01.dump"
FORGED = (
    f'x","time":1,"bytes":1}}\n{{"name":"{REAL}","time":1767225600,"bytes":4}}\n{{"name":"y.dump'
)
"""The name of a file, which a careless list command makes two lines of."""

ONE = {"name": "a", "time": "2026-11-25T12:00:00Z", "bytes": 3}


def away(base: Path, keeps_output: bool) -> str:
    """A script of a shell whose child leaves its group, and says who it is in `pid`."""
    streams = "2>&1" if keeps_output else ">/dev/null 2>&1"
    return f"setsid sh -c 'echo $$ > {base}/pid; exec sleep 300' {streams} </dev/null & "


def is_gone(base: Path) -> bool:
    pid = int((base / "pid").read_text())
    limit = time.monotonic() + 30
    while process_alive(pid, None) and time.monotonic() < limit:
        time.sleep(0.02)
    return not process_alive(pid, None)


def wait_for_pid(base: Path) -> str:
    return f"until [ -s {base}/pid ]; do sleep 0.02; done; "


def test_a_listing_whose_command_leaves_a_child_with_its_output_is_none(tmp_path: Path) -> None:
    made = tool(away(tmp_path, keeps_output=True) + wait_for_pid(tmp_path) + listed(ONE))
    with pytest.raises(RepositoryError, match="left a process that still has its output open"):
        made.copies()
    assert is_gone(tmp_path)


def test_a_child_that_has_no_output_ends_with_its_command(tmp_path: Path) -> None:
    made = tool(away(tmp_path, keeps_output=False) + wait_for_pid(tmp_path) + listed(ONE))
    assert len(made.copies().copies) == 1
    assert is_gone(tmp_path)


def test_nothing_can_still_write_to_a_restored_file(tmp_path: Path) -> None:
    script = away(tmp_path, keeps_output=True) + wait_for_pid(tmp_path) + "printf abc"
    (tmp_path / "into").mkdir()
    with pytest.raises(RepositoryError, match="left a process that still has its output open"):
        fetch(tool(restores=script), copy_of(3), tmp_path / "into")
    assert is_gone(tmp_path)
    assert list((tmp_path / "into").iterdir()) == []


def test_no_byte_more_than_the_limit_is_stored_however_fast_it_comes(tmp_path: Path) -> None:
    with (tmp_path / "output").open("xb") as file:
        with pytest.raises(RepositoryError, match="printed more than"):
            run_into(Command(["cat", "/dev/zero"], leash="always"), file, 1000)
        assert os.fstat(file.fileno()).st_size == 1000


def test_a_file_system_that_takes_no_splice_gets_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "splice", refused)
    printed = "x" * 200_000
    script = f"head -c {len(printed)} /dev/zero | tr '\\0' x"
    assert fetch(tool(restores=script), copy_of(len(printed)), tmp_path) == printed.encode()


def test_a_process_that_left_the_group_of_a_command_ends_at_the_timeout_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "LIST_S", 1.0)
    with pytest.raises(RepositoryUnreachable, match="did not end within 1s"):
        tool(away(tmp_path, keeps_output=True) + "sleep 300").copies()
    assert is_gone(tmp_path)


def test_a_process_that_a_command_leaves_running_ends_only_if_drd_ended_the_command(
    tmp_path: Path,
) -> None:
    script = away(tmp_path, keeps_output=False)
    with pytest.raises(DeadlineExceeded):
        process.run(Command(["sh", "-c", script + "sleep 300"], leash="on-stop", deadline_s=1.0))
    assert is_gone(tmp_path)
    (tmp_path / "pid").unlink()
    script += wait_for_pid(tmp_path)
    assert process.run(Command(["sh", "-c", script], leash="on-stop")).exit_code == 0
    pid = int((tmp_path / "pid").read_text())
    assert process_alive(pid, None)
    process.end_process(pid)


def test_a_leash_tells_how_its_command_ended() -> None:
    ends = {"exit 7": 7, "kill -9 $$": -9, "kill -15 $$": -15}
    for script, code in ends.items():
        for leash in ("on-stop", "always"):
            command = Command(["sh", "-c", script], leash=leash, deadline_s=20)
            assert process.run(command).exit_code == code


def test_a_tree_that_fills_the_disk_ends_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([1000, 499])
    last = SimpleNamespace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free, last.free)))
    made = tool(restores=f'echo x > "$1/x"; {wait_for_pid(tmp_path)}')
    (tmp_path / "into").mkdir()
    with pytest.raises(RepositoryError, match="has written until only 499 B were free"):
        made.fetch(
            copy_of(1),
            Landing(paths=("/x",)),
            tmp_path / "into",
            deadline_s=5.0,
            on_progress=no_progress,
        )


@as_root
def test_a_program_that_others_can_replace_does_not_run(tmp_path: Path) -> None:
    program = tmp_path / "bin/list"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    os.chown(program.parent, 65534, 65534)
    safe = tool()
    told = CommandTool((str(program),), (str(program), "${copy}"), (str(program),))
    made = CommandCopies(safe._spec, told, lambda ref: str(ref.value))
    for work in (
        made.copies,
        lambda: made.check(None, None),
        lambda: fetch(made, copy_of(1), tmp_path),
    ):
        with pytest.raises(RepositoryError, match="other users could replace"):
            work()
    assert not (tmp_path / "ran").exists()
    assert [f.severity for f in made.doctor()] == ["error"] * 3
    assert safe.doctor() == []
    script = str(program)
    program.chmod(0o644)
    for words in (
        ["sh", script],
        ["/usr/bin/env", "A=b", "sh", "-u", script],
        ["timeout", "9", script],
    ):
        told = CommandTool(tuple(words), ("true",))
        with pytest.raises(RepositoryError, match=f"other users could replace {script}"):
            CommandCopies(safe._spec, told, lambda ref: str(ref.value)).copies()
    assert not (tmp_path / "ran").exists()
    for words in (["cat", script], ["sh", "-c", "true", script], ["timeout", "9", "cat", script]):
        assert replaceable(words) is None


def test_a_copy_that_is_listed_with_two_times_is_none_and_its_name_is_reported() -> None:
    found = tool(listed(ONE, {**ONE, "time": "2020-01-01T00:00:00Z"}, {**ONE, "name": "b"}, ONE))
    listing = found.copies()
    assert [c.name for c in listing.copies] == ["b"]
    assert listing.refused == {"copy a": "it is listed twice, with different times or sizes"}


def dumps(base: Path) -> Path:
    """A dump of 2020, and names that pretend it to be of 2026."""
    for place in (base, base / FORGED.replace(".dump", "")):
        place.mkdir(exist_ok=True)
        for name in (REAL, FORGED):
            (place / name).write_text("dump")
            os.utime(place / name, (1577836800, 1577836800))
    return base


def test_the_documented_list_commands_leave_out_names_that_could_add_a_line(tmp_path: Path) -> None:
    base = dumps(tmp_path / "dumps")
    plan = yaml.safe_load(Path("plans/adopted-dumps.yaml").read_text())
    documented = [
        word.replace("/mnt/nas/shop", str(base))
        for word in plan["repositories"]["dumps"]["command"]["list"]
    ]
    page = Path("docs/adopted.md").read_text().split("-printf,")[0].rpartition("list: ")[2]
    page = page.replace("/var/backups/shop", str(base))
    words = yaml.safe_load(page.rstrip(", \n") + ", -printf]")
    assert words[2:] == documented[2:-1]
    series = series_of(["shop-2020-01-01.dump"])["shop-2020-01-01.dump"]
    found = FoundDumps(
        DumpsDirectory(base, 10), series, [], FoundDump("shop", "", (("kind", "files"),), [])
    )
    written = yaml.safe_load(dumps_starter("shop", found).text)
    for lists in (documented, written["repositories"]["theirs"]["command"]["list"]):
        printed = subprocess.run(lists, check=True, capture_output=True).stdout
        rows = [json.loads(line) for line in printed.splitlines()]
        assert {(row["name"], int(row["time"])) for row in rows} == {(REAL, 1577836800)}


def test_the_page_by_hand_chooses_only_what_drd_takes_for_a_copy(tmp_path: Path) -> None:
    names = ["--option", "../../etc/shadow", "a/../../b", "/etc/shadow", "e\nx", "", "."]
    lines = [
        *({**ONE, "name": name} for name in names),
        {**ONE, "name": "future", "time": 4e9},
        {**ONE, "name": "empty", "bytes": 0},
        {**ONE, "name": "twice"},
        {**ONE, "name": "twice", "time": 1577836800},
        {**ONE, "name": "sub/good-1", "time": "2026-11-25T12:00:00+02:00"},
        {**ONE, "name": "older", "time": 1577836800.5},
        {**ONE, "name": "never", "time": "yesterday"},
        ["no object"],
    ]
    (tmp_path / "list").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "junk\n")
    told = CommandTool(("cat", "list"), ("printf", "restored %s", "${copy}"))
    adopted = Adopted("command", "shop", (component("/srv"),), command=told)
    (script,) = [b.text for b in choosing(adopted) if isinstance(b, Commands)]
    done = subprocess.run(
        ["bash", "-euc", f"{script}\nrestic dump x"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "restored sub/good-1"
    *shown, future = [line.split("\t") for line in done.stdout.splitlines()[:-1]]
    assert future[-2:] == ["future", "dated in the future: not chosen"]
    shown = [words[-1] for words in shown]
    assert shown == ["older", "sub/good-1"]
    accepted = tool(f"cat {tmp_path}/list").copies().copies
    assert [c.name for c in accepted if c.name != "future"] == shown


def test_a_changed_word_of_a_command_is_not_another_repository() -> None:
    assert tool(listed(ONE)).identity() == tool(listed(), "another").identity()

"""Copies that commands of the plan list and restore: what a hostile or broken command does."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from drd.cli.main import main as cli
from drd.daemon.probes import Probes
from drd.errors import (
    NotSupported,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    RepositoryUnreachable,
)
from drd.flows.drill.request import DrillRequest
from drd.flows.drill.run import drill
from drd.flows.upkeep.listing import listing
from drd.flows.upkeep.verification import verification
from drd.model.adopted import Adopted, CommandTool
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.run import RunKind
from drd.model.schedule import schedule_of
from drd.ports import no_progress
from drd.ports.adopted import CopyDamaged, ForeignCopy, Landing
from drd.repositories.adopted import command as adapter
from drd.repositories.adopted.command import CommandCopies
from drd.repositories.adopted.cut_off import SQLITE
from tests.integration.test_adopted import Site

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def tool(
    lists: str = "true", restores: str = "true", verifies: str = "", **env: str
) -> CommandCopies:
    """Commands for a shell; `$0` of `restores` is the name of the copy, `$1` the directory."""
    told = CommandTool(
        ("sh", "-c", lists),
        ("sh", "-c", restores, "${copy}", "${into}"),
        ("sh", "-c", verifies) if verifies else (),
        tuple((name, SecretRef("text", value)) for name, value in env.items()),
        5.0,
    )
    spec = RepositorySpec(
        "theirs", "command:theirs", SecretRef("text", ""), adopted=Adopted("command", "shop")
    )
    return CommandCopies(spec, told, lambda ref: str(ref.value))


def listed(*lines: object) -> str:
    words = " ".join(f"'{line if isinstance(line, str) else json.dumps(line)}'" for line in lines)
    return f"printf '%s\\n' {words}"


def copy_of(size: int, name: str = "a") -> ForeignCopy:
    return ForeignCopy("0" * 64, name, NOON, NOON, size)


def fetch(made: CommandCopies, copy: ForeignCopy, into: Path) -> bytes:
    what = Landing(file="/", called="x", bytes=copy.bytes)
    made.fetch(copy, what, into, deadline_s=5.0, on_progress=no_progress)
    return (into / "x").read_bytes()


def test_a_listing_gives_the_copies_in_order_and_refuses_each_line_that_is_none_alone() -> None:
    one = {"name": "b.dump", "time": "2026-11-25T12:00:00Z", "bytes": 3}
    older = {"name": "sub/a.dump", "time": NOON.timestamp() - 60, "bytes": 2}
    found = tool(
        listed(
            one,
            older,
            "no json",
            {**one, "name": "--option"},
            {**one, "name": "../../etc/passwd"},
            {**one, "name": "a b"},
            {**one, "bytes": -1},
            {**one, "bytes": 0},
            {**one, "time": "yesterday"},
            {**one, "time": 1e300},
            {"name": "c"},
        )
    ).copies()
    assert [c.name for c in found.copies] == ["sub/a.dump", "b.dump"]
    assert found.copies[1].ended_at == NOON
    assert len(found.refused) == 9


@pytest.mark.parametrize(
    ("lists", "error", "said"),
    [
        ("cat /dev/zero", RepositoryError, "printed more than 4.0 MiB"),
        ("sleep 60", RepositoryUnreachable, "did not end within"),
        ("echo cannot reach it >&2; exit 3", RepositoryUnreachable, "cannot reach it"),
    ],
)
def test_a_list_command_that_prints_without_end_hangs_or_fails_ends_the_listing(
    monkeypatch: pytest.MonkeyPatch, lists: str, error: type[Exception], said: str
) -> None:
    monkeypatch.setattr(adapter, "LIST_S", 2.0)
    with pytest.raises(error, match=said):
        tool(lists).copies()


def test_a_file_that_is_far_smaller_than_those_before_is_not_a_copy_until_three_are() -> None:
    def sizes(*small: int) -> list[int]:
        every = [200_000, 170_000, 180_000, *small]
        lines = "".join(
            f'{{"name": "{n}", "time": {1700000000 + n}, "bytes": {size}}}\\n'
            for n, size in enumerate(every)
        )
        whole = tool(f"printf '{lines}'")
        assert len(whole.copies().copies) == len(every), "a tree has no usual size"
        told = replace(whole._tool, restore=("cat", "${copy}"))
        found = CommandCopies(whole._spec, told, whole._resolve).copies()
        assert len(found.copies) + len(found.refused) == len(every)
        assert all("may be cut off" in why for why in found.refused.values())
        return [copy.bytes for copy in found.copies[3:]]

    assert sizes(3000) == []
    assert sizes(20_000) == [20_000]
    assert sizes(3000, 190_000) == [190_000]
    assert sizes(3000, 3001, 3002) == [3002]


def test_only_the_newest_of_very_many_copies_count() -> None:
    line = '{"name": "%d", "time": %d, "bytes": 1}'
    many = f"for i in $(seq 1 1200); do printf '{line}\\n' $i $((1700000000 + i)); done"
    copies = tool(many).copies()
    assert (len(copies.copies), copies.left_out, copies.copies[-1].name) == (1000, 200, "1200")
    # Those that are dated in the future take no place of another.
    ahead = f"; for i in $(seq 3000 4100); do printf '{line}\\n' $i $((6000000000 + i)); done"
    copies = tool(many + ahead).copies()
    names = [copy.name for copy in copies.copies]
    assert names[:1000] == [str(n) for n in range(201, 1201)]
    assert (len(names), copies.left_out) == (1010, 200)


def test_of_very_many_lines_that_are_not_copies_the_first_are_reported_and_the_others_counted() -> (
    None
):
    one = '{"name": "b", "time": 1700000000, "bytes": 3}'
    found = tool(f"echo '{one}'; yes '{{' | head -n 100005").copies()
    assert [c.name for c in found.copies] == ["b"]
    first, second, *_ = found.refused.items()
    assert first[0] == "lines 100,001 to 100,006 of the list"
    assert second[0] == "line 2 of the list"
    assert (len(found.refused), found.untold) == (10, 99_990)
    long = '{"name": "b", "time": ' + "1" * 5000 + ', "bytes": 3}'
    (why,) = tool(listed(long)).copies().refused.values()
    assert why == "line 1 has a number with too many digits"


def test_a_restored_file_has_exactly_the_size_of_the_list_or_nothing_is_left(
    tmp_path: Path,
) -> None:
    assert fetch(tool(restores='printf "%s" "$0"'), copy_of(4, "name"), tmp_path) == b"name"
    (tmp_path / "x").unlink()
    with pytest.raises(RepositoryDamaged, match="printed 3 bytes, but the list says 4"):
        fetch(tool(restores="printf abc"), copy_of(4), tmp_path)
    with pytest.raises(CopyDamaged, match="printed more than"):
        fetch(tool(restores="cat /dev/zero"), copy_of(4), tmp_path)
    with pytest.raises(PointGone, match="gone by now"):
        fetch(tool(restores="echo gone by now >&2; exit 1"), copy_of(4), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_changes_while_it_is_restored_is_not_a_copy(tmp_path: Path) -> None:
    place, into = tmp_path / "place", tmp_path / "into"
    place.mkdir()
    into.mkdir()
    dump = place / "a"
    dump.write_bytes(b"half")
    lists = f'find {place} -type f -printf \'{{"name": "%f", "time": %T@, "bytes": %s}}\\n\''
    grows = f'cat "{place}/$0"; printf more >> "{place}/$0"'
    (copy,) = tool(lists).copies().copies
    with pytest.raises(RepositoryDamaged, match="changed while it was restored: 4 bytes") as found:
        fetch(tool(lists, grows), copy, into)
    assert "let `list` leave out copies that are not finished" in found.value.hint
    with pytest.raises(RepositoryError, match="printed more than 4 B") as found_early:
        fetch(tool(lists, f'cat "{place}/$0"'), copy, into)
    assert found_early.value.hint == found.value.hint
    tree = Landing(paths=("/srv",))
    (copy,) = tool(lists).copies().copies
    unpack = f'cp "{place}/$0" "$1/x"; printf more >> "{place}/$0"'
    with pytest.raises(RepositoryDamaged, match="changed while it was restored: 8 bytes"):
        tool(lists, unpack).fetch(copy, tree, into, deadline_s=5.0, on_progress=no_progress)
    (into / "x").unlink()
    (copy,) = tool(lists).copies().copies
    gone = f'cat "{place}/$0"; rm "{place}/$0"'
    assert fetch(tool(lists, gone), copy, into) == b"halfmoremore"


def test_a_secret_reaches_the_commands_by_their_environment_alone(tmp_path: Path) -> None:
    made = tool(
        restores='printf "%s" "$TOKEN"; tr "\\0" " " < /proc/$$/cmdline >&2', TOKEN="s3cret"
    )
    assert fetch(made, copy_of(6), tmp_path) == b"s3cret"


def test_a_verify_command_that_fails_is_damage() -> None:
    tool(verifies="true").check(None, None)
    with pytest.raises(RepositoryDamaged, match="3 of 4 are broken"):
        tool(verifies="echo 3 of 4 are broken >&2; exit 1").check(None, None)


def _plan_text(base: Path, restores: str) -> str:
    return (
        "plan: dumps\nobjectives: {rpo: 1d, rto: 1h}\ncomponents:\n"
        f"  orders: {{kind: sqlite, path: {base}/live.db}}\nrepositories:\n  theirs:\n"
        "    made_by: command\n    url: command:dumps\n    command:\n"
        f"      list: [/usr/bin/find, {base}/dumps, -name, '*.db', -printf, "
        '\'{"name": "%f", "time": %T@, "bytes": %s}\\n\']\n'
        f"      restore: {restores}\n"
        "checks:\n  - {name: orders, kind: sql, component: orders, "
        'query: select count(*) from orders, expect: "> 2"}\n'
    )


def test_dumps_in_a_directory_are_listed_drilled_and_expire(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        file = tmp_path / "plans/dumps.yaml"
        file.write_text(_plan_text(tmp_path, f'[/bin/cat, "{tmp_path}/dumps/${{copy}}"]'))
        plan = site.app.plans.load("dumps")
        services = site.app.services(plan)
        passed = drill(services, plan, DrillRequest()).evidence
        assert passed.result == "passed"
        assert passed.point.startswith("command-")
        probes = Probes(site.app, lambda _: schedule_of(plan), lambda: None)
        probes.turn(0.0)
        assert probes._places == {}
        broken = tmp_path / "dumps/broken.db"
        whole = (tmp_path / "dumps/orders.db").read_bytes()
        broken.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
        failed = drill(services, plan, DrillRequest()).evidence
        assert failed.result == "failed"
        broken.unlink()
        assert len(listing(services, plan).missing) == 1
        assert RunKind.VERIFICATION not in {job.kind for job in schedule_of(plan).jobs}
        with pytest.raises(NotSupported, match="the plan does not name a command for that"):
            verification(services, plan)
        # One that gets another name is not lost.
        (tmp_path / "dumps/orders.db").rename(tmp_path / "dumps/orders.db.1")
        file.write_text(file.read_text().replace("'*.db'", "'*.db*'"))
        plan = site.app.plans.load("dumps")
        renamed = listing(site.services(plan), plan)
        assert (renamed.expired, len(renamed.added)) == ((passed.point,), 1)
        assert any("orders.db is now orders.db.1" in warned for warned in site.warnings)
        # A dump that grows after it was listed was never finished: nothing is lost with it.
        growing = tmp_path / "dumps/late.db"
        growing.write_bytes(SQLITE.ljust(100, b"x"))
        (first,) = listing(services, plan).added
        growing.write_bytes(SQLITE.ljust(300, b"x"))
        grown = listing(services, plan)
        assert (grown.expired, len(grown.missing), len(grown.added)) == ((first,), 1, 1)
        before = growing.stat().st_mtime
        growing.write_bytes(SQLITE.ljust(200, b"x"))
        os.utime(growing, (before - 1, before - 1))
        listing(site.services(plan), plan)
        [warned] = [w for w in site.warnings if "was changed" in w]
        assert f"{grown.added[0]} (copy late.db) is no longer in any repository" in warned
        assert "its copy is still there, but was changed (300 B before, 200 B now)" in warned
        assert warned.endswith(f"drd points forget {grown.added[0]} --reason TEXT")
    finally:
        site.close()


def test_words_about_the_copies_say_who_verified_them_and_what_drd_cannot_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)
    (tmp_path / "check").write_text("exit 0\n")
    text = _plan_text(tmp_path, f'[/bin/cat, "{tmp_path}/dumps/${{copy}}"]').replace(
        "      restore:", f"      verify: [/bin/sh, {tmp_path}/check]\n      restore:"
    )
    (tmp_path / "plans/dumps.yaml").write_text(text)
    main = partial(run_main, ["--config", str(tmp_path / "drd.yaml")])
    try:
        assert main("verify", "dumps") == 0
        said = (
            "dumps: repository theirs: the plan's command `verify` found no damage. drd itself did "
        )
        assert capsys.readouterr().out == f"{said}not read the copies\n"
        (tmp_path / "check").write_text("echo 3 of 4 are broken >&2; exit 1\n")
        assert main("verify", "dumps") != 0
        said = capsys.readouterr().err
        assert f"run this command by hand: /bin/sh {tmp_path}/check" in said
        assert "restic" not in said
        assert "drd backup" not in said
        for words in (("copy",), ("ls",), ("diff", "--component", "orders", "--point", "command-")):
            verb, *more = words
            assert main(verb, "dumps", *more) != 0
            said = capsys.readouterr().err
            assert "another tool made" in said or "another tool makes the copies" in said
    finally:
        site.close()


def run_main(before: list[str], *words: str) -> int:
    return cli([*before, *words])

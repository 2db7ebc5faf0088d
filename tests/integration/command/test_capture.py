"""A dump is whole or it is a failure, whatever its command does."""

from __future__ import annotations

import os
import shlex
import stat
import time
from pathlib import Path

import pytest

from drd.errors import DeadlineExceeded, DrdError, DumpFailed, ImplausibleDump, SourceError
from drd.kinds.command.kind import CommandKind
from drd.kinds.command.ownership import as_before
from drd.kinds.command.settings import CommandSettings, CommandTarget
from drd.log import masked
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Workplace
from drd.process import run
from drd.process.command import Command
from drd.testing.kinds import back_up, restore_components
from tests.restic_support import Restic, place
from tests.user_support import NOBODY, as_root


@pytest.fixture(scope="module")
def restic(tmp_path_factory: pytest.TempPathFactory) -> Restic:
    return Restic(tmp_path_factory.mktemp("restic"))


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


class Rig:
    """A component with this dump command in a shell."""

    kind = CommandKind()

    def __init__(self, script: str, **more: object) -> None:
        keys = {"kind": "command", "dump": ["sh", "-c", script], "restore": ["tee", "data"], **more}
        self.component = Component("thing", "command", CommandSettings.model_validate(keys))


def dumped(restic: Restic, work: Workplace, script: str, **more: object) -> ComponentSnapshot:
    return back_up(Rig(script, **more), restic, work)  # type: ignore[arg-type]


def text_of(restic: Restic, snapshot: ComponentSnapshot, into: Path) -> str:
    into.mkdir()
    restic.restore(str(snapshot.snapshot), into)
    return (into / "thing.dump").read_text()


def mentioning(word: str) -> list[str]:
    """The command lines of processes with this word."""
    found = run(Command(["pgrep", "-a", "-f", "--", word])).stdout.splitlines()
    return [line for line in found if "pgrep" not in line]


@pytest.mark.parametrize(
    ("script", "more", "expected"),
    [
        ("printf half; exit 3", {}, (DumpFailed, "exited with 3")),
        ("printf half; kill -9 $$", {}, (DumpFailed, "was killed by SIGKILL")),
        ("true", {}, (ImplausibleDump, "printed nothing")),
        ("printf half", {"ends_with": "# end"}, (ImplausibleDump, "does not end with '# end'")),
        ("printf '# end'; exit 4", {"ends_with": "# end"}, (DumpFailed, "exited with 4")),
        ("read x </dev/tty && echo $x", {}, (DumpFailed, "exited with")),
        ("printf half; setsid sleep 5 & exit 0", {}, (DumpFailed, "still has the output open")),
        ("printf half; sleep 600", {"timeout": "1s"}, (DeadlineExceeded, "within 1s")),
    ],
)
def test_a_dump_that_is_not_complete_is_a_failure(
    script: str,
    more: dict[str, object],
    expected: tuple[type[DrdError], str],
    restic: Restic,
    work: Workplace,
) -> None:
    error, words = expected
    with pytest.raises(error, match=words) as caught:
        dumped(restic, work, script, **more)
    assert caught.value.hint
    assert list(work.directory.iterdir()) == []


def test_the_remedy_is_a_command_that_can_be_typed(restic: Restic, work: Workplace) -> None:
    script = "cat '${path}/data' | head -c 3; exit 3"
    with pytest.raises(DumpFailed) as caught:
        dumped(restic, work, script, path=str(work.directory))
    assert caught.value.hint is not None
    typed = caught.value.hint.removeprefix("run this command by hand to see what is wrong: ")
    assert shlex.split(typed) == ["sh", "-c", script.replace("${path}", str(work.directory))]


def test_a_command_that_ignores_the_signal_ends_with_all_that_it_started(
    restic: Restic, work: Workplace
) -> None:
    mark = f"drd-test-{os.getpid()}-{time.monotonic_ns()}"
    script = (
        f"trap '' TERM; sh -c 'trap \"\" TERM; sleep 600; : {mark}' & "
        f"setsid sh -c 'sleep 600; : {mark}' & sleep 600; : {mark}"
    )
    with pytest.raises(DeadlineExceeded):
        dumped(restic, work, script, timeout="1s")
    assert mentioning(mark) == []


def test_a_whole_dump_is_stored_as_it_was_printed(
    restic: Restic, work: Workplace, tmp_path: Path
) -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x; printf '\\n# end\\n\\n'"
    snapshot = dumped(restic, work, script, ends_with="# end")
    assert text_of(restic, snapshot, tmp_path / "back") == "x" * 300_000 + "\n# end\n\n"
    assert list(work.directory.iterdir()) == []


def test_secrets_reach_the_command_and_nobody_else(
    restic: Restic, work: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("s3cret-of-the-source")
    ref = {"file": str(tmp_path / "secret")}
    more = {"secrets": {"TOKEN": ref}, "secret_files": {"TOKEN_FILE": ref}}
    script = 'printf "%s %s\\n" "$TOKEN" "$(cat "$TOKEN_FILE")"; tr "\\0" " " </proc/$$/cmdline'
    snapshot = dumped(restic, work, script, **more)
    printed = text_of(restic, snapshot, tmp_path / "back")
    values, command_line = printed.split("\n", 1)
    assert values == "s3cret-of-the-source s3cret-of-the-source"
    assert "s3cret" not in command_line
    assert "s3cret" not in str(snapshot.to_json())
    with pytest.raises(DumpFailed) as caught:
        dumped(restic, work, 'echo "refused: $TOKEN" >&2; exit 1', **more)
    assert "s3cret" not in str(caught.value)
    assert masked("s3cret-of-the-source") in str(caught.value)


def test_the_environment_is_small(
    restic: Restic, work: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "of drd alone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of drd alone")
    snapshot = dumped(restic, work, "env", env={"LDAPCONF": "/etc/ldap.conf"})
    printed = text_of(restic, snapshot, tmp_path / "back")
    assert "of drd alone" not in printed
    assert "LDAPCONF=/etc/ldap.conf" in printed
    assert "DRD_COMPONENT=thing" in printed


@as_root
def test_a_program_that_others_could_replace_is_not_run(
    work: Workplace, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = short_tmp / "bin"
    theirs.mkdir()
    program = theirs / "dump-it"
    program.write_text("#!/bin/sh\necho dump\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{theirs}:{os.environ['PATH']}")
    keys = {"kind": "command", "dump": ["dump-it"], "restore": ["tee", "data"]}
    component = Component("thing", "command", CommandSettings.model_validate(keys))
    source = CommandKind().source(component, work)
    source.probe()
    for place_of_others in (theirs, program):
        os.chown(place_of_others, NOBODY, NOBODY)
        with pytest.raises(SourceError, match="could replace"), source.open():
            pass
        (finding,) = source.doctor()
        assert finding.failed
        os.chown(place_of_others, 0, 0)
    source.probe()


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("", "printed nothing"),
        ("people\\tmany", "does not end with a number"),
        ("people\\t1\\npeople\\t2", "printed people twice"),
        ("\\t5", "a name that drd does not accept"),
        ("a\\t-3", "does not end with a number"),
    ],
)
def test_counts_that_are_none_are_refused(
    printed: str, words: str, restic: Restic, work: Workplace
) -> None:
    with pytest.raises(SourceError, match=words):
        dumped(restic, work, "echo x", count=["printf", printed])


@as_root
def test_root_restores_where_others_can_write(
    restic: Restic, work: Workplace, short_tmp: Path
) -> None:
    """The directory is another user's, who could exchange names in it while root works there."""
    theirs = short_tmp / "theirs"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    rig = Rig("printf whole", restore=["cp", "${dump}", "${path}/data"])
    snapshot = back_up(rig, restic, work)  # type: ignore[arg-type]
    at = CommandTarget(path=str(theirs / "new"))
    restore_components(rig.kind.target(rig.component, at, work), snapshot, restic)
    assert (theirs / "new/data").read_text() == "whole"
    assert [p.name for p in theirs.iterdir()] == ["new"]


@as_root
def test_root_restores_by_no_program_that_others_could_replace(
    work: Workplace, short_tmp: Path
) -> None:
    program = short_tmp / "restore-it"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    rig = Rig("printf whole", restore=[str(program)])
    target = rig.kind.target(rig.component, CommandTarget(path=str(short_tmp / "new")), work)
    snapshot = ComponentSnapshot("thing", "command", "captured", bytes=5)
    findings = target.preflight(snapshot, overwrite=False)
    assert [f.code for f in findings if f.failed] == ["program"]


@as_root
def test_a_directory_that_is_replaced_keeps_its_owner_and_its_mode(
    restic: Restic, work: Workplace, short_tmp: Path
) -> None:
    target = short_tmp / "data"
    target.mkdir()
    target.chmod(0o750)
    os.chown(target, NOBODY, NOBODY)
    rig = Rig("printf whole", restore=["cp", "${dump}", "${path}/data"])
    snapshot = back_up(rig, restic, work)  # type: ignore[arg-type]
    at = CommandTarget(path=str(target))
    restore_components(rig.kind.target(rig.component, at, work), snapshot, restic)
    assert [(p.stat().st_uid, p.stat().st_gid) for p in (target, target / "data")] == [
        (NOBODY, NOBODY),
        (NOBODY, NOBODY),
    ]
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    fresh = short_tmp / "fresh"
    fresh.mkdir()
    (note,) = as_before(fresh, short_tmp / "nothing")
    assert note.endswith(f"chown -R USER: {short_tmp}/nothing")
    (fresh / "known").hardlink_to(target / "data")
    os.chown(target / "data", 0, 0)
    (note,) = as_before(fresh, target)
    assert "belongs to root" in note
    assert (target / "data").stat().st_uid == 0


def test_an_answer_with_a_secret_is_not_kept(work: Workplace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("S3cr3tValue99")
    settings = {
        "kind": "command",
        "dump": ["echo", "x"],
        "restore": ["tee", "data"],
        "secrets": {"TOKEN": {"file": str(tmp_path / "secret")}},
        "query": ["sh", "-c", 'read q; [ "$q" = name ] && echo shop || echo "answer-$TOKEN"'],
        "count": ["sh", "-c", 'printf "of $TOKEN\\t7\\n"'],
    }
    component = Component("thing", "command", CommandSettings.model_validate(settings))
    with CommandKind().source(component, work).open() as capture:
        assert capture.observe({"fine": "name", "told": "secret"}) == {"fine": "shop"}
        with pytest.raises(SourceError, match="printed a secret of the plan in a name") as error:
            capture.fingerprint()
    assert "S3cr3t" not in error.value.message

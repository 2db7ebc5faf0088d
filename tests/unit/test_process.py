"""The one door to subprocesses keeps what it promises."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import process
from drd.errors import Cancelled, DeadlineExceeded, ToolMissing
from drd.process import Command
from tests.user_support import NOBODY, as_root

OWN = f".{random.randrange(1 << 32)}"
"""Makes a nap of these tests another than anybody else's on this machine."""


def sh(script: str, **options: object) -> Command:
    return Command(("sh", "-c", script), **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_cancel_left() -> Iterator[None]:
    yield
    process.reset_cancel()


def test_exit_code_and_both_streams_are_kept_apart() -> None:
    done = process.run(sh("echo out; echo err >&2; exit 7"))
    assert (done.exit_code, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_child_sees_what_is_written_to_its_stdin() -> None:
    assert process.run(Command(("cat",)), stdin=b"hello").stdout == "hello"


def test_child_without_input_reads_nothing_and_does_not_hang() -> None:
    assert process.run(Command(("cat",), deadline_s=5)).stdout == ""


def test_output_is_bounded_and_keeps_its_end() -> None:
    done = process.run(sh("yes x | head -c 3000000; echo END"), limit=1000)
    assert len(done.stdout) == 1000
    assert done.stdout.endswith("END\n")


def test_lines_reach_the_callback_and_not_the_result() -> None:
    lines: list[str] = []
    done = process.run(sh("printf 'a\\nb\\nlast'"), on_line=lines.append)
    assert lines == ["a", "b", "last"]
    assert done.stdout == ""


def test_bytes_that_are_not_utf8_do_not_crash() -> None:
    assert process.run(sh(r"printf '\377'")).stdout == "\\xff"


def test_environment_is_chosen_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "leak")
    monkeypatch.setenv("NOTIFY_SOCKET", "leak")
    told = process.run(Command(("env",), env={"MINE": "yes"})).stdout
    assert "leak" not in told
    assert "MINE=yes" in told
    assert "PATH=" in told


@pytest.mark.parametrize("name", ["RCLONE_CONFIG_NAS_TYPE", "RCLONE_CONFIG_MY-BOX_TYPE"])
def test_a_child_with_files_gets_every_variable_and_the_paths_of_its_files(name: str) -> None:
    script = f'cat "$A" "$B"; tr "\\0" "\\n" </proc/$$/environ | grep "^{name}="; kill -PIPE $$'
    done = process.run(Command(sh(script).argv, env={name: "local"}, files={"A": b"a", "B": b"b"}))
    assert done.stdout == f"ab{name}=local\n"
    assert done.exit_code == -signal.SIGPIPE


def test_a_missing_program_with_files_is_named() -> None:
    given = Command(["/no/such"], env={"A-B": "c"}, files={"A": b"a"})
    assert "/no/such: No such file" in process.run(given).stderr


def test_output_is_raw_and_its_words_for_people_are_masked() -> None:
    from drd import log

    log.mask("hunter2hunter2")
    done = process.run(sh("echo hunter2hunter2; exit 3"))
    assert done.stdout == "hunter2hunter2\n"
    assert (done.complaint, done.failure) == ("***", "exited with 3: ***")


def test_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(ToolMissing) as caught:
        process.find_tool("no-such-program", package="some-package")
    assert caught.value.hint == "apt-get install some-package"


@pytest.mark.parametrize(
    ("script", "words", "killed"),
    [
        ("echo why >&2; exit 3", "exited with 3: why", False),
        ("exit 3", "exited with 3: no output", False),
        ("kill -TERM $$", "was killed by SIGTERM: no output", False),
        (
            "echo half >&2; kill -KILL $$",
            "was killed by SIGKILL, perhaps because memory ran out: half",
            True,
        ),
        (
            "sh -c 'kill -KILL $$'; exit $?",
            "exited with 137: SIGKILL ended its command, perhaps because memory ran out",
            True,
        ),
    ],
)
def test_end_of_a_child_is_reported_with_what_killed_it(
    script: str, words: str, killed: bool
) -> None:
    done = process.run(sh(script))
    assert done.failure.startswith(words)
    assert done.killed == killed
    assert done.exit_code >= 0 or done.complaint == f"it {words}"


def test_a_message_has_the_beginning_and_the_end_of_a_line_of_a_megabyte() -> None:
    script = "import sys; sys.stderr.write('begins' + 'x' * 1_000_000 + 'ends'); sys.exit(3)"
    done = process.run(Command([sys.executable, "-c", script]))
    assert len(done.stderr) == 1_000_010
    for text in (done.complaint, done.failure.removeprefix("exited with 3: ")):
        assert text.startswith("beginsx")
        assert text.endswith("xends")
        assert "x … 995,914 bytes left out … x" in text
        assert len(text) < process.SHOWN + 50


def test_deadline_ends_the_whole_group() -> None:
    before = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        process.run(sh(f"sleep 60{OWN} & sleep 60{OWN}", deadline_s=0.5))
    assert time.monotonic() - before < 60
    _until(lambda: not _running(f"sleep 60{OWN}"))


def test_cancel_ends_a_child_that_ignores_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drd.process.child.GRACE_S", 0.3)
    threading.Timer(0.2, process.cancel).start()
    command = sh(f"trap '' TERM INT; sleep 61{OWN}; sleep 61{OWN}")
    child = process.start(command)
    with pytest.raises(Cancelled):
        child.wait()
    assert child.exit_code is not None
    _until(lambda: not _running(f"sleep 61{OWN}"))


def test_a_part_of_the_work_can_be_cancelled_alone() -> None:
    off, ended = process.CallOff(), []

    def work() -> None:
        with off.interruptible(), pytest.raises(Cancelled):
            process.run(Command(("sleep", f"62{OWN}")))
        ended.append(process.run(Command(("true",))).exit_code)

    thread = threading.Thread(target=work)
    thread.start()
    _until(lambda: _running(f"sleep 62{OWN}"))
    off.call()
    thread.join(60)
    off.close()
    assert ended == [0], "and what comes after it is done"
    assert not process.cancelled()
    _until(lambda: not _running(f"sleep 62{OWN}"))


@pytest.mark.parametrize(
    ("script", "state", "asked"),
    [
        ("trap : TERM; while :; do sleep 0.05; done", "", True),
        ("trap : TERM; kill -STOP $$", "T", False),
    ],
    ids=["notices and goes on", "is stopped and notices nothing"],
)
def test_input_ends_when_a_child_has_noticed_that_it_should_stop(
    script: str, state: str, asked: bool
) -> None:
    ended: list[float] = []
    child = process.start(sh(script))
    child.end_input = lambda: ended.append(time.monotonic())
    _until(lambda: _catches(child.pid, signal.SIGTERM) and state in _state(child.pid))
    child.stop(grace_s=0.7)
    assert bool(ended) is asked


def test_a_child_that_stands_still_is_woken_and_clears_up() -> None:
    """As restic does, which else leaves its lock."""
    child = process.start(sh("trap 'exit 3' TERM; kill -STOP $$; while :; do sleep 0.05; done"))
    _until(lambda: _catches(child.pid, signal.SIGTERM) and "T" in _state(child.pid))
    assert child.stop() == 3


def test_nothing_starts_after_a_cancel_except_tear_down() -> None:
    process.cancel()
    with pytest.raises(Cancelled):
        process.run(Command(("true",)))
    with process.shielded():
        assert process.run(Command(("true",))).exit_code == 0


def test_tick_that_raises_ends_the_child() -> None:
    def tick() -> None:
        raise DeadlineExceeded("stalled")

    child = process.start(Command(("sleep", "60")))
    with pytest.raises(DeadlineExceeded):
        child.wait(on_tick=tick)
    assert child.exit_code is not None


def test_children_die_with_a_killed_drd(tmp_path: Path) -> None:
    script = (
        "from drd import process; from drd.process import Command\n"
        f"process.run(Command(('sleep', '62{OWN}')))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    _until(lambda: _running(f"sleep 62{OWN}"))
    parent.kill()
    parent.wait()
    _until(lambda: not _running(f"sleep 62{OWN}"))


def test_marked_processes_are_found_and_ended() -> None:
    run = f"feedbeef{OWN}"
    child = subprocess.Popen(["sleep", "63"], env={**os.environ, "DRD_RUN": run})
    stopped = subprocess.Popen(["sleep", "63"], env={**os.environ, "DRD_RUN": run})
    other = subprocess.Popen(["sleep", "63"], env={**os.environ, "DRD_RUN": run[:-1]})
    stopped.send_signal(signal.SIGSTOP)
    reaper = threading.Thread(target=lambda: (child.wait(), stopped.wait()), daemon=True)
    reaper.start()
    try:
        assert set(process.kill_marked(process.Mark(run, "1-2-3"))) == {child.pid, stopped.pid}
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def _as_service(script: str) -> str:
    """What a script prints that runs as a unit's user does: nobody, with one ambient right."""
    words = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--no-new-privs",
    ]
    words += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"]
    done = subprocess.run(
        [*words, sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


_SHOW = """
from drd.process import Command, run
for options in ({}, {"drop_capabilities": True}):
    child = run(Command(("sh", "-c", "grep CapEff /proc/self/status; cat %s"), **options))
    print(child.exit_code, child.stdout.split()[1:])
"""


@as_root
def test_rights_of_the_service_reach_its_tools_and_not_the_commands_of_a_plan(
    short_tmp: Path,
) -> None:
    secret = short_tmp / "only-root"
    secret.write_text("seen")
    secret.chmod(0o600)
    tools, hooks = _as_service(_SHOW % secret).splitlines()
    assert tools == "0 ['0000000000000004', 'seen']"
    assert hooks == "1 ['0000000000000000']"


@as_root
def test_command_without_rights_still_dies_with_a_killed_drd() -> None:
    script = (
        "import os, time; from drd.process import Command, start\n"
        f"child = start(Command(('sleep', '64{OWN}'), drop_capabilities=True))\n"
        "while not open(f'/proc/{child.pid}/cmdline').read().startswith('sleep'): "
        "time.sleep(0.01)\n"
        "os.kill(os.getpid(), 9)"
    )
    with pytest.raises(AssertionError):
        _as_service(script)
    _until(lambda: not _running(f"sleep 64{OWN}"))


def test_runs_are_killed_first_when_memory_runs_out() -> None:
    script = (
        "from drd import process; process.offer_to_oom_killer()\n"
        "print(process.run(process.Command(('cat', '/proc/self/oom_score_adj'))).stdout)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) >= 500


class TestGate:
    """A consumer never takes a producer that died for one that ended."""

    def consume(self, tmp_path: Path) -> Command:
        # Like restic: writes its "snapshot" only at end of file.
        out = tmp_path / "snapshot"
        return sh(f"cat > {out}.part && mv {out}.part {out}")

    def test_finished_producer_makes_a_snapshot(self, tmp_path: Path) -> None:
        result = process.gated_pipe(sh("echo data"), self.consume(tmp_path))
        assert result.consumer is not None
        assert result.consumer.exit_code == 0
        assert (tmp_path / "snapshot").read_text() == "data\n"

    @pytest.mark.parametrize("end", ["exit 1", "kill -9 $$", "kill -TERM $$"])
    def test_a_failed_producer_makes_no_snapshot(self, tmp_path: Path, end: str) -> None:
        result = process.gated_pipe(sh(f"echo half; {end}"), self.consume(tmp_path))
        assert result.producer.exit_code != 0
        assert result.consumer is None
        assert not (tmp_path / "snapshot").exists()

    def test_consumer_that_dies_ends_the_producer(self) -> None:
        result = process.gated_pipe(Command(("yes",)), sh("head -c 10 >/dev/null; exit 3"))
        assert result.consumer is not None
        assert result.consumer.exit_code == 3
        assert result.producer.exit_code != 0

    def test_consumer_that_cannot_start_leaves_no_producer(self) -> None:
        process.gated_pipe(Command(("echo", "x")), sh("cat >/dev/null"))
        before = len(list(Path("/proc/self/fd").iterdir()))
        done = process.gated_pipe(Command(("yes",)), Command(("/no/such/program",)))
        assert done.consumer is not None
        assert done.consumer.exit_code != 0
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_a_cancel_ends_producer_and_consumer(self, tmp_path: Path) -> None:
        threading.Timer(0.2, process.cancel).start()
        with pytest.raises(Cancelled):
            process.gated_pipe(Command(("yes", OWN)), self.consume(tmp_path))
        assert not (tmp_path / "snapshot").exists()
        _until(lambda: not _running(f"yes {OWN}"))

    def test_deadline_of_the_consumer_ends_both(self, tmp_path: Path) -> None:
        slow = Command(("sh", "-c", "cat >/dev/null; sleep 65"), deadline_s=0.5)
        with pytest.raises(DeadlineExceeded):
            process.gated_pipe(Command(("yes", OWN)), slow)
        _until(lambda: not _running(f"yes {OWN}"))

    @pytest.mark.parametrize("failed", [True, False], ids=["producer failed", "deadline"])
    def test_consumer_that_stays_in_a_read_knows_of_its_stop_when_it_ends(
        self, tmp_path: Path, failed: bool
    ) -> None:
        """As restic does: it goes on reading, and looks at what it was asked at end of file. One
        that was killed would tell nothing."""
        script = (
            "import pathlib, signal, sys; asked = []\n"
            "signal.signal(signal.SIGTERM, lambda *_: asked.append('asked'))\n"
            "pathlib.Path(sys.argv[1]).touch(); sys.stdin.buffer.read()\n"
            "pathlib.Path(sys.argv[2]).write_text(' '.join(asked)); sys.exit(1)"
        )
        listens, told = tmp_path / "listens", tmp_path / "told"
        consumer = Command((sys.executable, "-c", script, str(listens), str(told)))
        wait = f"until test -e {listens}; do sleep 0.05; done; echo half"

        def late() -> None:
            if listens.exists():
                raise DeadlineExceeded("stalled")

        if failed:
            producer = sh(f"{wait}; exit 1")
            assert process.gated_pipe(producer, consumer).consumer is None
        else:
            with pytest.raises(DeadlineExceeded):
                process.gated_pipe(sh(f"{wait}; sleep 66{OWN}"), consumer, on_tick=late)
        assert told.read_text() == "asked"
        _until(lambda: not _running(f"sleep 66{OWN}"))


def _running(words: str) -> bool:
    """Whether there is such a process; what is about to become one has other words."""
    wanted = words.replace(" ", "\0").encode() + b"\0"
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes() == wanted:
                return True
        except OSError:
            continue
    return False


def _catches(pid: int, number: signal.Signals) -> bool:
    caught = next(x for x in _status(pid) if x.startswith("SigCgt:")).split()[1]
    return bool(int(caught, 16) >> (number - 1) & 1)


def _state(pid: int) -> str:
    return next(x for x in _status(pid) if x.startswith("State:")).split()[1]


def _status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text().splitlines()


def _until(condition: object, seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def test_a_second_signal_while_the_first_one_is_handled_does_not_block() -> None:
    """A signal may come at each line that a cancel carries out: none may hold a lock there."""
    code = """
import sys
from drd import process
left = 0
def again(frame, event, _):
    global left
    left -= event == "line"
    if event == "line" and left == 0:
        process.cancel()
    return again
for left in range(1, 40):
    process.reset_cancel()
    sys.settrace(again)
    process.cancel()
    sys.settrace(None)
print(process.cancelled())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == "True\n", done.stderr

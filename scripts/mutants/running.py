"""Run tests in a copy of the work tree, and end all processes that they started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mutants import ROOT

TESTS = tuple(os.environ.get("MUTANTS_TESTS", "tests/unit tests/contracts").split())
ONE_TEST_S = 120  # for a test against a mutant; the slowest takes a tenth of that
CANNOT = 77
"""The exit code of a fork that could not replace the function by the mutant."""
BROKEN = 78
"""The exit code of a fork in which no test ran."""
READY = "ready\n"
ARGUMENTS = ("-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--timeout={ONE_TEST_S}")


@dataclass(frozen=True)
class Ran:
    code: int | None  # None: it was still running at its deadline
    output: str


def environment(tree: Path, mark: str) -> dict[str, str]:
    path = f"{tree}:{tree / 'scripts'}"
    return os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "0", mark: "1"}


def mark_of(tree: Path) -> str:
    """Return the mark in the environment of a tree's processes."""
    return f"MUTANTS_{os.getpid()}_{tree.name}"


def run_tests(tree: Path, arguments: list[str], seconds: float, **more: str) -> Ran:
    """Run the tests in a separate interpreter."""
    mark = mark_of(tree)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *ARGUMENTS, *arguments],
            cwd=tree,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment(tree, mark) | more,
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_marked(mark, process.pid if process.returncode is None else 0)
            process.wait()
        output.seek(0)
        return Ran(code, output.read())


def end_marked(mark: str, process: int = 0, *, but: int = 0) -> None:
    """End processes that the tests left running: servers have their own process groups."""
    for directory in Path("/proc").glob("[0-9]*"):
        pid = int(directory.name)
        try:
            marked = f"{mark}=1".encode() in (directory / "environ").read_bytes()
            if pid != but and (marked or pid == process):
                os.kill(pid, signal.SIGKILL)
        except OSError:  # ended meanwhile, or another user's
            continue


class Warm:
    """An interpreter that has imported drd, and runs tests in its forks (see `mutants.warm`)."""

    def __init__(self, tree: Path) -> None:
        self.tree, self.mark = tree, mark_of(tree) + "_WARM"
        self.output = tree / ".output"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mutants.warm"],
            cwd=tree,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment(tree, self.mark),
        )

    def wait(self) -> None:
        """Wait until it has imported everything: it must import no mutant."""
        assert self.process.stdout is not None
        if self.process.stdout.readline() != READY:
            raise RuntimeError("the interpreter for the tests could not import them")

    def run(
        self, arguments: list[str], seconds: float, change: tuple[str, bytes, bytes] | None = None
    ) -> Ran:
        """Run tests with another text of a module."""
        order = {"arguments": [*ARGUMENTS, *arguments], "output": str(self.output)}
        if change is not None:
            order |= {"path": change[0], "before": change[1].decode(), "after": change[2].decode()}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        late = threading.Event()

        def end() -> None:
            late.set()
            os.kill(child, signal.SIGKILL)

        timer = threading.Timer(seconds, end)
        timer.start()
        code = int(self.process.stdout.readline())
        timer.cancel()
        end_marked(self.mark, but=self.process.pid)
        return Ran(None if late.is_set() else code, self.output.read_text(errors="replace"))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def copies(count: int) -> Iterator[list[Path]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    files = [f for f in listed.stdout.decode().split("\0") if f and (ROOT / f).is_file()]
    with tempfile.TemporaryDirectory(prefix="drd-mutants-") as below:
        trees = [Path(below) / str(n) for n in range(count)]
        for tree in trees:
            for file in files:
                (tree / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, tree / file)
        yield trees

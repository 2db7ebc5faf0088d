"""Record which test reaches which function. This module is a pytest plugin as well."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mutants import ROOT
from mutants.changes import functions
from mutants.running import TESTS, run_tests

# These read the source, and reach nothing by running it.
NO_TESTS = ("tests/unit/test_layers.py", "tests/unit/test_kind_names.py")
# The same tests on SQLite reach the same decisions.
WITHOUT = ("-k", "not postgresql")
CACHE = ROOT / ".mutants_cache" / "noted.json"
LONGEST_S = 3600
# By test: its seconds, and by file the functions that it ran, as the bits of an integer.
Noted = dict[str, tuple[float, dict[str, int]]]


class Recorder:
    """Records for each test its duration and the functions of drd that it ran."""

    def __init__(self, into: Path) -> None:
        from coverage import Coverage

        self.into = into
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self.coverage = Coverage(data_file=None, config_file=False, source=["drd"])
        self.coverage.start()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        began = time.monotonic()
        yield
        self.seconds[item.nodeid] = round(time.monotonic() - began, 3)
        self.coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        noted: Noted = {t: (s, {}) for t, s in self.seconds.items() if t not in self.failed}
        data = self.coverage.get_data()
        for path in data.measured_files():
            file = str(Path(path).relative_to(Path.cwd()))
            tests_of = data.contexts_by_lineno(path)
            for number, parts in enumerate(functions(Path(file).read_bytes()).values()):
                lines = {line for part in parts for line in part} & tests_of.keys()
                for test in {test for line in lines for test in tests_of[line]} & noted.keys():
                    reached = noted[test][1]
                    reached[file] = reached.get(file, 0) | 1 << number
        (self.into / f"{os.getpid()}.json").write_text(json.dumps(noted))


def pytest_configure(config: pytest.Config) -> None:
    into = os.environ.get("MUTANTS_NOTE")
    if into and (hasattr(config, "workerinput") or not config.getoption("numprocesses", None)):
        config.pluginmanager.register(Recorder(Path(into)))


@cache
def digest(tree: Path, file: str) -> str:
    """Return the digest of a test's text, or of the names of a module's functions, in the copy in
    which the tests run: the work tree may change meanwhile.
    """
    path = tree / file
    if file.startswith("drd/"):
        text = "\n".join(functions(path.read_bytes())).encode() if path.exists() else b""
    else:
        text = path.read_bytes() if path.exists() else b""
    return hashlib.sha256(text).hexdigest()


def recorded(tree: Path, jobs: int) -> Noted:
    """Return what was recorded before. Only test files run again that changed, or that reached a
    module with added or removed functions.
    """
    found = (str(p.relative_to(tree)) for t in TESTS for p in sorted((tree / t).rglob("test_*.py")))
    files = [file for file in found if file not in NO_TESTS]
    known = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    noted_files = {file for entry in known.values() for file in entry["of"]}
    now = {file: digest(tree, file) for file in {*files, *noted_files}}
    kept = {
        f: entry
        for f, entry in known.items()
        if f in files and all(now[n] == d for n, d in entry["of"].items())
    }
    if missing := [f for f in files if f not in kept]:
        print(f"noting what the tests of {len(missing)} files reach", flush=True)
        kept |= {f: {"of": {f: now[f]}, "tests": {}} for f in missing}
        for test, entry in noted_now(tree, missing, jobs):
            of = kept[test.partition("::")[0]]
            of["tests"][test] = entry
            of["of"] |= {f: digest(tree, f) for f in entry[1] if f not in of["of"]}
        CACHE.parent.mkdir(exist_ok=True)
        CACHE.write_text(json.dumps(kept))
    return {test: tuple(e) for entry in kept.values() for test, e in entry["tests"].items()}


def noted_now(tree: Path, files: list[str], jobs: int) -> Iterator[tuple[str, Any]]:
    with tempfile.TemporaryDirectory() as into:
        # By groups, pytest-xdist adds the group to the name of a test.
        arguments = ["-p", "mutants.reach", "-n", str(jobs), "--dist=load", *WITHOUT, *files]
        ran = run_tests(tree, arguments, LONGEST_S, MUTANTS_NOTE=into)
        parts = [json.loads(p.read_text()) for p in Path(into).glob("*.json")]
    if not parts:
        sys.exit(f"the tests did not run:\n{ran.output[-3000:]}")
    for line in re.findall(r"^(?:FAILED|ERROR) .*", ran.output, re.MULTILINE):
        print(f"left out: {line}", flush=True)
    for part in parts:
        yield from part.items()

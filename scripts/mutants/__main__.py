"""Change a decision of drd, and see whether the unit and contract tests notice: a hundred times.

    make mutants                        a fresh sample; its seed is printed
    make mutants ARGS="--seed 7"        the same sample again
    make mutants ARGS="--only retention --sample 20"
    MUTANTS_TESTS=tests/unit make mutants      without the contract tests: quicker, kills fewer

Each mutant is one small change in a module that decides. The tests that ran the changed function
run against it in a copy of the work tree below the temporary directory. It is killed if the same
test fails twice with it and passes without it. Known equivalents, with the reason for each, stand
in mutants.equivalent. Exit 1 when less than 95 % of the rest are killed.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate, islice
from pathlib import Path

import pytest

from mutants import ROOT
from mutants.changes import Mutant, changes, functions, mutants_of
from mutants.reach import Noted, recorded
from mutants.running import BROKEN, CANNOT, TESTS, Ran, Warm, copies, run_tests

DECIDES = (
    "drd/model/**/*.py",
    "drd/checks/*.py",
    "drd/flows/restore/point_choice.py",
    "drd/flows/components/repository_choice.py",
    "drd/flows/restore/production_guard.py",
    "drd/flows/restore/blockers.py",
    "drd/flows/restore/preflight.py",
    "drd/flows/upkeep/retention.py",
    "drd/flows/upkeep/retention_plan.py",
    "drd/flows/upkeep/retention_share.py",
    "drd/flows/upkeep/forget_points.py",
)
EQUIVALENTS = Path(__file__).parent.with_suffix(".equivalent")
ENOUGH = 0.95
SPARE_S = 300  # for all tests of a mutant, beside ten times what they took without it
IMPORT_S = 180  # how long the tests take, without it, that run against what runs at an import
TIMED_OUT = re.compile(r"^E +Failed: Timeout", re.MULTILINE)
NOT_FOUND = re.compile(r"^ERROR: not found: .*?/(tests/[^\s\[]+)", re.MULTILINE)
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/\S+?\[.*?\]|tests/\S+)(?: - |$)", re.MULTILINE)


def equivalents(path: Path = EQUIVALENTS) -> dict[tuple[str, ...], str]:
    """The reason by the key of each mutant that changes nothing that anybody could notice."""
    known = {}
    for block in path.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if lines:
            key = [line if n == 0 else line[0] + line[1:].strip() for n, line in enumerate(lines)]
            reason = " ".join(line[1:] for line in key if line.startswith("="))
            known[tuple(line for line in key if not line.startswith("="))] = reason
    return known


class Judge:
    """Runs the tests against mutants, each in a tree that no other uses meanwhile."""

    def __init__(
        self, trees: Iterable[Path], tests: Noted, importers: Mapping[str, set[str]]
    ) -> None:
        self.tests, self.importers = tests, importers
        self.free: queue.Queue[Warm] = queue.Queue()
        warm = [Warm(tree) for tree in trees]
        for one in warm:
            one.wait()
            self.free.put(one)
        self.stamp = iter(range(1_000_000_000, 2_000_000_000))
        self.sound: set[tuple[tuple[str, ...], bool]] = set()  # and whether in a fresh interpreter
        self.unsound: set[str] = set()
        self.irreplaceable: set[Mutant] = set()

    def close(self) -> None:
        while not self.free.empty():
            self.free.get().close()

    def chosen(self, mutant: Mutant, tree: Path) -> list[str]:
        """The tests that ran the function, the quickest first. Of what runs at the import of a
        module, as many as take `IMPORT_S`: those in the file named after it, in files that import
        it, then those that ran any function of it, then those of a module that imports it. What
        everything imports would have all tests run."""
        if mutant.function:
            names = list(functions((tree / mutant.file).read_bytes()))
            bit = 1 << names.index(mutant.function)
            chosen = {t for t, (_, files) in self.tests.items() if files.get(mutant.file, 0) & bit}
            asking = set()
        else:
            near = {mutant.file, *self.importers.get(mutant.file, ())}
            asking = {t for t in self.tests if t.partition("::")[0] in near}
            chosen = {t for t, (_, files) in self.tests.items() if near & files.keys()} | asking

        named = f"/test_{Path(mutant.file).stem}.py::"

        def order(test: str) -> tuple[bool, bool, bool, float]:
            seconds, files = self.tests[test]
            return named not in test, test not in asking, mutant.file not in files, seconds

        tests = sorted(chosen - self.unsound, key=order)
        if mutant.function:
            return tests
        spent = accumulate(self.tests[test][0] for test in tests)
        return [test for test, seconds in zip(tests, spent, strict=True) if seconds <= IMPORT_S]

    def verdict(self, mutant: Mutant) -> tuple[str, list[str]]:
        """A test kills a mutant if it fails twice with it and passes without it: what a busy
        machine made fail once, and what always fails, kills nothing."""
        warm = self.free.get()
        try:
            tests = self.chosen(mutant, warm.tree)
            if not tests and mutant.function:  # perhaps it runs only when a module is imported
                mutant = replace(mutant, function="")
                tests = self.chosen(mutant, warm.tree)
            while tests:
                ran = self.against(mutant, warm, tests)
                if gone := set(NOT_FOUND.findall(ran.output)):  # the change is in their parameters
                    bases = {t: t.partition("[")[0] for t in tests}
                    tests = [*dict.fromkeys(b if b in gone else t for t, b in bases.items())]
                    ran = self.against(mutant, warm, tests)
                if ran.code == 0:
                    return "survived", tests
                if ran.code in (BROKEN, pytest.ExitCode.USAGE_ERROR):
                    raise RuntimeError(f"the tests of {mutant} did not run:\n{ran.output[-3000:]}")
                failed = FAILED.search(ran.output)
                alone = [self.known(failed[1])] if failed else tests
                again = self.against(mutant, warm, alone)
                if again.code != 0 and self.pass_without(mutant, warm, alone):
                    late = again.code is None or TIMED_OUT.search(again.output)
                    return "timeout" if late else "killed", tests
                if failed is None:
                    return "survived", tests
                others = [test for test in tests if not concerns(alone[0], test)]
                if others == tests:
                    raise RuntimeError(f"no such test was to run: {alone[0]}")
                tests = others
            return "survived", []
        finally:
            self.free.put(warm)

    def known(self, failed: str) -> str:
        """The test that failed, or all its parameters if the mutant changes these."""
        return failed if failed in self.tests else failed.partition("[")[0]

    def pass_without(self, mutant: Mutant, warm: Warm, tests: list[str]) -> bool:
        """Whether what failed passes without the mutant, run in the same way: a test, or all of
        them if the mutant ended the interpreter, or left a process behind."""
        way = tuple(tests), self.is_fresh(mutant)
        if way not in self.sound and any(
            self.against(mutant, warm, tests, apply=False).code == 0 for _ in range(2)
        ):
            self.sound.add(way)
        if way not in self.sound and len(tests) == 1:
            self.unsound.update(test for test in self.tests if concerns(tests[0], test))
            print(f"left out, since it fails without a mutant: {tests[0]}", flush=True)
        return way in self.sound

    def is_fresh(self, mutant: Mutant) -> bool:
        """Whether it takes an interpreter that has imported nothing of drd before."""
        return not mutant.function or mutant in self.irreplaceable

    def deadline_s(self, tests: list[str]) -> float:
        return SPARE_S + 10 * sum(self.tests[test][0] for test in tests if test in self.tests)

    def against(self, mutant: Mutant, warm: Warm, tests: list[str], *, apply: bool = True) -> Ran:
        """Run the tests with the mutant, or in the same way without it."""
        path = warm.tree / mutant.file
        source, before = path.read_bytes(), path.stat()
        listed = warm.tree / ".tests"
        listed.write_text("\n".join(tests))
        arguments, changed = ["-x", f"@{listed}"], mutant.applied(source)
        if not apply:
            changed = source
        seconds = self.deadline_s(tests)
        try:
            path.write_bytes(changed)
            stamp = next(self.stamp)  # or Python takes the bytecode of another mutant
            os.utime(path, (stamp, stamp))
            if not self.is_fresh(mutant):
                change = (str(path), source, changed) if apply else None
                ran = warm.run(arguments, seconds, change)
                if ran.code != CANNOT:
                    return ran
                self.irreplaceable.add(mutant)
            return run_tests(warm.tree, arguments, seconds)
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def concerns(failed: str, test: str) -> bool:
    """Whether what failed is this test, the one of which it is a parameter, one of its own, or the
    file that it is in."""
    return (
        failed == test
        or failed.startswith(f"{test}[")
        or test.startswith((f"{failed}[", f"{failed}::"))
    )


def importers() -> dict[str, set[str]]:
    """Which modules of drd and files of tests import each module, or the package that it is in."""
    by: dict[str, set[str]] = {}
    for path in (p for top in ("drd", *TESTS) for p in (ROOT / top).rglob("*.py")):
        importer = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("drd"):
                module = node.module or ""
                for name in (module, *(f"{module}.{a.name}" for a in node.names)):
                    place = ROOT / name.replace(".", "/")
                    whole = importer.startswith("tests/") and "." in name
                    inside = place.rglob("*.py") if whole else ()
                    for file in (place.with_suffix(".py"), *inside):
                        by.setdefault(str(file.relative_to(ROOT)), set()).add(importer)
    return by


def report(mutant: Mutant, tests: list[str]) -> None:
    print(f"SURVIVED {mutant.file}:{mutant.line} {mutant.scope}")
    print(*(f"  {line[0]} {line[1:].strip()}" for line in mutant.diff), sep="\n")
    print(f"  {len(tests)} tests ran it" if tests else "  no test runs it")
    print(*(f"    {test}" for test in tests[:8]), sep="\n", flush=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--sample", type=int, default=100, help="how many mutants (100)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument("--only", default="", help="files whose path contains this")
    return parser.parse_args()


def main() -> int:
    given = options()
    if gone := [d for d in DECIDES if not list(ROOT.glob(d))]:
        sys.exit(f"mutants: no such module: {', '.join(gone)}; correct DECIDES")
    files = [str(p.relative_to(ROOT)) for d in DECIDES for p in sorted(ROOT.glob(d))]
    every = [m for f in files for m in mutants_of(f)]
    known = equivalents()
    for stale in known.keys() - {m.key for m in every}:
        print("mutants.equivalent names what is no mutant any more:", *stale, sep="\n  ")
    every = [m for m in every if given.only in m.file]
    chance = random.Random(given.seed)  # noqa: S311
    chance.shuffle(every)
    sample = list(islice(filter(changes, every), given.sample))
    rest = [m for m in sample if m.key not in known]
    print(f"seed {given.seed}: {len(sample)} of {len(every)} mutants,", end=" ")
    print(f"{len(sample) - len(rest)} known to be equivalent", flush=True)
    ended: Counter[str] = Counter()
    with copies(given.jobs) as trees, ThreadPoolExecutor(given.jobs) as pool:
        judge = Judge(trees, recorded(trees[0], given.jobs), importers())
        for mutant, (verdict, tests) in zip(rest, pool.map(judge.verdict, rest), strict=True):
            ended[verdict] += 1
            print({"killed": ".", "timeout": "T"}.get(verdict, "\n"), end="", flush=True)
            if verdict == "survived":
                report(mutant, tests)
    killed = ended["killed"] + ended["timeout"]
    share = killed / len(rest) if rest else 1.0
    print(f"\nseed {given.seed}: {killed} of {len(rest)} killed ({share:.0%}),", end=" ")
    print(f"{ended['timeout']} of them at a deadline;", end=" ")
    print(f"{len(sample) - len(rest)} equivalents left out")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())

"""Change a decision of drd, and see whether the unit and contract tests notice: a hundred times.

    make mutants                        a fresh sample; its seed is printed
    make mutants ARGS="--seed 7"        the same sample again
    make mutants ARGS="--only retention --sample 20"

Each mutant is one small change in a module that decides. The tests that ran the changed statement
run against it in a copy of the work tree below the temporary directory. Known equivalents, with
the reason for each, stand in mutants.equivalent. Exit 1 when less than 95 % of the rest are killed.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DECIDES = (
    "drd/model/*.py",
    "drd/checks/*.py",
    "drd/flows/restore/point_choice.py",
    "drd/flows/restore/repository_choice.py",
    "drd/flows/restore/production_guard.py",
    "drd/flows/restore/blockers.py",
    "drd/flows/restore/preflight.py",
    "drd/flows/upkeep/retention.py",
    "drd/flows/upkeep/retention_plan.py",
    "drd/flows/upkeep/forget_points.py",
)
TESTS = ("tests/unit", "tests/contracts")
EQUIVALENTS = HERE / "mutants.equivalent"
CACHE = ROOT / ".mutants_cache" / "noted.json"
ENOUGH = 0.95
ONE_TEST = 120  # seconds for a test against a mutant; the slowest takes a tenth of that
ALL_TESTS = 1200  # seconds for all tests of a mutant
# These read the source, and reach nothing by running it.
NO_TESTS = ("tests/unit/test_layers.py", "tests/unit/test_kind_names.py")
# The same tests on SQLite reach the same decisions.
WITHOUT = ("-k", "not postgresql")
# By test: its seconds, and by file the functions that it ran, as the bits of an integer.
Noted = dict[str, tuple[float, dict[str, int]]]

# --- The changes ---

SWAPS: dict[type[ast.AST], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
    ast.And: ("and", ("or",)),
    ast.Or: ("or", ("and",)),
    ast.Add: ("+", ("-",)),
    ast.Sub: ("-", ("+",)),
    ast.Mult: ("*", ("/",)),
    ast.Div: ("/", ("*",)),
    ast.FloorDiv: ("//", ("*",)),
    ast.Mod: ("%", ("*",)),
    ast.BitAnd: ("&", ("|",)),
    ast.BitOr: ("|", ("&",)),
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
DROPPED = (ast.Raise, ast.Continue, ast.Break, ast.AugAssign, ast.Delete)
NO_DECISION = re.compile(r"(\w+\.)*_?log(ger)?\.")  # what is written to the log


@dataclass(frozen=True)
class Mutant:
    file: str
    scope: str  # the class and function around it
    line: int
    start: int  # the bytes that are replaced
    end: int
    text: str
    function: str  # empty where it runs at the import of the module
    diff: tuple[str, ...]

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    @property
    def key(self) -> tuple[str, ...]:
        """Names it by its content: the same after lines above it came or went."""
        return (f"{self.file} {self.scope}", *(line[0] + line[1:].strip() for line in self.diff))


class Mutants(ast.NodeVisitor):
    """All mutants of one file."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source = file, source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.scope: list[str] = []
        self.function = ""
        self.found: dict[tuple[int, int, str], Mutant] = {}
        self.visit(ast.parse(source))

    def at(self, line: int, column: int) -> int:
        return self.starts[line - 1] + column

    def span(self, node: Any) -> tuple[int, int]:
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def add(self, start: int, end: int, text: str) -> None:
        first = self.source.rfind(b"\n", 0, start) + 1
        last = self.source.find(b"\n", end)
        before, after = self.source[first:last], text.encode()
        after = self.source[first:start] + after + self.source[end:last]
        mutant = Mutant(
            self.file,
            ".".join(self.scope),
            self.source.count(b"\n", 0, start) + 1,
            start,
            end,
            text,
            self.function,
            tuple(changed_lines(before.decode(), after.decode())),
        )
        self.found.setdefault((start, end, text), mutant)

    def replace(self, node: ast.AST, *texts: str) -> None:
        for text in texts:
            self.add(*self.span(node), text)

    def operator(self, left: ast.AST, right: ast.AST, operator: ast.AST) -> None:
        """The operator stands between its operands, perhaps beside parentheses."""
        if type(operator) not in SWAPS:
            return
        old, new = SWAPS[type(operator)]
        start, end = self.span(left)[1], self.span(right)[0]
        between = self.source[start:end].decode()
        word = re.search(r"\s+".join(map(re.escape, old.split())), between)
        if word is not None:
            for text in new:
                self.add(start + word.start(), start + word.end(), text)

    # What is left out.

    def visit_FunctionDef(self, node: Any) -> None:
        self.scope.append(node.name)
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d)):
            self.default(default)
            self.visit(default)
        outer, self.function = self.function, ".".join(self.scope)
        for statement in node.body:
            self.visit(statement)
        self.function = outer
        self.scope.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.default(node.value)
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        slots = any(isinstance(t, ast.Name) and t.id == "__slots__" for t in node.targets)
        if not slots and not (not self.function and isinstance(node.value, ast.BinOp)):
            self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            if NO_DECISION.match(ast.unparse(node.value)):
                return
            self.replace(node, "pass")
        self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Narrows a type. Nothing relies on it at run time."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A text."""

    def visit_Import(self, node: Any) -> None:
        """Nothing to decide."""

    visit_ImportFrom = visit_Import

    # What is changed.

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, DROPPED):
            self.replace(node, "pass")
        super().generic_visit(node)

    def default(self, node: ast.AST) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.replace(node, repr(node.value + "XX"))

    def condition(self, node: Any) -> None:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return
        self.replace(node.test, "True", "False")
        self.generic_visit(node)

    visit_If = visit_IfExp = condition

    def visit_While(self, node: ast.While) -> None:
        self.replace(node.test, "False")
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.replace(test, "True", "False")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right, operator in zip(operands, operands[1:], node.ops, strict=False):
            self.operator(left, right, operator)
        self.decided_by(*operands)
        self.generic_visit(node)

    def visit_MatchValue(self, node: ast.MatchValue) -> None:
        self.decided_by(node.value)
        self.generic_visit(node)

    def decided_by(self, *nodes: ast.AST) -> None:
        for node in nodes:
            inner = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
            for text in inner:
                self.default(text)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.operator(left, right, node.op)
        for value in node.values:
            self.replace(value, "True" if isinstance(node.op, ast.And) else "False")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.operator(node.left, node.right, node.op)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self.add(self.span(node)[0], self.span(node.operand)[0], "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        match node.value:
            case bool():
                self.replace(node, str(not node.value))
            case int() | float():
                self.replace(node, str(node.value + 1), str(node.value - 1))

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.replace(node.value, "None")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in NAMES:
            self.replace(node, NAMES[node.id])


def mutants_of(file: str) -> list[Mutant]:
    return list(Mutants(file, (ROOT / file).read_bytes()).found.values())


def changed_lines(before: str, after: str) -> Iterator[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return (line for line in lines if not line.startswith(("---", "+++", "@@")))


def changes(mutant: Mutant) -> bool:
    """Whether it is Python, and something else than before."""
    source = (ROOT / mutant.file).read_bytes()
    try:
        return ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


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


# --- Which test runs which function: this module is a plugin of pytest as well ---


def functions(file: str) -> dict[str, list[range]]:
    """The lines of each function, by its name with what is around it, in order."""
    found: dict[str, list[range]] = {}

    def collect(node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{scope}.{child.name}" if scope else child.name
                if not isinstance(child, ast.ClassDef):
                    lines = range(child.body[0].lineno, (child.end_lineno or 0) + 1)
                    found.setdefault(inner, []).append(lines)
            collect(child, inner)

    if Path(file).exists():
        collect(ast.parse(Path(file).read_bytes()), "")
    return found


class Recorder:
    """Notes for each test how long it took and which functions of drd it ran."""

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
            for number, parts in enumerate(functions(file).values()):
                lines = {line for part in parts for line in part} & tests_of.keys()
                for test in {test for line in lines for test in tests_of[line]} & noted.keys():
                    reached = noted[test][1]
                    reached[file] = reached.get(file, 0) | 1 << number
        (self.into / f"{os.getpid()}.json").write_text(json.dumps(noted))


def pytest_configure(config: pytest.Config) -> None:
    into = os.environ.get("MUTANTS_NOTE")
    if into and (hasattr(config, "workerinput") or not config.getoption("numprocesses", None)):
        config.pluginmanager.register(Recorder(Path(into)))


def digest(file: str) -> str:
    """Of a test its text, of a module the names of its functions."""
    path = ROOT / file
    if file.startswith("drd/"):
        return hashlib.sha256("\n".join(functions(str(path))).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def recorded(tree: Path, jobs: int) -> Noted:
    """What was noted before. Only those files of tests run again that changed, or that reached a
    module in which functions came or went."""
    found = (str(p.relative_to(ROOT)) for t in TESTS for p in sorted((ROOT / t).rglob("test_*.py")))
    files = [file for file in found if file not in NO_TESTS]
    known = json.loads(CACHE.read_text()) if CACHE.exists() else {}
    now = {f: digest(f) for f in {*files, *(f for entry in known.values() for f in entry["of"])}}
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
            of["of"] |= {file: digest(file) for file in entry[1] if file not in of["of"]}
        CACHE.parent.mkdir(exist_ok=True)
        CACHE.write_text(json.dumps(kept))
    return {test: tuple(e) for entry in kept.values() for test, e in entry["tests"].items()}


def noted_now(tree: Path, files: list[str], jobs: int) -> Iterator[tuple[str, Any]]:
    with tempfile.TemporaryDirectory() as into:
        ran = run_tests(tree, [*files, "-n", str(jobs), *WITHOUT], 3600, MUTANTS_NOTE=into)
        parts = [json.loads(p.read_text()) for p in Path(into).glob("*.json")]
    if not parts:
        sys.exit(f"the tests did not run:\n{ran.output[-3000:]}")
    for line in re.findall(r"^(?:FAILED|ERROR) .*", ran.output, re.MULTILINE):
        print(f"left out: {line}", flush=True)
    for part in parts:
        yield from part.items()


# --- Running them ---


@dataclass(frozen=True)
class Ran:
    code: int | None  # None: it was still running at its deadline
    output: str


def run_tests(tree: Path, arguments: list[str], seconds: float, **environment: str) -> Ran:
    mark = f"MUTANTS_{os.getpid()}_{tree.name}"
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "mutants", "-p", "no:cacheprovider"),
                *("--hypothesis-seed=0", f"--timeout={ONE_TEST}", *arguments),
            ],
            cwd=tree,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ
            | {"PYTHONPATH": f"{tree}:{tree / 'scripts'}", "PYTHONHASHSEED": "0", mark: "1"}
            | environment,
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_marked(mark)
            process.wait()
        output.seek(0)
        return Ran(code, output.read())


def end_marked(mark: str) -> None:
    """End what the tests left running: servers have process groups of their own."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{mark}=1".encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except (OSError, ValueError):  # ended meanwhile, or another user's
            continue


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


class Judge:
    """Runs the tests against mutants, each in a tree that no other uses meanwhile."""

    def __init__(self, trees: list[Path], tests: Noted) -> None:
        self.tests = tests
        self.trees: queue.Queue[Path] = queue.Queue()
        for tree in trees:
            self.trees.put(tree)
        self.stamp = iter(range(1_000_000_000, 2_000_000_000))
        self.importers = importers()

    def chosen(self, mutant: Mutant) -> list[str]:
        """The tests that ran the function, the quickest first. Of what runs at the import of a
        module: those that ran any function of it, or of a module that imports it."""
        if not mutant.function:
            near = {mutant.file, *self.importers.get(mutant.file, ())}
            chosen = [t for t, (_, files) in self.tests.items() if near & files.keys()]
        else:
            bit = 1 << list(functions(str(ROOT / mutant.file))).index(mutant.function)
            chosen = [t for t, (_, f) in self.tests.items() if f.get(mutant.file, 0) & bit]
        return sorted(chosen, key=lambda test: self.tests[test][0])

    def verdict(self, mutant: Mutant) -> tuple[str, list[str]]:
        tests = self.chosen(mutant)
        if not tests:
            return "survived", tests
        tree = self.trees.get()
        try:
            return self.of(mutant, tree, tests), tests
        finally:
            self.trees.put(tree)

    def of(self, mutant: Mutant, tree: Path, tests: list[str]) -> str:
        path = tree / mutant.file
        source, before = path.read_bytes(), path.stat()
        listed = tree / ".tests"
        listed.write_text("\n".join(tests))
        try:
            path.write_bytes(mutant.applied(source))
            stamp = next(self.stamp)  # or Python takes the bytecode of another mutant
            os.utime(path, (stamp, stamp))
            ran = run_tests(tree, ["-x", f"@{listed}"], ALL_TESTS)
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if ran.code is None or re.search(r"^E +Failed: Timeout", ran.output, re.MULTILINE):
            return "timeout"
        if ran.code in (3, 4, 5) and "Error" not in ran.output:
            sys.exit(f"pytest did not run the tests of {mutant.file}:\n{ran.output[-3000:]}")
        return "survived" if ran.code == 0 else "killed"


def importers() -> dict[str, set[str]]:
    """Which modules of drd import each."""
    by: dict[str, set[str]] = {}
    for path in (ROOT / "drd").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("drd"):
                module = node.module or ""
                for name in (module, *(f"{module}.{a.name}" for a in node.names)):
                    file = name.replace(".", "/") + ".py"
                    by.setdefault(file, set()).add(str(path.relative_to(ROOT)))
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
        judge = Judge(trees, recorded(trees[0], given.jobs))
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

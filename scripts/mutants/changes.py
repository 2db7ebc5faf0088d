"""The possible mutants: one for each operator, number, condition, default and statement of a file,
except in texts, types and log messages.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mutants import ROOT

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
        """Identifies the mutant by its content: the same after lines above it were added or
        removed.
        """
        return (
            f"{self.file} {self.scope}".rstrip(),
            *(line[0] + line[1:].strip() for line in self.diff),
        )


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
        """Mutate an operator, which is between its operands, perhaps beside parentheses."""
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
        names = {t.id for t in node.targets if isinstance(t, ast.Name)}
        left_out = names & {"__slots__", "TYPE_CHECKING"}  # layout, and what type checkers read
        if not left_out and not (not self.function and isinstance(node.value, ast.BinOp)):
            self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            if NO_DECISION.match(ast.unparse(node.value)):
                return
            self.replace(node, "pass")
        self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Skip: it narrows a type, and nothing relies on it at run time."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Skip: it is a text."""

    def visit_Import(self, node: Any) -> None:
        """Skip: there is nothing to decide."""

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
            if isinstance(node.op, ast.And):
                self.replace(value, "True")
            elif not (isinstance(value, ast.Constant) and not value.value):  # as good as False
                self.replace(value, "False")
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
    """Whether the new text is Python and differs from the old one."""
    source = (ROOT / mutant.file).read_bytes()
    try:
        return ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


def functions(source: bytes) -> dict[str, list[range]]:
    """Return the lines of each function, by its qualified name, in order."""
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

    collect(ast.parse(source), "")
    return found

"""No code takes a text apart that other code of drd wrote: errors, reasons and expectations have
fields beside them for what code goes by."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import drd
from tests.source import SEARCHED, parsed

pytestmark = SEARCHED

TEXTS = frozenset(
    {
        "error",
        "expected",
        "fact",
        "hint",
        "last_error",
        "load_error",
        "message",
        "observed",
        "reason",
        "remedy",
        "waiting_for",
        "why",
    }
)
"""Attributes and keys that hold sentences of drd."""

TAKES_APART = frozenset(
    {
        "endswith",
        "find",
        "partition",
        "removeprefix",
        "removesuffix",
        "rpartition",
        "rsplit",
        "split",
        "startswith",
    }
)
PATTERNS = frozenset({"findall", "finditer", "fullmatch", "match", "search", "split", "sub"})

MAY = ("model/former_rows.py", "catalogue/migrations/", "testing/")
"""Rows of before said it in sentences, and are read here for the last time; suites of tests assert
what drd says."""


def is_text(node: ast.expr) -> bool:
    """Whether this is a sentence: `error.message`, `row["reason"]`, `str(error)` of these."""
    if isinstance(node, ast.BoolOp):
        return any(map(is_text, node.values))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "str" and is_text(node.args[0])
    if isinstance(node, ast.Attribute):
        return node.attr in TEXTS
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value in TEXTS
    )


def taken_apart(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method, target = node.func.attr, node.func.value
            if method in TAKES_APART and is_text(target):
                yield ast.unparse(node)
            if method in PATTERNS and any(map(is_text, node.args)) and not is_text(target):
                yield ast.unparse(node)
        elif isinstance(node, ast.Compare):
            looked_in = [
                side
                for way, side in zip(node.ops, node.comparators, strict=True)
                if isinstance(way, ast.In | ast.NotIn)
            ]
            both = [node.left, *node.comparators]
            equals = isinstance(node.ops[0], ast.Eq | ast.NotEq)
            messages = [s for s in both if isinstance(s, ast.Attribute) and s.attr == "message"]
            if any(map(is_text, looked_in)) or (equals and messages):
                yield ast.unparse(node)


def test_no_code_takes_apart_a_text_of_drd() -> None:
    root = Path(drd.__file__).parent
    found = {}
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root).as_posix()
        if name.startswith(MAY):
            continue
        places = list(taken_apart(parsed(file.read_text(encoding="utf-8"))))
        if places:
            found[name] = places
    assert found == {}


def test_the_search_finds_what_it_looks_for() -> None:
    for code in (
        "error.message.startswith('x')",
        "(step['error'] or '').partition('x')",
        "'LOCK TABLE' in error.message",
        "error.message != self.trouble",
        "re.search('x', finding.reason)",
        "str(run.error).split(':')",
    ):
        assert list(taken_apart(parsed(code))), code
    for code in ("path.name.startswith('x')", "error.code == 'x'", "name in missing"):
        assert not list(taken_apart(parsed(code))), code

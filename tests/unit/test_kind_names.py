"""Nothing but the module of a kind, step, check or channel, and its line in the registry, knows it
by its name."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import drd
from drd.config.extensions import member_fault
from drd.registry import ACTIONS, CHECKS, FAMILIES, KINDS, NOTIFIERS
from tests.source import SEARCHED, parsed

pytestmark = SEARCHED

PACKAGE = Path(drd.__file__).parent
REGISTRY = PACKAGE / "registry.py"

ASKS = {"startswith", "endswith", "removeprefix", "removesuffix", "get", "index", "count"}
"""Methods whose argument, as a name, decides something."""

OTHER_MEANINGS = {
    # SQLAlchemy's name of a dialect, and the scheme of a URL of the catalogue.
    'backend != "sqlite"',
    'connection.dialect.name == "sqlite"',
    'scheme == "sqlite"',
    # The scheme of a URL.
    'parts.scheme in ("http", "https")',
    'parts.scheme not in ("http", "https")',
    '{"http": PlainPool, "https": SecurePool}',
    # A kind of check that a later version has.
    '_LATER_CHECKS = ("http",)',
    # Parts of the fence.
    'FILES, SIGNALS, CALLS, NETWORK = ("files", "signals", "calls", "network")',
    'PARTS = ("files", "signals", "calls", "network")',
    # Codes of findings.
    'SOURCE = frozenset({"reachable", "database", "files"})',
}


COMMON_WORDS = frozenset({"command"})
"""Kinds of components whose names mean other things as well: a kind of secret reference, a key of
documents. Of these, only comparisons of what is called a kind count."""


def named(node: ast.AST, names: Collection[str]) -> bool:
    """Whether a kind's name stands in an expression as itself."""
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in names
        for part in ast.walk(node)
    )


def is_list_of_names(value: ast.expr, names: Collection[str]) -> bool:
    """A name, or several, that is given a name: to be compared with later."""
    match value:
        case ast.Constant(value=text):
            return text in names
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return any(is_list_of_names(part, names) for part in parts)
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple" | "list"), args=[inner]):
            return is_list_of_names(inner, names)
    return False


def nodes(source: str, names: Collection[str]) -> Iterator[ast.AST]:
    """Of a source that has one of the names at all."""
    return ast.walk(parsed(source)) if any(n in source for n in names) else iter(())


def decides_by_name(source: str, names: Collection[str]) -> Iterator[str]:
    """Every place where a name is compared, looked up, matched, kept to be compared with, or is the
    key of a table."""
    for node in nodes(source, names):
        if any(named(part, names) for part in decided_by(node)) or keeps_names(node, names):
            yield ast.unparse(node).replace("'", '"')


def decided_by(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a statement or an expression on which something depends."""
    match node:
        case ast.Compare():
            yield node
        case ast.MatchValue(value=value):
            yield value
        case ast.Subscript(value=ast.Name(id="Literal")):
            return  # what a settings model declares
        case ast.Subscript(slice=key):
            yield key
        case ast.Dict(keys=keys):
            yield from (key for key in keys if key is not None)
        case ast.Call(func=ast.Attribute(attr=attr), args=args) if attr in ASKS:
            yield from args
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            yield from (ast.Constant(keyword.arg) for keyword in keywords)


def keeps_names(node: ast.AST, names: Collection[str]) -> bool:
    """Whether names are given a name, to be compared with later."""
    match node:
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            return is_list_of_names(value, names)
    return False


def imports_a_kind(source: str, names: Collection[str]) -> Iterator[str]:
    packages = tuple(f"drd.kinds.{name}" for name in names)
    for node in nodes(source, names):
        match node:
            case ast.ImportFrom(module="drd.kinds", names=aliases):
                yield from (a.name for a in aliases if a.name in names)
            case ast.ImportFrom(module=str(module)) if f"{module}.".startswith(
                tuple(f"{p}." for p in packages)
            ):
                yield module
            case ast.Import(names=aliases):
                yield from (a.name for a in aliases if a.name.startswith(packages))
            case _:
                continue


def strangers(name: str) -> Iterator[Path]:
    """The modules outside of a kind's package, which two kinds can share."""
    own = PACKAGE.parent.joinpath(*KINDS[name].adapter.partition(":")[0].split(".")[:-1])
    return (m for m in PACKAGE.rglob("*.py") if not m.is_relative_to(own) and m != REGISTRY)


def decides(source: str, names: Collection[str]) -> Iterator[str]:
    common = COMMON_WORDS.issuperset(names)
    return decides_by_kind(source, names) if common else decides_by_name(source, names)


@pytest.mark.parametrize("name", KINDS.names)
def test_nobody_else_decides_by_the_name_of_a_kind(name: str) -> None:
    found = {
        f"{module.relative_to(PACKAGE)}: {place}"
        for module in strangers(name)
        for place in decides(module.read_text(), [name])
        if place not in OTHER_MEANINGS and not place.startswith('{"equal": found.equal')
    }
    assert found == set(), "let the kind say it in its specification: docs/extending.md"


@pytest.mark.parametrize("name", KINDS.names)
def test_nobody_else_imports_what_belongs_to_a_kind(name: str) -> None:
    found = {
        f"{module.relative_to(PACKAGE)}: {place}"
        for module in strangers(name)
        for place in imports_a_kind(module.read_text(), [name])
    }
    assert found == set(), "let the kind say it in its specification: docs/extending.md"


OTHERS = frozenset({*ACTIONS.names, *CHECKS.names, *NOTIFIERS.names})


SECTION = "ERASURES"
"""The constant of the one step that is also a section of plans: where it stands in the runbook, and
what it erases, is said in that section."""


def constants(source: str, names: Collection[str]) -> set[str]:
    """What a module calls one of the names, or a list or a table of them."""
    return {
        target.id
        for statement in parsed(source).body
        for target, value in assigned(statement)
        if is_list_of_names(value, names) or is_table_of_names(value, names)
    } - {SECTION}


def assigned(statement: ast.stmt) -> Iterator[tuple[ast.Name, ast.expr]]:
    match statement:
        case ast.Assign(targets=[ast.Name() as target], value=value):
            yield target, value
        case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
            yield target, value


def is_table_of_names(value: ast.expr, names: Collection[str]) -> bool:
    match value:
        case ast.Dict(keys=keys):
            return any(key is not None and is_list_of_names(key, names) for key in keys)
    return False


def decides_by_kind(
    source: str, names: Collection[str], kept: Collection[str] = ()
) -> Iterator[str]:
    """Every place where what is called a kind is compared with a name, or looked up in a table of
    names; `kept` are constants for names and tables. Names of steps and checks are common words,
    which mean other things elsewhere."""

    def means(node: ast.AST) -> bool:
        called = {n.id if isinstance(n, ast.Name) else n.attr
                  for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)}  # fmt: skip
        return named(node, names) or bool(called & set(kept))

    for node in ast.walk(parsed(source)):
        match node:
            case ast.Compare(left=left, comparators=others):
                sides = [left, *others]
                asked = any(map(is_a_kind, sides)) and any(means(s) for s in sides)
            case ast.Match(subject=subject, cases=cases):
                patterns = (part for case in cases for part in ast.walk(case.pattern))
                values = [p.value for p in patterns if isinstance(p, ast.MatchValue)]
                asked = is_a_kind(subject) and any(means(v) for v in values)
            case (
                ast.Subscript(value=table, slice=key)
                | ast.Call(func=ast.Attribute(value=table, attr="get"), args=[key, *_])
            ):
                keys = table.keys if isinstance(table, ast.Dict) else [table]
                asked = is_a_kind(key) and any(means(k) for k in keys if k is not None)
            case ast.Call(func=ast.Attribute(value=asked_of, attr=attr), args=args):
                asked = attr in ASKS and is_a_kind(asked_of) and any(means(a) for a in args)
            case _:
                continue
        if asked:
            yield ast.unparse(node).replace("'", '"')


def is_a_kind(node: ast.AST) -> bool:
    """Also a part of it: `kind[:3]`."""
    match node:
        case ast.Attribute(attr="kind") | ast.Name(id="kind"):
            return True
        case ast.Subscript(value=whole, slice=ast.Slice()):
            return is_a_kind(whole)
    return False


@pytest.mark.parametrize("family", FAMILIES)
def test_drds_own_members_follow_the_rules_for_members_of_packages(family: str) -> None:
    registry = FAMILIES[family]
    faults = {name: member_fault(family, name, registry[name]) for name in registry.names}
    faults.pop("heartbeat", None)  # no entry of `notify`: drd itself sends it
    assert {name: fault for name, fault in faults.items() if fault} == {}


def test_nobody_decides_by_the_name_of_a_step_a_check_or_a_channel() -> None:
    members = [PACKAGE / family for family in ("actions", "checks", "notifiers")]
    sources = {m.relative_to(PACKAGE): m.read_text() for m in PACKAGE.rglob("*.py")
               if m.parent not in members}  # fmt: skip
    known = {path: constants(source, OTHERS) for path, source in sources.items()}
    public = {name for names in known.values() for name in names if not name.startswith("_")}
    found = {
        f"{path}: {place}"
        for path, source in sources.items()
        for place in decides_by_kind(source, OTHERS, public | known[path])
    }
    assert found == set(), "let its specification say it: docs/extending.md"


@pytest.mark.parametrize(
    "source",
    [
        'step.kind == "start"',
        '"stop" != step.kind',
        'step.kind not in ("start", "stop")',
        'kind in {"sql", *more}',
        'match step.kind:\n    case "start" | "stop":\n        pass',
        '{"start": 1}[step.kind]',
        '{"start": 1}.get(step.kind, 0)',
        'if s.kind == "heartbeat" and x: pass',
        'step.kind.startswith("start")',
        "step.kind == STOP",
        "check.kind in model.NAMES",
        "TABLE[step.kind]",
        "TABLE.get(step.kind)",
        'step.kind[:5] == "start"',
    ],
)
def test_a_decision_by_a_kind_is_seen_in_every_form(source: str) -> None:
    assert list(decides_by_kind(source, OTHERS, {"STOP", "NAMES", "TABLE"}))


def test_constants_that_contain_the_name_of_a_kind_are_found() -> None:
    source = (
        'STOP = "stop"\nNAMES: frozenset[str] = frozenset({"sql", "x"})\n'
        'TABLE = {"start": 1}\nOTHER = "restore"\n'
    )
    assert constants(source, OTHERS) == {"STOP", "NAMES", "TABLE"}


def test_other_words_are_not_a_decision_by_a_kind() -> None:
    for source in ('state == "start"', 'step.kind == "restore"', 'f("start")', '"sql" in settings'):
        assert not list(decides_by_kind(source, OTHERS))


@pytest.mark.parametrize(
    "source",
    [
        'c.kind == "mongo"',
        'c.kind != "mongo"',
        '"mongo" == c.kind',
        'kind in ("redis", "mongo")',
        'kind not in {"mongo"}',
        'kind in ["mongo", *more]',
        'kind is "mongo"',
        'a < b == "mongo"',
        'match kind:\n    case "mongo":\n        pass',
        'match kind:\n    case "redis" | "mongo":\n        pass',
        'match c:\n    case Component(kind="mongo"):\n        pass',
        '{"mongo": 2.0}[kind]',
        'ROOM = {"redis": 1, "mongo": 2}',
        "dict(mongo=2)",
        'kind.startswith("mongo")',
        'kind.endswith(("redis", "mongo"))',
        'ROOM.get("mongo")',
        'KINDS["mongo"]',
        'def f(c):\n    return 1 if c.kind == "mongo" else 2',
        'x = [c for c in cs if c.kind == "mongo"]',
        'assert kind == "mongo"',
        'DATABASES = ("redis", "mongo")',
        'DATABASES: frozenset[str] = frozenset({"redis", "mongo"})',
        'MONGO = "mongo"',
        'while kind != "mongo": pass',
    ],
)
def test_a_decision_is_seen_in_every_form(source: str) -> None:
    assert list(decides_by_name(source, ["mongo"]))


@pytest.mark.parametrize(
    "source",
    [
        "import drd.kinds.mongo.kind",
        "from drd.kinds.mongo import SPEC",
        "from drd.kinds.mongo.settings import MongoSettings",
        "from drd.kinds import mongo",
        "def f():\n    from drd.kinds.mongo.dsn import host",
    ],
)
def test_an_import_is_seen_in_every_form(source: str) -> None:
    assert list(imports_a_kind(source, ["mongo"]))


def test_harmless_uses_of_a_kinds_name_are_allowed() -> None:
    for source in (
        'kind: Literal["mongo"]',
        'f("mongo")',
        'kind == "mongodb"',
        '"a mongo" in text',
    ):
        assert not list(decides_by_name(source, ["mongo"]))
    assert not list(imports_a_kind("from drd.kinds.mongodb import x", ["mongo"]))

"""Findings have codes that stay, and docs/findings.md lists them all."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import drd
from drd.model import finding_codes
from drd.model.finding import Finding
from drd.model.finding_codes import UNNAMED, name_of
from tests.source import SEARCHED, parsed

pytestmark = SEARCHED

ROOT = Path(drd.__file__).parent
PAGE = ROOT.parent / "docs" / "findings.md"
ALERTS = ROOT.parent / "docs" / "alerts.md"
_CONSTANTS = {k: v for k, v in vars(finding_codes).items() if isinstance(v, str) and k.isupper()}


def _codes() -> Iterator[str]:
    """Every code that the code gives to a finding: as the first argument, or as that of a helper
    which has a parameter named `code`."""
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not any(name in text for name in ("Finding", "ReadinessFinding", "Pause")):
            continue
        tree = parsed(text)
        place = {"Finding": 0, "Pause": 0, "judged_as": 0, "broken_findings": 0}
        known = dict(_CONSTANTS)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [a.arg for a in node.args.args if a.arg != "self"]
                if "code" in names:
                    place[node.name] = names.index("code")
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                known |= {t.id: node.value.value for t in node.targets if isinstance(t, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield from _code(node, place, known)
            elif isinstance(node, ast.FunctionDef) and any(map(_is_over_codes, ast.walk(node))):
                pairs = (p for n in ast.walk(node) if isinstance(n, ast.Tuple) for p in n.elts[:1])
                yield from (p.value for p in pairs if isinstance(p, ast.Constant))


def _is_over_codes(node: ast.AST) -> bool:
    """Whether it is a loop over codes and what belongs to each."""
    return (
        isinstance(node, ast.For)
        and isinstance(node.target, ast.Tuple)
        and getattr(node.target.elts[0], "id", "") == "code"
    )


def _code(call: ast.Call, place: dict[str, int], known: dict[str, str]) -> Iterator[str]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    if name not in place or len(call.args) <= place[name]:
        return
    given = call.args[place[name]]
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        yield given.value
    elif isinstance(given, ast.Name) and given.id in known:
        yield known[given.id]


def test_the_page_lists_the_codes_that_the_code_gives_and_no_others() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == {*_codes()} - {UNNAMED}


def _alert_kinds() -> Iterator[str]:
    """Every kind that the code gives to a condition, or to a reason that makes one; of a kind that
    is put together, `*` stands for what is filled in."""
    for path in sorted((ROOT / "model").glob("*.py")):
        tree = parsed(path.read_text(encoding="utf-8"))
        place, known = {"Condition": 0, "Reason": 3}, dict(_CONSTANTS)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and any(a.arg == "kind" for a in node.args.args):
                place[node.name] = [a.arg for a in node.args.args].index("kind")
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                known |= {t.id: node.value.value for t in node.targets if isinstance(t, ast.Name)}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("drd.model"):
                of = vars(importlib.import_module(str(node.module)))
                known |= {a.name: of[a.name] for a in node.names if isinstance(of.get(a.name), str)}
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
        of_alerts = [c for c in calls if getattr(c.func, "id", "") in ("Condition", "Reason")]
        if not of_alerts:
            continue
        chosen = (n for n in ast.walk(tree) if isinstance(n, ast.Assign))
        for node in (n for n in chosen if getattr(n.targets[0], "id", "") == "kind"):
            yield from _texts_of(node.value, known)
        helpers = {"reason"} & place.keys()
        for call in [c for c in calls if getattr(c.func, "id", "") in helpers] + of_alerts:
            at = place[call.func.id]  # type: ignore[attr-defined]
            given = next((k.value for k in call.keywords if k.arg == "kind"), None)
            if given is None and len(call.args) > at:
                given = call.args[at]
            yield from _texts_of(given, known)


def _texts_of(given: ast.expr | None, known: dict[str, str]) -> Iterator[str]:
    if isinstance(given, ast.Constant):
        yield given.value
    elif isinstance(given, ast.JoinedStr):
        yield "".join(str(v.value) if isinstance(v, ast.Constant) else "*" for v in given.values)
    elif isinstance(given, ast.Name) and given.id in known:
        yield known[given.id]


def test_the_page_on_alerts_lists_the_kinds_that_the_code_gives_and_no_others() -> None:
    rows = re.findall(
        r"^\| (`[^|]*`) \| [^|]* \|", ALERTS.read_text(encoding="utf-8"), re.MULTILINE
    )
    listed = [kind for row in rows for kind in re.findall(r"`([\w-]+)`", row)]
    assert len(listed) == len(set(listed))
    given = {kind for kind in _alert_kinds() if kind}
    assert {"rpo", "drill-failed", "disk", "channel", "*-failing", "*-overdue"} <= given
    assert [c for c in given if not any(fnmatchcase(known, c) for known in listed)] == []
    assert [c for c in listed if not any(fnmatchcase(c, known) for known in given)] == []


def test_a_finding_is_called_by_its_subject_and_the_words_of_its_code() -> None:
    assert name_of("row-security", "db") == "db: row security"
    assert name_of("disk-space", "") == "disk space"
    assert name_of("set-user-id", "") == "set-user-ID"
    assert name_of("repository-clock", "primary") == "repository primary: clock"
    assert name_of("repository", "primary") == "repository primary"
    at = Finding("target", "ok", "db", "writable", where="target standby")
    assert at.name == "target standby: db: target"


def test_a_finding_that_was_written_down_is_read_again() -> None:
    kept = Finding("repository-clock", "warning", "primary", "2 s ahead", "use NTP", "step a")
    assert Finding.from_json(kept.to_json()) == kept


def test_findings_of_older_versions_are_read() -> None:
    old = {"name": "repository primary: key", "severity": "error", "evidence": "no", "remedy": "r"}
    read = Finding.from_json(old)
    assert (read.name, read.severity, read.text, read.remedy) == (old["name"], "error", "no", "r")
    oldest = {"name": "db: source", "ok": True, "detail": "slow", "hint": ""}
    assert Finding.from_json(oldest).severity == "warning"

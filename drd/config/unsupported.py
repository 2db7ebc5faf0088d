"""Keys and values that the design has and this version does not: refused by name, never ignored."""

from __future__ import annotations

from typing import Any

from drd.config.absent_kinds import not_in_use, unavailable
from drd.config.problems import Report
from drd.model.plan import SCENARIOS
from drd.registry import CHECKS, KINDS

_LATER_CHECKS = ("http",)
_LATER_SCENARIOS = ("ransomware",)


def refuse_unsupported(data: Any, report: Report) -> None:
    """Report each unsupported key with its line. Accepts raw data of any shape and raises
    nothing."""
    for name, component in _entries(data, "components"):
        _other_name(report, ("components", name), component)
    for index, check in _items(data, "checks"):
        _kind(report, ("checks", index), check, _LATER_CHECKS, CHECKS.names)
    _scenarios(data, report)


def _other_name(report: Report, path: tuple[str | int, ...], component: dict[str, Any]) -> None:
    """Report a component whose `kind` is the name of a product (mysql) for which a kind with
    another name is used (mariadb)."""
    kind = component.get("kind")
    spec = next((one for one in KINDS if isinstance(kind, str) and kind in one.also_for), None)
    if spec is None or kind in KINDS.names or unavailable(str(path[0]), str(kind)) is not None:
        return
    hint = not_in_use(str(path[0]), str(kind)) or f"write kind: {spec.name}, which is for both."
    report.error((*path, "kind"), f"there is no kind {kind}", hint)
    report.broken.add(path)


def _kind(
    report: Report, path: tuple[str | int, ...], element: dict[str, Any], later: Any, now: Any
) -> None:
    kind = element.get("kind")
    if isinstance(kind, str) and kind in later and kind not in now:
        if unavailable(str(path[0]), kind) is not None:
            return
        hint = not_in_use(str(path[0]), kind) or f"this version supports {', '.join(now)}."
        _refuse(report, (*path, "kind"), f"kind {kind}", hint)
        report.broken.add(path)


def _scenarios(data: Any, report: Report) -> None:
    scenarios = _section(data, "drill").get("scenarios")
    for index, scenario in enumerate(scenarios if isinstance(scenarios, list) else ()):
        if scenario in _LATER_SCENARIOS:
            path = ("drill", "scenarios", index)
            hint = f"this version supports {', '.join(SCENARIOS)}."
            _refuse(report, path, f"scenario {scenario}", hint)


def _refuse(
    report: Report, path: tuple[str | int, ...], what: str, hint: str, *, of_key: bool = False
) -> None:
    report.error(path, f"{what} is not supported yet", hint, of_key=of_key)


def _section(data: Any, key: str) -> dict[str, Any]:
    section = data.get(key) if isinstance(data, dict) else None
    return section if isinstance(section, dict) else {}


def _entries(data: Any, key: str) -> list[tuple[str, dict[str, Any]]]:
    return [(n, e) for n, e in _section(data, key).items() if isinstance(e, dict)]


def _items(data: Any, key: str) -> list[tuple[int, dict[str, Any]]]:
    items = data.get(key) if isinstance(data, dict) else None
    elements = enumerate(items) if isinstance(items, list) else ()
    return [(i, e) for i, e in elements if isinstance(e, dict)]

"""Check that the repositories of a plan fit together: one for the backups, the others
its copies."""

from __future__ import annotations

import os
import re
from typing import Any

from drd.config.parse import Parsed
from drd.config.problems import Report, nearest
from drd.model.location import is_local, normal_url

_THIS_HOST = re.compile(r"(//|@)(?:localhost|\[::1\])([:/])")


def check_copies(parsed: Parsed, report: Report) -> None:
    """Report contradictions; skips repositories that have errors of their own."""
    raw = _raw(report)
    originals = [n for n, r in raw.items() if not (isinstance(r, dict) and "copy_of" in r)]
    another_tool = any(isinstance(r, dict) and "made_by" in r for r in raw.values())
    for name in originals[1:] if not another_tool else ():
        message = (
            f"backups already go to repository {originals[0]}; only one repository can receive "
            "backups"
        )
        hint = f"add `copy_of: {originals[0]}` here, or remove one of the two repositories."
        report.error(("repositories", name), message, hint, of_key=True)
    if raw and not originals:
        hint = "remove `copy_of` from the repository that receives the backups."
        report.error(
            ("repositories",), "all repositories are copies: none receives the backups", hint
        )
        return
    copies = {n: r.copy_of for n, r in parsed.file.repositories.items() if r.copy_of is not None}
    for name, copy_of in copies.items():
        _source(name, copy_of, raw, copies, report)
    _places(parsed, report)
    _scenarios(parsed, raw, originals, report)


def _raw(report: Report) -> dict[str, Any]:
    repositories = report.document.data.get("repositories")
    return dict(repositories) if isinstance(repositories, dict) else {}


def _source(
    name: str, copy_of: str, raw: dict[str, Any], copies: dict[str, str], report: Report
) -> None:
    path = ("repositories", name, "copy_of")
    if copy_of == name:
        others = [n for n in raw if n != name]
        hint = f"name another repository: {', '.join(others)}." if others else "remove `copy_of`."
        report.error(path, f"repository {name} is a copy of itself", hint)
    elif copy_of not in raw:
        hint = nearest(copy_of, [n for n in raw if n != name])
        report.error(path, f'there is no repository "{copy_of}"', hint)
    elif (circle := _circle(name, copies)) is not None and name == min(circle):
        words = " of ".join([*circle, circle[0]])
        report.error(
            path,
            f"the copies form a circle: {words}",
            "in one of these repositories, set `copy_of` to the repository that receives the "
            "backups.",
        )


def _circle(name: str, copies: dict[str, str]) -> list[str] | None:
    """The names on the way from a repository back to itself."""
    way = [name]
    while (following := copies.get(way[-1])) is not None:
        if following == name:
            return way if len(way) > 1 else None
        if following in way:
            return None
        way.append(following)
    return None


def _places(parsed: Parsed, report: Report) -> None:
    """Two repositories at one place would be one that ignores what it copies to itself."""
    first: dict[str, str] = {}
    places: dict[str, str] = {}
    for name, repository in parsed.file.repositories.items():
        try:
            url = normal_url(repository.url)
        except ValueError:
            continue
        place = _place(url)
        if url not in first and place in places:
            message = (
                f"{url} is the same place as repository {places[place]}: one loss destroys both"
            )
            hint = "give one of the two another place, best at another provider."
            report.warn(("repositories", name, "url"), message, hint)
        places.setdefault(place, name)
        if url in first:
            message = f"repository {first[url]} has the same URL"
            hint = "give one of the two another URL, best at another provider."
            report.error(("repositories", name, "url"), message, hint)
        first.setdefault(url, name)


def _place(url: str) -> str:
    """Return where a URL leads, as far as this host knows without asking anybody."""
    if is_local(url):
        return os.path.realpath(url)
    return _THIS_HOST.sub(r"\1127.0.0.1\2", url)


def _scenarios(parsed: Parsed, raw: dict[str, Any], originals: list[str], report: Report) -> None:
    if len(raw) > len(originals) or report.is_broken(("repositories",)):
        return
    for index, scenario in enumerate(parsed.file.drill.scenarios):
        if scenario == "region-loss":
            message = (
                "the scenario region-loss needs a second repository with copies: it "
                "assumes that the first one is lost"
            )
            hint = "add a repository with `copy_of`, or remove this scenario."
            report.error(("drill", "scenarios", index), message, hint)

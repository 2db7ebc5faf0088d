"""The search for plans by name, in the files of the directory that drd.yaml names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from drd.config.daemon import DaemonSettings
from drd.errors import ConfigError, Problem, UnknownPlan
from drd.model.text import either
from drd.plan_files import name_line, plan_files, plan_name


def names_a_file(name: str) -> bool:
    """Return whether a person names a plan by its file."""
    return "/" in name or name.endswith((".yaml", ".yml"))


def find_plan(settings: DaemonSettings, name: str) -> Path:
    """Return the file of a plan, by the name in the file; a path to a file is returned unchanged.
    Raises UnknownPlan with similar names, ConfigError when two files have the name."""
    if names_a_file(name):
        path = Path(name)
        if not path.exists():
            raise UnknownPlan(f"there is no file {name}", hint="check the path.")
        return path
    by_name = plans_by_name(settings.plans_dir)
    files = by_name.get(name, [])
    if not files:
        raise UnknownPlan(
            f'there is no plan "{name}" in {settings.plans_dir}', hint=_instead(name, by_name)
        )
    if len(files) > 1:
        raise ConfigError([clash(name, files)])
    return files[0]


def file_gone(name: str, file: str, why: str = "") -> UnknownPlan:
    """Return the error for a plan that was loaded from this file before; `why` says why the text
    that drd has of it cannot be used."""
    return UnknownPlan(
        f"the file of plan {name} is gone: {file}{f'. {why}' if why else ''}",
        hint=f"restore the file: `drd plan show {name} --loaded` prints the text that drd "
        "loaded from the file. If the service does not exist any more: `drd plan "
        f"forget {name}`",
    )


def own_files(settings: DaemonSettings, plan: Path) -> Sequence[Path]:
    """Return drd.yaml and all plan files, including this one, even if it is in another
    directory."""
    own = [settings.file, *sorted(settings.plans_dir.glob("*.y*ml")), plan]
    return tuple(dict.fromkeys(p for p in own if p is not None and p.is_file()))


def plans_by_name(directory: Path) -> dict[str, list[Path]]:
    """The plan files of a directory by the name in each, else by its file's.

    Reads only the line with the name, so broken plans are found as well."""
    files: dict[str, list[Path]] = {}
    for file in plan_files(directory):
        files.setdefault(plan_name(file.path), []).append(Path(file.path))
    return dict(sorted(files.items()))


def clash(name: str, files: Sequence[Path]) -> Problem:
    """Return the problem of two files that hold a plan of the same name, in a file that is not
    called like the plan."""
    copy, *others = sorted(files, key=lambda file: file.stem == name)
    message = (
        f'{", ".join(map(str, others))} has the plan name "{name}", too: drd loads neither of '
        "these files"
    )
    hint = f"give the plan in {copy} another name, or remove one of the files."
    return Problem(str(copy), name_line(str(copy)), "plan", message, hint)


def _instead(name: str, by_name: Mapping[str, object]) -> str:
    close = get_close_matches(name, by_name, n=3, cutoff=0.6)
    if close:
        return f"did you mean {either(close)}?"
    if by_name:
        return f"choose one of these plans: {', '.join(by_name)}."
    return "write a plan with `drd plan new`, or name another drd.yaml with --config."

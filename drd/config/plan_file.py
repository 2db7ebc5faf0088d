"""Load a plan file: text, schema, logic, advice, plan. Reports all problems at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drd.config.advice import advise, advise_on_names, find_refused_checks
from drd.config.build import build_plan
from drd.config.logic import check_logic
from drd.config.parse import Parsed, parse
from drd.config.plan_path import PathWalker, PlanPath
from drd.config.problems import Report
from drd.config.reading import read_reached
from drd.config.resolved import plan_mapping
from drd.config.runbook_logic import check_roles
from drd.config.yaml import read
from drd.errors import ConfigError, ExtensionFailed, Problem
from drd.extension_faults import attributed
from drd.model.plan import Plan


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan and its file. `file_digest` (sha256), `size` and `mtime_ns` belong to the file as it
    was read, so that `status` can recognise a changed file without reading it. `reached` is the
    path by which this file was opened. `odd_names` are the errors for which a new plan is refused,
    `faults` those for which no plan is: a drill meets them, and a recovery works with them.
    """

    plan: Plan
    warnings: list[Problem]
    file_digest: str
    size: int
    mtime_ns: int
    parsed: Parsed
    text: str
    reached: PlanPath
    odd_names: tuple[Problem, ...] = ()
    faults: tuple[Problem, ...] = ()

    @property
    def as_written(self) -> dict[str, object]:
        """The plan with its defaults, in the form of a plan file."""
        return plan_mapping(self.parsed)


def load_plan(
    path: Path, roles: Collection[str] | None = None, ways: PathWalker | None = None
) -> LoadedPlan:
    """Read and check one plan. Resolves no secret and contacts no service. `roles` are the roles
    that the people of drd.yaml hold; None if they are not known. `ways` saves time for callers that
    load many plans. Raises ConfigError with every problem, in the order of their lines."""
    raw, reached = read_reached(path, ways, what="plan")
    with _faults_as_problems(path):
        parsed, report = checked(raw, path, roles)
        advise(parsed, report, path)
        odd_names = advise_on_names(parsed, report)
        find_refused_checks(parsed, report)
        plan = build_plan(parsed, Path(os.path.abspath(path)))  # noqa: PTH100 (keeps symlinks)
    return LoadedPlan(
        plan=plan,
        warnings=report.warnings,
        file_digest=hashlib.sha256(raw).hexdigest(),
        size=reached.file.info.st_size,
        mtime_ns=reached.file.info.st_mtime_ns,
        parsed=parsed,
        text=raw.decode(),
        reached=reached,
        odd_names=odd_names,
        faults=tuple(report.errors),
    )


def plan_of_text(text: str, path: Path) -> Plan:
    """Return the plan from a text that was in the file `path` when drd accepted it. Raises
    ConfigError, because a newer drd may be stricter than the drd that accepted the text."""
    with _faults_as_problems(path):
        parsed, _ = checked(text.encode(), path)
        return build_plan(parsed, path)


@contextmanager
def _faults_as_problems(path: Path) -> Iterator[None]:
    """Refuse the plan if the code of an extension raises what it must not raise."""
    try:
        with attributed(""):
            yield
    except ExtensionFailed as error:
        raise ConfigError([Problem(str(path), 1, "", error.message, error.hint)]) from error


def checked(raw: bytes, path: Path, roles: Collection[str] | None = None) -> tuple[Parsed, Report]:
    """Return a plan file's text against schema and logic. Raises ConfigError with every problem."""
    report = Report(read(raw, str(path)))
    parsed = check(report)
    if parsed is not None and roles is not None:
        check_roles(parsed, report, roles)
    if parsed is None or report.errors:
        raise ConfigError(report.errors)
    return parsed, report


def check(report: Report) -> Parsed | None:
    """Schema, then logic over the valid parts; problems go into the report."""
    parsed = parse(report)
    if parsed is not None:
        check_logic(parsed, report)
    return parsed

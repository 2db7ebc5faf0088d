"""Warnings about a valid plan that is likely to disappoint."""

from __future__ import annotations

import re
from pathlib import Path

from drd.config import runbook
from drd.config.log_logic import BASE_EVERY_S, advise_on_logs, logs_decide
from drd.config.own_objectives import advise_on_schedule, points_within_s
from drd.config.parse import Parsed
from drd.config.problems import Report
from drd.config.schema import PlanFile
from drd.config.service_advice import advise_on_services
from drd.config.timing import Copy
from drd.config.timing_logic import blackout
from drd.errors import Problem
from drd.model.cron import longest_gap
from drd.model.finding_codes import CHECK_QUERY
from drd.model.schedule import auto_exposure_s
from drd.model.units import format_duration
from drd.model.windows import longest_blackout_s
from drd.registry import CHECKS, KINDS

_BY_HAND = (None, "never")

_PORT_IN_PATH = re.compile(r"sftp:(?!//)([^:/]+):([0-9]{2,5})(/.*)")
"""Matches an sftp address in the form of scp, which cannot contain a port."""


def advise(parsed: Parsed, report: Report, file: Path) -> None:
    """Report every warning. Reads only the plan, not this host or the catalogue."""
    _name(parsed, report, file)
    if _is_adopted(parsed.file):
        _adopted(parsed, report)
    else:
        _schedule(parsed, report)
    _repository(parsed, report)
    _copies(parsed, report)
    _checks(parsed, report)
    _runbook(parsed, report)
    _targets(parsed, report)
    advise_on_services(parsed, report)


def find_refused_checks(parsed: Parsed, report: Report) -> None:
    """Report as an error each check that every drill refuses. The plan can be used all the same: a
    recovery must not fail for one of its checks."""
    for at, check in zip(parsed.check_at, parsed.file.checks, strict=True):
        component = parsed.file.components.get(check.component or "")
        if component is None or component.kind not in KINDS:
            continue
        wrong = CHECKS[check.kind].refused(check, KINDS[component.kind])
        if wrong is not None:
            path = ("checks", at, *wrong.path)
            report.error(path, wrong.message, wrong.hint, of_key=wrong.of_key, code=CHECK_QUERY)


def advise_on_names(parsed: Parsed, report: Report) -> tuple[Problem, ...]:
    """Warn of names that commands would read as options; return the errors for which a new plan
    with such names is refused. A plan that is in force keeps its names.
    """
    plan = parsed.file
    names = [(("plan",), plan.plan), *((("components", name), name) for name in plan.components)]
    errors = []
    for path, name in names:
        if not name.startswith("-"):
            continue
        text = f"the name {name} begins with a hyphen: commands would take it for an option"
        hint = "choose a name that begins with a letter or a digit."
        report.warn(path, f"{text}; drd refuses a new plan with such a name", hint)
        warning = report.problems[-1]
        errors.append(warning._replace(message=text, severity="error"))
    return tuple(errors)


def interval_s(plan: PlanFile) -> float | None:
    """Return the longest time between two starts of a backup; None when no backup is scheduled."""
    backup = plan.backup
    if backup.every == "auto" and logs_decide(plan):
        return BASE_EVERY_S
    if backup.every == "auto":
        return auto_exposure_s(points_within_s(plan))
    if backup.every is not None:
        return backup.every
    return longest_gap(backup.cron, backup.timezone) if backup.cron is not None else None


def _name(parsed: Parsed, report: Report, file: Path) -> None:
    name = parsed.file.plan
    if file.stem != name:
        hint = f"name the file {name}.yaml, so that people find it."
        report.warn(
            ("plan",), f"the file is called {file.name}, but the plan is called {name}", hint
        )


def _schedule(parsed: Parsed, report: Report) -> None:
    plan = parsed.file
    interval = interval_s(plan)
    if interval is None:
        message = "the plan has no backup schedule: backups start only by hand"
        report.warn(
            ("backup",),
            message,
            "add for example `backup: {every: 30m}`, with a time shorter than the RPO.",
        )
    else:
        what = f"a backup every {format_duration(interval)}"
        hint = "up to the interval plus the duration of a backup can be lost: shorten the interval."
        key = "every" if plan.backup.every is not None else "cron"
        advise_on_schedule(plan, report, ("backup", key), gap_s=interval, what=what, hint=hint)
    pause = longest_blackout_s(blackout(plan.backup.blackout))
    if pause:
        lasts = f"a blackout of {format_duration(pause)}"
        hint = "data that changes while no backup starts can be lost: shorten the blackout."
        advise_on_schedule(plan, report, ("backup", "blackout"), gap_s=pause, what=lasts, hint=hint)
    advise_on_logs(plan, report)
    _drill_schedule(plan, report)
    if not _has_rules(plan):
        message = "the plan has no `retention`: drd keeps all restore points for ever"
        hint = "add for example `retention: {keep_within: 2d, daily: 14, weekly: 8, monthly: 12}`."
        report.warn(("retention",), message, hint)


def _is_adopted(plan: PlanFile) -> bool:
    return any(r.made_by is not None for r in plan.repositories.values())


def _drill_schedule(plan: PlanFile, report: Report) -> None:
    if plan.drill.every is None and plan.drill.cron is None:
        message = (
            "the plan has no drill schedule: nobody notices when restore points can no longer "
            "be restored"
        )
        report.warn(("drill",), message, "add for example `drill: {every: 7d}`.")


def _has_rules(plan: PlanFile) -> bool:
    return any(plan.retention.model_dump(exclude={"max_repack", "every"}).values())


def _adopted(parsed: Parsed, report: Report) -> None:
    """Warn about a plan whose copies another tool makes."""
    _drill_schedule(parsed.file, report)
    if not _has_rules(parsed.file):
        message = (
            "no retention: drd cannot know how long the other tool keeps its copies, and reports "
            "only the newest one if it disappears"
        )
        hint = "write what the tool keeps, for example `retention: {daily: 7, weekly: 4}`."
        report.warn(("retention",), message, hint)


def _copies(parsed: Parsed, report: Report) -> None:
    plan = parsed.file
    if plan.copies != Copy() and all(r.copy_of is None for r in plan.repositories.values()):
        message = "`copy` has settings, but no repository of this plan has `copy_of`"
        report.warn(("copy",), message, "add `copy_of` to a repository, or remove `copy`.")


def _repository(parsed: Parsed, report: Report) -> None:
    elsewhere = any(not r.url.startswith("/") for r in parsed.file.repositories.values())
    for name, repository in parsed.file.repositories.items():
        if repository.url.startswith("/") and repository.copy_of is None and not elsewhere:
            several = len(parsed.file.repositories) > 1
            message = (
                "all copies are on this host: if the host is lost, they are lost, too"
                if several
                else "the only copy is on this host: if the host is lost, the copy is lost, too"
            )
            hint = "use s3:https://…, or make sure that this path is on another machine."
            report.warn(("repositories", name, "url"), message, hint)
        read_as_path = _PORT_IN_PATH.match(repository.url)
        if read_as_path:
            login, port, path = read_as_path.groups()
            message = f"{port} is read as a directory, and not as a port: drd connects to port 22"
            hint = f"if you mean a port, write sftp://{login}:{port}/{path}"
            report.warn(("repositories", name, "url"), message, hint)
        if repository.protection == "append-only" and parsed.file.retention.every not in _BY_HAND:
            message = "the repository is append-only: retention will fail"
            hint = (
                "set `every: never` under `retention` and under `prune`, and run both from a host "
                "that may delete."
            )
            report.warn(("repositories", name, "protection"), message, hint)
        scheme, _, address = repository.url.partition(":")
        if scheme in ("s3", "rest") and address.startswith("http://"):
            message = "the connection to the repository is not encrypted"
            hint = f"use {scheme}:https:// (restic encrypts the backups themselves in both cases)."
            report.warn(("repositories", name, "url"), message, hint)


def _checks(parsed: Parsed, report: Report) -> None:
    plan = parsed.file
    checked = {c.component for c in plan.checks} - {None}
    if not checked:
        message = "no check reads data: every drill will be inconclusive (it proves nothing)"
        able = "sql or command" if _is_adopted(plan) else "rows, files or sql"
        hint = f"add a check for each component, of kind {able}."
        report.warn(("checks",), message, hint)
        return
    for name in (n for n in plan.components if n not in checked):
        message = (
            f"no check covers component {name}: a drill will not notice if the data of "
            f"{name} is wrong"
        )
        able = "sql or command" if _is_adopted(plan) else "rows, files or sql"
        report.warn(("components", name), message, f"add a check of kind {able} for {name}.")
    for at, check in zip(parsed.check_at, plan.checks, strict=True):
        component = plan.components.get(check.component or "")
        if component is None or not CHECKS[check.kind].compares:
            continue
        if _is_adopted(plan):
            message = (
                "this check cannot compare: another tool makes the copies, and does not "
                "count the rows or files of the source"
            )
            hint = "use a check of kind sql or command: this check makes every drill inconclusive."
            report.warn(("checks", at), message, hint)
        elif not KINDS[component.kind].fingerprints(component):
            message = (
                f"this check has nothing to compare with: component {check.component} has "
                "`fingerprint: off`"
            )
            report.warn(
                ("checks", at), message, "set `fingerprint: counts`, or use checks of kind sql."
            )


def _runbook(parsed: Parsed, report: Report) -> None:
    if parsed.file.runbook is None:
        return
    steps = runbook.steps(parsed.file)
    restored = {name for step in steps if step.kind == "restore" for name in step.subjects}
    checked = {name for step in steps if step.kind == "check" for name in step.subjects}
    for name in (n for n in parsed.file.components if n not in restored):
        message = (
            f"no step of the runbook restores component {name}: recoveries will leave {name} out"
        )
        report.warn(("components", name), message, f"add {name} to a restore step.")
    for at, check in zip(parsed.check_at, parsed.file.checks, strict=True):
        if check.name not in checked:
            message = f'no step of the runbook runs the check "{check.name}"'
            report.warn(("checks", at), message, "add a step `check: all` after the restore.")


def _targets(parsed: Parsed, report: Report) -> None:
    for target, places in parsed.targets.items():
        missing = [n for n in parsed.file.components if n not in places]
        if missing:
            names = ", ".join(missing)
            message = (
                f"this target has no place for {names}: a recovery to it does not restore {names}"
            )
            report.warn(("targets", target), message, "add a place for each component.")
        for name, settings in places.items():
            for source, component in parsed.file.components.items():
                same = component.kind == parsed.kinds[name]
                if same and KINDS[component.kind].is_source(component, settings):
                    message = (
                        f"this place is the source of component {source}: a recovery to it "
                        "needs --in-place"
                    )
                    report.warn(
                        ("targets", target, name),
                        message,
                        "give another place, if this target is not meant to be production.",
                    )

"""Contradictions between the parts of a plan, which a schema cannot find."""

from __future__ import annotations

from drd.checks.settings import CheckSettings
from drd.config.copies import check_copies
from drd.config.erasures_logic import check_erasures
from drd.config.parse import Parsed
from drd.config.problems import Report, nearest, reported, require_whole_path
from drd.config.runbook_logic import check_runbook
from drd.config.schema import S3, HookSettings, RepositorySettings
from drd.config.timing_logic import check_timing
from drd.config.yaml import Path
from drd.fields import Settings
from drd.model.location import normal_url
from drd.model.malformed import Malformed
from drd.model.plan import IN_PLACE, OWN_COMPONENT
from drd.registry import CHECKS, KINDS

RESERVED = (OWN_COMPONENT, "manifest")


def check_logic(parsed: Parsed, report: Report) -> None:
    """Report every contradiction between valid parts; broken parts are not checked again."""
    _objectives(parsed, report)
    _components(parsed, report)
    _repositories(parsed, report)
    check_timing(parsed, report)
    _checks(parsed, report)
    check_runbook(parsed, report)
    check_erasures(parsed, report)
    for target, places in parsed.targets.items():
        if target == IN_PLACE:
            message = f'the name "{target}" is reserved: it means the sources of the components'
            report.error(("targets", target), message, "choose another name.", of_key=True)
        for component, settings in places.items():
            _contradictions(settings, ("targets", target, component), report)


def _objectives(parsed: Parsed, report: Report) -> None:
    objectives = parsed.file.objectives
    if objectives.window < objectives.rpo and not report.is_broken(("objectives",)):
        message = "is shorter than the RPO, so the attainment has no meaning"
        report.error(("objectives", "window"), message, "write some days, like 90d.")


def _components(parsed: Parsed, report: Report) -> None:
    if not parsed.kinds and not report.is_broken(("components",)):
        report.error(
            ("components",),
            "a plan without a component protects nothing",
            "add a component under `components`.",
        )
    for name in (n for n in parsed.kinds if n in RESERVED):
        message = f'the name "{name}" is reserved: drd uses it for its own snapshots'
        report.error(("components", name), message, "choose another name.", of_key=True)
    for name, component in parsed.file.components.items():
        path = ("components", name)
        _contradictions(component, path, report)
        for hook in ("before", "after"):
            hook_settings: HookSettings | None = getattr(component, hook)
            if hook_settings is not None:
                require_whole_path(hook_settings.command, (*path, hook, "command", 0), report)


def _contradictions(settings: Settings, path: Path, report: Report) -> None:
    """Report what settings say about their own errors, and about the commands that they name."""
    with reported(report, path):
        for wrong in settings.contradictions():
            report.error((*path, *wrong.path), wrong.message, wrong.hint, of_key=wrong.of_key)
        for below, words in settings.all_commands():
            require_whole_path(words, (*path, *below, 0), report)


# --- repositories ---------------------------------------------------------------------------


def _repositories(parsed: Parsed, report: Report) -> None:
    names = _names_of(report, "repositories")
    if not names and not report.is_broken(("repositories",)):
        hint = "add a repository with url and password under `repositories`."
        report.error(("repositories",), "a plan without a repository stores nothing", hint)
    for name, repository in parsed.file.repositories.items():
        _repository(repository, ("repositories", name), report)
    check_copies(parsed, report)


def _names_of(report: Report, section: str) -> list[str]:
    names = report.document.data.get(section)
    return list(names) if isinstance(names, dict) else []


def _repository(repository: RepositorySettings, path: Path, report: Report) -> None:
    if repository.url.startswith("/"):
        if repository.s3 is not None:
            hint = "remove `s3`, or write the URL as s3:https://host/bucket/prefix."
            report.error((*path, "s3"), "does not apply to a local repository", hint, of_key=True)
        return
    try:
        normal_url(repository.url)
    except ValueError as error:
        _value_error(error, (*path, "url"), report, "write s3:https://host/bucket/prefix")
    if repository.s3 is not None:
        _keys(repository.s3, (*path, "s3"), report)


def _keys(s3: S3, path: Path, report: Report) -> None:
    for given, missing in (("access_key", "secret_key"), ("secret_key", "access_key")):
        if getattr(s3, given) is not None and getattr(s3, missing) is None:
            hint = "give both; or neither, to use the role of the cloud instance."
            report.error((*path, given), f"also needs `{missing}`", hint, of_key=True)
    if s3.session_token is not None and s3.access_key is None and s3.secret_key is None:
        message = "needs `access_key` and `secret_key`"
        report.error((*path, "session_token"), message, "give all three.", of_key=True)


def _value_error(error: ValueError, path: Path, report: Report, remedy: str) -> None:
    """Return the message of a parser; `remedy` if the parser knows none."""
    malformed = Malformed.of(error)
    report.error(
        path, malformed.fact[:1].lower() + malformed.fact[1:], f"{malformed.remedy or remedy}."
    )


# --- checks ---------------------------------------------------------------------------------


def _checks(parsed: Parsed, report: Report) -> None:
    first: dict[str, int] = {}
    for at, check in zip(parsed.check_at, parsed.file.checks, strict=True):
        path: Path = ("checks", at)
        if check.name in first:
            line = report.document.line(("checks", first[check.name], "name"))
            message = f'line {line} already has a check called "{check.name}"'
            report.error((*path, "name"), message, "give each check its own name.")
        first.setdefault(check.name, at)
        _subject(check, path, parsed, report)
        _contradictions(check, path, report)


def _subject(check: CheckSettings, path: Path, parsed: Parsed, report: Report) -> None:
    if check.component is None or not parsed.kinds:
        return
    where = (*path, "component")
    kind = parsed.kinds.get(check.component)
    if kind is None:
        hint = nearest(check.component, list(parsed.kinds))
        report.error(where, f'there is no component "{check.component}"', hint)
        return
    fits = CHECKS[check.kind].fits
    if kind not in KINDS or report.has_broken(("components", check.component)):
        return
    if not fits(KINDS[kind]):
        message = (
            f"a {check.kind} check cannot read component {check.component}, which is of kind {kind}"
        )
        able = " and ".join(spec.name for spec in KINDS if fits(spec))
        report.error(where, message, f"this kind of check reads {able} components.")

"""Contradictions between the parts of a plan, which a schema cannot find."""

from __future__ import annotations

from collections.abc import Iterable

from drd.checks.settings import CheckSettings
from drd.config.adopted import NO_PASSWORD, check_adopted
from drd.config.consistency_logic import check_consistency
from drd.config.copies import check_copies
from drd.config.erasures_logic import check_erasures
from drd.config.instant_logic import check_instant
from drd.config.inventory_logic import check_inventory
from drd.config.log_logic import check_logs
from drd.config.own_objectives import check_own_objectives
from drd.config.parse import Parsed
from drd.config.problems import Report, nearest, reported, require_whole_path
from drd.config.runbook_logic import check_runbook
from drd.config.schema import S3, WHOLE_LOSS, HookSettings, RepositorySettings
from drd.config.scheme_settings import SECTIONS
from drd.config.timing_logic import check_timing
from drd.config.yaml import Path
from drd.fields import Contradiction, Settings
from drd.model.location import is_s3, normal_url
from drd.model.malformed import Malformed
from drd.model.plan import IN_PLACE, OWN_COMPONENT
from drd.model.schemes import SCHEMES, scheme_of
from drd.registry import CHECKS, KINDS

RESERVED = (OWN_COMPONENT, "manifest")


def check_logic(parsed: Parsed, report: Report) -> None:
    """Report every contradiction between valid parts; broken parts are not checked again."""
    _objectives(parsed, report)
    _components(parsed, report)
    check_consistency(parsed, report)
    _repositories(parsed, report)
    check_timing(parsed, report)
    check_instant(parsed, report)
    check_logs(parsed, report)
    check_own_objectives(parsed, report)
    _checks(parsed, report)
    check_runbook(parsed, report)
    check_erasures(parsed, report)
    check_inventory(parsed, report)
    for target, places in parsed.targets.items():
        if target == IN_PLACE:
            message = f'the name "{target}" is reserved: it means the sources of the components'
            report.error(("targets", target), message, "choose another name.", of_key=True)
        for component, settings in places.items():
            path = ("targets", target, component)
            _contradictions(settings, path, report)
            source = parsed.file.components.get(component)
            if source is not None and not report.is_broken(path):
                with reported(report, path):
                    _report(KINDS[source.kind].misfits(source, settings), path, report)


def _objectives(parsed: Parsed, report: Report) -> None:
    objectives = parsed.file.objectives
    if objectives.window < objectives.rpo and not report.is_broken(("objectives",)):
        message = (
            "is shorter than the RPO, so drd cannot calculate how often the RPO was kept in "
            "this time"
        )
        report.error(("objectives", "window"), message, "write some days, like 90d.")


def _components(parsed: Parsed, report: Report) -> None:
    if not parsed.kinds and not report.is_broken(("components",)):
        report.error(
            ("components",),
            "the plan does not have a component to protect",
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
        _report(settings.contradictions(), path, report)
        for below, words in settings.all_commands():
            require_whole_path(words, (*path, *below, 0), report)


def _report(found: Iterable[Contradiction], path: Path, report: Report) -> None:
    for wrong in found:
        place = (*path, *wrong.path)
        if wrong.warns:
            report.warn(place, wrong.message, wrong.hint)
        else:
            report.error(place, wrong.message, wrong.hint, of_key=wrong.of_key)


# --- repositories ---------------------------------------------------------------------------


def _repositories(parsed: Parsed, report: Report) -> None:
    names = _names_of(report, "repositories")
    if not names and not report.is_broken(("repositories",)):
        hint = "add a repository with url and password under `repositories`."
        report.error(
            ("repositories",), "the plan does not have a repository to store backups in", hint
        )
    for name, repository in parsed.file.repositories.items():
        _repository(repository, ("repositories", name), report)
    check_copies(parsed, report)
    check_adopted(parsed, report)


def _names_of(report: Report, section: str) -> list[str]:
    names = report.document.data.get(section)
    return list(names) if isinstance(names, dict) else []


def _repository(repository: RepositorySettings, path: Path, report: Report) -> None:
    if repository.password is None and repository.made_by not in NO_PASSWORD:
        hint = f"add the key `password`: {WHOLE_LOSS[:1].lower()}{WHOLE_LOSS[1:]}"
        report.error((*path, "password"), "password is missing", hint, of_key=True)
    if repository.command is not None:
        _contradictions(repository.command, (*path, "command"), report)
    if repository.pgbackrest is not None:
        _contradictions(repository.pgbackrest, (*path, "pgbackrest"), report)
    scheme = scheme_of(repository.url)
    try:
        normal_url(repository.url)
    except ValueError as error:
        form = scheme.form if scheme is not None else "s3:https://host/bucket/prefix"
        _value_error(error, (*path, "url"), report, f"write {form}")
    name = scheme.name if scheme is not None else "s3" if is_s3(repository.url) else ""
    _foreign_sections(repository, name, path, report)
    if repository.s3 is not None and name == "s3":
        _keys(repository.s3, (*path, "s3"), report)
    if scheme is None:
        return
    section = getattr(repository, name)
    required = [key for key, setting in scheme.settings.items() if setting.required]
    if section is not None:
        _contradictions(section, (*path, name), report)
    elif required and not report.is_broken((*path, name)):
        keys = ", ".join(f"{key}: …" for key in required)
        message = f"a repository at {name}: needs the section `{name}`"
        report.error((*path, "url"), message, f"add `{name}: {{{keys}}}` to the repository.")


def _foreign_sections(repository: RepositorySettings, own: str, path: Path, report: Report) -> None:
    """Report the sections for other schemes than that of the URL."""
    for other in ("s3", *SECTIONS):
        if other == own or getattr(repository, other) is None:
            continue
        what = f"a repository at {own}:" if own else "a local repository"
        form = SCHEMES[other].form if other in SCHEMES else "s3:https://host/bucket/prefix"
        hint = f"remove `{other}`, or write the URL as {form}."
        report.error((*path, other), f"does not apply to {what}", hint, of_key=True)


def _keys(s3: S3, path: Path, report: Report) -> None:
    for given, missing in (("access_key", "secret_key"), ("secret_key", "access_key")):
        if getattr(s3, given) is not None and getattr(s3, missing) is None:
            hint = "add the missing key. To use the role of the cloud instance, remove both keys."
            report.error((*path, given), f"also needs `{missing}`", hint, of_key=True)
    if s3.session_token is not None and s3.access_key is None and s3.secret_key is None:
        message = "works only together with `access_key` and `secret_key`, which are missing"
        hint = "add both, or remove `session_token`."
        report.error((*path, "session_token"), message, hint, of_key=True)


def _value_error(error: ValueError, path: Path, report: Report, remedy: str) -> None:
    """Return the message of a parser; `remedy` if the parser knows none."""
    malformed = Malformed.of(error)
    fact = malformed.fact[:1].lower() + malformed.fact[1:]
    report.error(path, fact, malformed.hint(remedy))


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
    spec = KINDS[kind]
    message = f"a {check.kind} check cannot read component {check.component}"
    if not fits(spec):
        able = " and ".join(spec.name for spec in KINDS if fits(spec))
        hint = f"this kind of check reads {able} components."
        report.error(where, f"{message}, which is of kind {kind}", hint)
        return
    own = spec.of(parsed.file.components[check.component])
    needed = CHECKS[check.kind].needs(check)
    if needed is not None and needed not in own.can:
        cannot = f"component {check.component}, of kind {kind}, cannot {needed}"
        report.error((*path, "database"), cannot, "leave out `database` of this check.")
        return
    if fits(own):
        return
    alone = ((a, r, spec.without_abilities({a: r})) for a, r in own.remedies.items())
    lacking = {ability: remedy for ability, remedy, without in alone if not fits(without)}
    why = f"{message}, which cannot {' and '.join(lacking)}"
    report.error(where, why, " ".join(lacking.values()))

"""Check drd.yaml as `drd plan check` checks plans: everything that can be known from the file,
before the daemon reads it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from drd import secrets
from drd.config.contact_keys import tried_keys
from drd.config.daemon import DaemonSettings, load_settings
from drd.config.intake import load_mapping
from drd.config.paths import DEFAULT_STATE
from drd.config.plan_search import plans_by_name
from drd.config.reading import read_bytes
from drd.config.references import written_references
from drd.config.yaml import Document, dotted, read
from drd.errors import ConfigError, Problem
from drd.model.incidents.rules import OpeningRule
from drd.model.text import some
from drd.presence import is_gone

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class CheckedSettings:
    """`settings` is None if there is a problem. `fine` are the top keys of the file without
    problems. `unread` are the credentials that this user may not look for."""

    file: Path
    settings: DaemonSettings | None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    fine: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def check_settings(file: Path, *, explicit: bool) -> CheckedSettings:
    """Check drd.yaml. Resolves no secret, contacts no service and changes nothing."""
    settings: DaemonSettings | None = None
    problems: tuple[Problem, ...] = ()
    try:
        settings = load_settings(file, explicit=explicit)
    except ConfigError as error:
        problems = tuple(error.problems)
    if settings is not None and settings.file is None:
        return CheckedSettings(file, settings)
    try:
        document = read(read_bytes(file, what="configuration")[0], str(file), allow_empty=True)
    except ConfigError:
        return CheckedSettings(file, None, problems)
    data: object = document.data
    keys = [str(key) for key in data] if isinstance(data, dict) else []
    wrong = {problem.path.partition(".")[0].partition("[")[0] for problem in problems}
    warnings: list[Problem] = []
    if settings is not None:
        warnings = [*settings.warnings, *_absent_places(settings, document, file)]
        warnings += _far_places(settings, document, file)
        warnings += _idle_rules(settings, document, file)
        warnings += _absent_secrets(settings, document, file)
        warnings += _unusable_keys(settings, document, file)
        problems = tuple(_of_mapping(settings))
        wrong |= {"incident"} if problems else set()
    unread = []
    for path, name in _credentials(document.data):
        there = _is_there(secrets.CREDENTIALS / name)
        if there is None:
            unread.append(name)
        elif not there:
            warnings.append(_missing_credential(document, path, name, file))
    return CheckedSettings(
        file,
        settings if not problems else None,
        problems,
        tuple(sorted(warnings, key=lambda problem: problem.line)),
        tuple(key for key in keys if key not in wrong),
        tuple(dict.fromkeys(unread)),
    )


def _of_mapping(settings: DaemonSettings) -> Iterator[Problem]:
    """The problems of the file that says how alerts of other systems are read, if there is one."""
    if settings.intake.mapping:
        try:
            load_mapping(Path(settings.intake.mapping))
        except ConfigError as error:
            yield from error.problems


def _absent_places(settings: DaemonSettings, document: Document, file: Path) -> Iterator[Problem]:
    places: list[tuple[KeyPath, Path]] = [(("plans",), settings.plans_dir)]
    if settings.regimes_dir is not None:
        places.append((("regimes",), settings.regimes_dir))
    if settings.playbooks_dir is not None:
        places.append((("playbooks",), settings.playbooks_dir))
    if settings.exercises_dir is not None:
        places.append((("exercises",), settings.exercises_dir))
    if settings.templates_dir is not None:
        places.append((("templates",), settings.templates_dir))
    if settings.awareness_dir is not None:
        places.append((("awareness",), settings.awareness_dir))
    if settings.metrics_textfile is not None:
        places.append((("metrics", "textfile"), settings.metrics_textfile.parent))
    for path, place in places:
        if _is_there(place) is False:
            hint = f"make it: mkdir -p {shlex.quote(str(place))}"
            yield _warning(document, path, f"the directory {place} does not exist", hint, file)


def _absent_secrets(settings: DaemonSettings, document: Document, file: Path) -> Iterator[Problem]:
    """Warn of files of secrets that are not there; credentials are checked apart."""
    known = set(secrets.references(settings))
    for path, ref in written_references(document.data):
        if ref not in known or ref.source != "file" or not is_gone(str(ref.value)):
            continue
        message = f"the file {ref.value} does not exist"
        hint = f"write the secret to {ref.value} (owner root, mode 0600)."
        yield _missing(document, path, message, hint, file)


def _unusable_keys(settings: DaemonSettings, document: Document, file: Path) -> Iterator[Problem]:
    """Warn of the PGP keys of contacts to which this host cannot encrypt."""
    for index, _, error in tried_keys(settings):
        if error is not None:
            path = ("contacts", index, "pgp")
            yield _warning(document, path, error.message, error.hint, file)


def _far_places(settings: DaemonSettings, document: Document, file: Path) -> Iterator[Problem]:
    """Warn of an own `state` without own places for the rest, which then stays at the usual ones:
    two installations would share them."""
    state, data = settings.state_dir, document.data
    usual = Path(DEFAULT_STATE.removeprefix("sqlite:///")).parent
    if state is None or state == usual or not isinstance(data, dict):
        return
    for key, place, used in (
        ("work_dir", settings.work_dir, "drills restore into"),
        ("cache_dir", settings.cache_dir, "restic keeps its cache in"),
    ):
        if key not in data:
            message = f"the state is in {state}, but {used} {place}, because `{key}` is missing"
            beside = state.parent / key.removesuffix("_dir")
            hint = f"if {place} is intended, add {key}: {place}. If not, add {key}: {beside}"
            yield _warning(document, ("state",), message, hint, file)


def _idle_rules(settings: DaemonSettings, document: Document, file: Path) -> Iterator[Problem]:
    """Warn of a rule for opening incidents that names no plan there is, or no tier of its plans."""
    rules = settings.opening_rules
    names = plans_by_name(settings.plans_dir) if rules else {}
    for number, rule in enumerate(rules):
        path = ("incident", "open", number)
        if rule.plans and not any(fnmatchcase(name, rule.plans) for name in names):
            message = f'no plan matches "{rule.plans}": this rule opens no incident'
            hint = f"correct the pattern. Plans: {some(names, 10) or 'none'}"
            yield _warning(document, (*path, "plans"), message, hint, file)
        elif rule.tier is not None:
            tiers = {
                name: _most_important(files)
                for name, files in names.items()
                if not rule.plans or fnmatchcase(name, rule.plans)
            }
            if all(tier is None or tier > rule.tier for tier in tiers.values()):
                yield _warning(document, (*path, "tier"), *_no_tier(rule, tiers), file)


def _no_tier(rule: OpeningRule, tiers: Mapping[str, int | None]) -> tuple[str, str]:
    which = "the plans of this rule" if rule.plans else "the plans"
    more = f" or a more important one (1 to {rule.tier})" if rule.tier != 1 else ""
    known = [f"{name} has {tier or 'no tier'}" for name, tier in tiers.items()]
    hint = f"correct the tier here, or write `tier: {rule.tier}` into a plan. Tiers now: "
    return (
        f"none of {which} has tier {rule.tier}{more}: this rule opens no incident",
        f"{hint}{some(known, 10) or 'there is no plan'}",
    )


def _most_important(files: Iterable[Path]) -> int | None:
    """Return the tier of the plan with these files. One that cannot be read counts as the most
    important, as it does for the daemon."""
    tiers = [_tier(file) for file in files]
    return min((tier for tier in tiers if tier is not None), default=None)


def _tier(file: Path) -> int | None:
    try:
        data = read(read_bytes(file, what="plan")[0], str(file)).data
    except ConfigError:
        return 1
    tier = data.get("tier") if isinstance(data, dict) else 1
    return tier if tier is None or isinstance(tier, int) else 1


def _credentials(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Return every credential that the file names, with its place."""
    if isinstance(value, Mapping):
        name = value.get("credential")
        if len(value) == 1 and isinstance(name, str) and name:
            yield path, name
        for key, inner in value.items():
            yield from _credentials(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _credentials(inner, (*path, index))


def _missing_credential(document: Document, path: KeyPath, name: str, file: Path) -> Problem:
    place = secrets.CREDENTIALS / name
    hint = f"write the secret into {place} with mode 0600, then: systemctl restart drd"
    return _missing(document, path, f"credential {name} does not exist: {place}", hint, file)


def _missing(document: Document, path: KeyPath, message: str, hint: str, file: Path) -> Problem:
    """Return the warning that a secret is not there. drd itself makes the key of the records."""
    if path == ("records", "key"):
        message += ". Without it, drd does not sign entries of the records and restore points"
        hint = "if there was a key before, restore its file. Otherwise make a key: drd records init"
    return _warning(document, path, message, hint, file)


def _warning(document: Document, path: KeyPath, message: str, hint: str, file: Path) -> Problem:
    return Problem(str(file), document.line(path), dotted(path), message, hint, "warning")


def _is_there(path: Path) -> bool | None:
    """Return whether it exists; None if this user may not know."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    return True

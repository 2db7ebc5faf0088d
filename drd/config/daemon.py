"""drd's own settings."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from drd import registry
from drd.config.address import loopback
from drd.config.contacts import contact_book
from drd.config.daemon_schema import DaemonFile
from drd.config.enduring import as_far_as_possible, read_parts
from drd.config.extensions import use_extensions
from drd.config.intake import intake_settings
from drd.config.json_schema import SchemaView
from drd.config.kit import sharing, watch
from drd.config.notify import channels
from drd.config.paths import DEFAULT_CONFIG, NOT_A_MAPPING, missing, place, public_of, state_url
from drd.config.plan_path import PlanPath
from drd.config.problems import Report, nearest
from drd.config.reading import read_reached
from drd.config.timestamps import authority, require_library
from drd.config.translation import translate
from drd.config.yaml import read
from drd.config.zones import host_zone
from drd.errors import ConfigError, Problem
from drd.model.alerts import Rules
from drd.model.contacts import ContactBook
from drd.model.incidents.approval import ApprovalRule
from drd.model.incidents.cadence import UPDATES_S, Cadence
from drd.model.incidents.intake_rules import IntakeSettings
from drd.model.incidents.rules import OpeningRule
from drd.model.incidents.states import SEVERITIES
from drd.model.message import ChannelSpec
from drd.model.package_names import normal_name
from drd.model.plan import RECORDS_KEY, KitWatch, SecretRef
from drd.model.sharing import Sharing
from drd.model.text import some
from drd.model.timestamps import Authority


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """drd.yaml with defaults applied and every path absolute.

    `file` is None if there is none and defaults are used. `warnings` are about accepted settings
    that should be checked. `metrics_http` is an address on loopback and a port. `channels` are in
    the order of the file, including heartbeats. `people` are their names, `roles` has by name what
    each of them may decide, `users` the name by system user. `own_public_dir` and `own_records_key`
    are the values in the file. Members of `read_group` may read `public_dir`, members of
    `operate_group` may also request runs. `left_out` are the errors of broken entries that an
    enduring command leaves out. `regimes_dir` contains the installation's own regimes. `facts` are
    the facts about the organisation, `contacts` the people to call in an incident."""

    state_url: str
    plans_dir: Path
    work_dir: Path
    cache_dir: Path
    run_as: str = "drd"
    runs: int = 4
    drills: int = 1
    per_repository: int = 2
    backups: int = 4
    copies: int = 2
    maintenance: int = 1
    per_host: int = 2
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_textfile: Path | None = None
    metrics_http: tuple[str, int] | None = None
    channels: tuple[ChannelSpec, ...] = ()
    extensions: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    kit_required: bool = False
    kit_recipients: tuple[str, ...] = ()
    kit_shares: Sharing | None = None
    kit_watch: KitWatch | None = None
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    alert_rules: Rules = field(default_factory=Rules)
    own_public_dir: Path | None = None
    read_group: str = "drd"
    operate_group: str = "drd-operator"
    state_password: SecretRef | None = None
    own_records_key: SecretRef | None = None
    authority: Authority | None = None
    keep_bodies_s: float | None = None
    triage_s: float = 3600.0
    opening_rules: tuple[OpeningRule, ...] = ()
    severities: tuple[str, ...] = SEVERITIES
    intake: IntakeSettings = field(default_factory=IntakeSettings)
    role_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    approval: ApprovalRule = field(default_factory=ApprovalRule)
    regimes_dir: Path | None = None
    templates_dir: Path | None = None
    playbooks_dir: Path | None = None
    exercises_dir: Path | None = None
    awareness_dir: Path | None = None
    jurisdictions: tuple[str, ...] = ()
    facts: Mapping[str, bool | int | str] = field(default_factory=dict)
    timezone: str | None = None
    cadence: Cadence = field(default_factory=lambda: Cadence(1800.0, UPDATES_S))
    contacts: ContactBook = field(default_factory=ContactBook)
    file: Path | None = None
    warnings: tuple[Problem, ...] = ()
    left_out: tuple[Problem, ...] = ()

    def require(self, *keys: str) -> None:
        """Raise ConfigError if an entry of these keys was left out because it is broken."""
        wrong = [p for p in self.left_out if re.split(r"[.\[]", p.path)[0] in keys]
        if wrong:
            raise ConfigError(wrong)

    @property
    def public_dir(self) -> Path:
        """The directory with files for other users than the service's: the status summary, the
        socket."""
        return self.own_public_dir or Path(public_of(self.state_url))

    @property
    def records_key(self) -> SecretRef:
        """The place of the key that signs the records."""
        return self.own_records_key or RECORDS_KEY

    @property
    def known_roles(self) -> frozenset[str]:
        """All roles that people hold."""
        return frozenset(role for roles in self.roles.values() for role in roles)

    @property
    def database(self) -> Path | None:
        """The file of the SQLite catalogue; None when the state is elsewhere."""
        if not self.state_url.startswith("sqlite:///"):
            return None
        return Path(self.state_url.removeprefix("sqlite:///").partition("?")[0])

    @property
    def state_dir(self) -> Path | None:
        """The directory of the SQLite catalogue; None when the state is elsewhere."""
        return self.database.parent if self.database is not None else None


def load_settings(
    path: Path | None, *, explicit: bool, extended: bool = True, enduring: bool = False
) -> DaemonSettings:
    """Read drd.yaml. If it does not exist, use defaults, unless the path was given explicitly. Then
    this process has everything that the extensions add. Quick commands read drd.yaml without
    extensions and channels (not `extended`). Commands that must work in an emergency are
    `enduring`: broken entries that they do not need are left out, and their errors are in
    `left_out`. Raises ConfigError with every problem."""
    chosen = path or Path(DEFAULT_CONFIG)
    if _is_missing(chosen):
        if explicit:
            raise ConfigError([missing(str(chosen))])
        return _settings_without_file(chosen)

    raw, reached = read_reached(chosen, what="configuration")

    def checked(report: Report) -> DaemonSettings:
        return _checked(report, chosen, reached, extended=extended)

    if not enduring:
        return checked(Report(read(raw, str(chosen), allow_empty=True)))
    document, unread = read_parts(raw, str(chosen))
    settings, left_out = as_far_as_possible(document, checked)
    return replace(settings, left_out=(*unread, *left_out))


def _checked(report: Report, file: Path, reached: PlanPath, *, extended: bool) -> DaemonSettings:
    """Return the settings. Raises ConfigError with the errors of the report."""
    with registry.unless_refused():
        if extended:
            _extend(report, reached)
        checked = _validated(report, extended=extended)
        if checked is None or report.errors:
            raise ConfigError(report.errors)

        if extended:
            require_library(checked.records.timestamp, report)
        channel_specs = channels(checked.notify, report)
        book = _contacts(checked, report, channel_specs if extended else None)
        _require_approvers(checked, report)
        if report.errors:
            raise ConfigError(report.errors)
        return replace(_settings(checked, file, report, channel_specs), contacts=book)


def _contacts(file: DaemonFile, report: Report, known: Sequence[ChannelSpec] | None) -> ContactBook:
    """Return whom to call in an incident; without `known` channels, theirs are not looked for."""
    carry = None if known is None else {c.name: c.on for c in known if not c.is_heartbeat}
    zone = file.organisation.timezone or host_zone()
    entries = file.contacts, file.on_call, file.absences
    return contact_book(file.people, *entries, zone, report, carry)


def _require_approvers(file: DaemonFile, report: Report) -> None:
    """Report roles of approvers that nobody has: no message could leave."""
    held = sorted({role for person in file.people for role in person.roles})
    for index, role in enumerate(file.incident.approval.roles):
        if role not in held:
            report.error(
                ("incident", "approval", "roles", index),
                f'no person under `people` has the role "{role}"',
                nearest(role, held) if held else "give the role to a person under `people`.",
            )


def _extend(report: Report, reached: PlanPath) -> None:
    """Put what the extensions add in use. `reached` is the file that was read. Errors in the list
    itself are found when the whole file is validated."""
    data = report.data
    named = data.get("extensions") if isinstance(data, dict) else None
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        named = []
    use_extensions(named, report, reached)


def _is_missing(path: Path) -> bool:
    """Return whether it is missing; one that we may not read is not: reading it reports that."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _validated(report: Report, *, extended: bool) -> DaemonFile | None:
    data = report.data
    if not isinstance(data, dict):
        report.error((), "is not a mapping", NOT_A_MAPPING)
        return None
    if not extended:
        data = {key: value for key, value in data.items() if key != "notify"}
    try:
        return DaemonFile.model_validate(data)
    except ValidationError as error:
        translate(error, report, SchemaView(DaemonFile), data=data)
        _contradictions_of_the_rest(data, error, report)
        return None


def schema_errors(text: str, file: str) -> str:
    """Return the first errors of the text of a drd.yaml; empty if it has none. If the text names
    extensions, its channels are not checked, because these extensions are not in use yet."""
    try:
        report = Report(read(text.encode(), file, allow_empty=True))
        named = isinstance(report.data, dict) and report.data.get("extensions")
        _validated(report, extended=not named)
    except ConfigError as error:
        return error.line or error.message
    return some([str(problem) for problem in report.errors], 3, between="; ")


def _contradictions_of_the_rest(
    data: Mapping[str, Any], broken: ValidationError, report: Report
) -> None:
    """Check the sound entries of `notify` as well, so that all problems are told at once."""
    entries = data.get("notify")
    if not isinstance(entries, list):
        return
    wrong = {
        at["loc"][1] for at in broken.errors() if at["loc"][:1] == ("notify",) and at["loc"][1:]
    }
    sound = [index for index in range(len(entries)) if index not in wrong]
    with suppress(ValidationError):
        file = DaemonFile.model_validate({"notify": [entries[index] for index in sound]})
        channels(file.notify, report, sound)


def _settings(
    file: DaemonFile, path: Path, report: Report, found: tuple[ChannelSpec, ...]
) -> DaemonSettings:
    base = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 (as location.py does)
    textfile, http = file.metrics.textfile, file.metrics.http
    return DaemonSettings(
        state_url=state_url(file.state.url, base),
        state_password=file.state.password,
        own_records_key=file.records.key,
        authority=authority(file.records.timestamp, base),
        keep_bodies_s=file.records.keep_bodies,
        triage_s=file.incident.triage,
        opening_rules=tuple(
            OpeningRule(rule.alert or "", rule.severity or "", rule.plans or "", rule.tier)
            for rule in file.incident.open
        ),
        severities=tuple(file.incident.severities),
        cadence=Cadence(
            0.0 if file.incident.first_update == "none" else file.incident.first_update,
            {
                word: seconds
                for word, seconds in file.incident.updates.items()
                if word in file.incident.severities
            },
        ),
        intake=intake_settings(file.incident.intake, base),
        role_keys={name: tuple(role.age) for name, role in file.incident.roles.items()},
        approval=ApprovalRule(
            tuple(file.incident.approval.roles), file.incident.approval.two_person
        ),
        plans_dir=Path(place(file.plans, base)),
        work_dir=Path(place(file.work_dir, base)),
        regimes_dir=Path(place(file.regimes, base)) if file.regimes else None,
        templates_dir=Path(place(file.templates, base)) if file.templates else None,
        playbooks_dir=Path(place(file.playbooks, base)) if file.playbooks else None,
        exercises_dir=Path(place(file.exercises, base)) if file.exercises else None,
        awareness_dir=Path(place(file.awareness, base)) if file.awareness else None,
        jurisdictions=tuple(file.organisation.jurisdictions),
        facts=file.organisation.facts,
        timezone=file.organisation.timezone,
        cache_dir=Path(place(file.cache_dir, base)),
        own_public_dir=Path(place(file.public_dir, base)) if file.public_dir else None,
        run_as=file.run_as,
        runs=file.limits.runs,
        drills=file.limits.drills,
        per_repository=file.limits.per_repository,
        backups=file.limits.backups or file.limits.runs,
        copies=file.limits.copies,
        maintenance=file.limits.maintenance,
        per_host=file.limits.per_host,
        log_format=file.log.format,
        log_level=file.log.level,
        metrics_textfile=Path(place(textfile, base)) if textfile else None,
        metrics_http=loopback(http) if http else None,
        channels=found,
        extensions=tuple(normal_name(name) for name in file.extensions),
        people=tuple(person.name for person in file.people),
        kit_required=file.kit.required,
        kit_recipients=tuple(file.kit.recipients),
        kit_shares=sharing(file.kit),
        kit_watch=watch(file.kit, base),
        roles={person.name: tuple(person.roles) for person in file.people},
        users={person.user: person.name for person in file.people if person.user is not None},
        read_group=file.groups.read,
        operate_group=file.groups.operate,
        alert_rules=Rules(
            hold_s=file.alerts.hold,
            remind_s=file.alerts.remind,
            remind_critical_s=file.alerts.remind_critical,
        ),
        file=Path(os.path.abspath(path)),  # noqa: PTH100 (resolve would follow links)
        warnings=tuple(report.warnings),
    )


def _settings_without_file(path: Path) -> DaemonSettings:
    unset = DaemonFile()
    return DaemonSettings(
        state_url=unset.state.url,
        plans_dir=Path(place(unset.plans, str(path.absolute().parent))),
        work_dir=Path(unset.work_dir),
        cache_dir=Path(unset.cache_dir),
    )

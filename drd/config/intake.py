"""Alerts of other systems: the settings of drd.yaml, and the mapping file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from drd.config.address import loopback
from drd.config.incident_schema import IncidentIntake
from drd.config.json_schema import SchemaView
from drd.config.paths import NOT_A_MAPPING, place
from drd.config.problems import Report
from drd.config.reading import read_bytes
from drd.config.translation import translate
from drd.config.yaml import read
from drd.errors import ConfigError, Problem, UsageError
from drd.fields import Settings
from drd.model.incidents.intake_rules import IntakeSettings, PlanRule
from drd.model.intake.mapped import Mapped

JsonPath = Annotated[str, Field(min_length=1, max_length=200)]


class MappingFile(Settings):
    """Where the parts of an alert are in the JSON of another system. A path consists of keys and
    positions in lists, with dots between them: `alert.items.0.name`."""

    source: str = Field(
        pattern=r"^[a-z0-9-]{1,40}$", description="The name of the system: `wazuh`."
    )
    id: JsonPath = Field(
        description="The id of the problem in the other system: the same in all alerts about this "
        "problem."
    )
    title: JsonPath = Field(description="What happens, in a few words.")
    alerts: JsonPath | None = Field(
        None, description="The list of alerts (default: the JSON is one alert, or a list of them)."
    )
    text: JsonPath | None = Field(None, description="Details of the problem.")
    severity: JsonPath | None = Field(
        None, description="The severity, in the words of the other system."
    )
    time: JsonPath | None = Field(
        None, description="When the problem began: RFC 3339, or seconds or milliseconds since 1970."
    )
    plan: JsonPath | None = Field(None, description="The plans that the alert concerns.")
    labels: JsonPath | None = Field(
        None, description="An object whose values are labels, for `plans` of drd.yaml."
    )
    status: JsonPath | None = Field(
        None, description="The state of the problem: whether it is over."
    )
    resolved: list[Annotated[str, Field(min_length=1)]] = Field(
        ["resolved", "closed"],
        description="The values of `status` that mean that the problem is over.",
    )
    severities: dict[str, str] = Field(
        default_factory=dict,
        description="The severity in drd for each value of `severity`: `{12: high}`.",
    )


def intake_settings(section: IncidentIntake, base: str) -> IntakeSettings:
    """Return what drd.yaml says, with absolute paths."""
    return IntakeSettings(
        listen=loopback(section.listen) if section.listen else None,
        token=section.token,
        label=section.label,
        rules=tuple(PlanRule(rule.match, tuple(rule.plans)) for rule in section.plans),
        severities=section.severities,
        open_at_most=section.open_at_most,
        per_minute=section.per_minute,
        mapping=place(section.mapping, base) if section.mapping else "",
    )


def load_mapping(file: Path) -> Mapped:
    """Read a mapping file. Raises ConfigError with every problem."""
    if not file.exists():
        hint = "check the path: --mapping, or `incident: {intake: {mapping: FILE}}` in drd.yaml."
        raise ConfigError([Problem(str(file), 1, "", "there is no such file", hint)])
    document = read(read_bytes(file, what="mapping file")[0], str(file))
    report = Report(document)
    if not isinstance(document.data, dict):
        report.error((), "is not a mapping", NOT_A_MAPPING)
        raise ConfigError(report.errors)
    data = {key: _words(value) for key, value in document.data.items()}
    try:
        mapping_file = MappingFile.model_validate(data)
    except ValidationError as error:
        translate(error, report, SchemaView(MappingFile), data=data)
        raise ConfigError(report.errors) from None
    if report.errors:
        raise ConfigError(report.errors)
    return mapped(mapping_file)


def mapping_of(given: Mapping[str, Any]) -> Mapped:
    """Return the mapping of a request. Raises UsageError."""
    try:
        return mapped(MappingFile.model_validate({k: _words(v) for k, v in given.items()}))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        raise UsageError(
            f"mapping: {where}: {first['msg']}", hint="docs/intake.md lists all keys."
        ) from None


def mapped(file: MappingFile) -> Mapped:
    """Return the mapping of a file."""
    return Mapped(
        source=file.source,
        id=file.id,
        title=file.title,
        alerts=file.alerts or "",
        text=file.text or "",
        severity=file.severity or "",
        time=file.time or "",
        plan=file.plan or "",
        labels=file.labels or "",
        status=file.status or "",
        resolved=tuple(word.lower() for word in file.resolved),
        severities=file.severities,
    )


def _words(value: Any) -> Any:
    """Return keys of a table as text: a level of severity is often a number."""
    if isinstance(value, dict):
        return {str(key): each for key, each in value.items()}
    return value

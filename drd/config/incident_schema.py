"""The section `incident` of drd.yaml."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from drd.config.address import loopback
from drd.config.age_key import AgeKey
from drd.config.inventory import Tier
from drd.fields import Duration, DurationOrNone, Name, Secret, Settings
from drd.model.incidents.cadence import UPDATES_S
from drd.model.incidents.intake_rules import OPEN_AT_MOST, PER_MINUTE
from drd.model.incidents.states import SEVERITIES
from drd.model.intake.mapped import PLAN
from drd.model.malformed import Malformed
from drd.model.message import Urgency
from drd.model.nearest import closest
from drd.model.plan import SecretRef
from drd.model.titles import TITLES


def _different(words: list[str]) -> list[str]:
    twice = sorted({word for word in words if words.count(word) > 1})
    if twice:
        raise Malformed(f"contains the severity {twice[0]} twice", "name each severity once")
    return words


def _kind_of_alert(kind: str) -> str:
    if kind not in TITLES:
        near = closest(kind, TITLES)
        hint = f'did you mean "{near}"?' if near else "docs/alerts.md lists the kinds"
        raise Malformed(f'there is no kind of alert "{kind}"', hint)
    return kind


class IncidentRule(Settings):
    """Which alerts open an incident automatically: one for each rule and plan."""

    alert: Annotated[str, AfterValidator(_kind_of_alert)] | None = Field(
        None, description="Only alerts of this kind (docs/alerts.md)."
    )
    severity: Urgency | None = Field(
        None, description="Only alerts of at least this severity (default: `warning`)."
    )
    plans: str | None = Field(
        None,
        min_length=1,
        description="Only alerts of plans whose names match this pattern: `orders-*`.",
    )
    tier: Tier | None = Field(
        None,
        description="Only alerts of plans of this tier or a more important one: 1 is the most "
        "important.",
    )

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if self.alert is None and self.severity is None:
            raise Malformed(
                "has neither `alert` nor `severity`, so it would open an incident for every alert",
                "add `alert` or `severity`",
            )
        return self


def _listens(address: str) -> str:
    loopback(address)
    return address


def _read_at_once(ref: SecretRef | None) -> SecretRef | None:
    if ref is not None and ref.source not in ("credential", "file"):
        raise Malformed(
            "the token must be in a file", "write {credential: NAME} or {file: PATH}",
        )  # fmt: skip
    return ref


class PlansOfLabels(Settings):
    """Which plans an alert is about, by its labels."""

    match: dict[Annotated[str, Field(min_length=1)], str] = Field(
        min_length=1,
        description="A pattern for each label; all must match: `{namespace: orders-*}`.",
    )
    plans: list[Name] = Field(
        min_length=1, description="The plans that come into the scope of the incident."
    )


class IncidentIntake(Settings):
    """Alerts of other systems that open incidents: `drd incident open --from`."""

    listen: Annotated[str, AfterValidator(_listens)] | None = Field(
        None,
        description="Address and port on loopback on which drd accepts alerts, for example "
        "127.0.0.1:9474. drd does not accept other requests there. Default: drd "
        "does not listen.",
    )
    token: Annotated[Secret | None, AfterValidator(_read_at_once)] = Field(
        None,
        description="The token that the sender must have, of at least 16 characters: a credential "
        "or a file.",
    )
    label: str = Field(
        PLAN, min_length=1, description="The label that names the plans of an alert."
    )
    plans: list[PlansOfLabels] = Field(
        default_factory=list,
        description="The plans for alerts with other labels, in addition to `label`.",
    )
    severities: dict[str, str] = Field(
        default_factory=dict,
        description="The severity in drd for each word of other systems: `{page: critical}`. For a "
        "word that is neither here nor in `incident: {severities: […]}`, drd sets no severity.",
    )
    open_at_most: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        OPEN_AT_MOST,
        description="How many incidents that one source opened may be open at the same "
        "time. drd does not open more: it only counts the further alerts.",
    )
    per_minute: Annotated[int, Field(strict=True, ge=1, le=10_000)] = Field(
        PER_MINUTE,
        description="How many alerts of one source drd records within a minute.",
    )
    mapping: Annotated[str, Field(min_length=1, json_schema_extra={"format": "path"})] | None = (
        Field(
            None,
            description="Mapping file: where the parts of an alert are in the JSON of systems that "
            "are neither Alertmanager nor OCSF.",
        )
    )

    @model_validator(mode="after")
    def _has_a_token(self) -> Self:
        if self.listen is not None and self.token is None:
            raise Malformed(
                "has `listen`, but no `token`: every user of this host could open incidents",
                "add `token: {credential: NAME}`",
            )
        if self.token is not None and self.listen is None:
            raise Malformed(
                "has `token`, but no `listen`: without it drd does not use the token",
                "add `listen`, or remove `token`",
            )
        return self


class IncidentRole(Settings):
    """Who may read restricted entries of incidents wherever they leave this host."""

    age: list[AgeKey] = Field(
        min_length=1,
        description="The public keys of those who have the role (age1… or ssh-…). The "
        "entries of restricted incidents are encrypted to the keys of all roles "
        "in repositories and exports.",
    )


class IncidentApproval(Settings):
    """Who approves messages to people outside."""

    roles: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list,
        max_length=20,
        description="Only people with one of these roles of `people` may approve messages to "
        "people outside. Default: everybody who may respond to incidents.",
    )
    two_person: bool = Field(
        False,
        description="If true, whoever drafted a message cannot approve it. Both then need user "
        "accounts of their own, not root.",
    )


class Incidents(Settings):
    """How drd carries the response to an incident."""

    triage: Duration = Field(
        3600.0, description="The time within which somebody has to examine a reported suspicion."
    )
    open: list[IncidentRule] = Field(
        default_factory=list,
        description="Rules by which alerts of plans open an incident. A rule opens only one "
        "incident for each plan at a time. Only a person closes an incident.",
    )

    updates: dict[str, Duration] = Field(
        dict(UPDATES_S),
        description="The time between two updates to people, by severity. For a severity that is "
        "not listed here, drd promises no update.",
    )
    first_update: DurationOrNone = Field(
        1800.0,
        description="The time within which people must be informed that an incident was "
        "opened, or that its state changed. `none`: no time limit.",
    )

    severities: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=40)]],
        Field(min_length=1, max_length=20),
        AfterValidator(_different),
    ] = Field(
        list(SEVERITIES),
        description="The severities of incidents, the least severe first.",
    )
    roles: dict[Annotated[str, Field(min_length=1, max_length=40)], IncidentRole] = Field(
        default_factory=dict,
        description="The roles whose keys open restricted entries (docs/incidents.md).",
    )
    approval: IncidentApproval = IncidentApproval()
    intake: IncidentIntake = IncidentIntake()

    @model_validator(mode="after")
    def _knows_the_severities(self) -> Self:
        for word, severity in self.intake.severities.items():
            if severity not in self.severities:
                raise Malformed(
                    f'intake: severities: "{word}" becomes "{severity}", but `severities` does '
                    f'not contain "{severity}"',
                    f"use one of: {', '.join(self.severities)}",
                )
        return self

    @model_validator(mode="after")
    def _updates_of_severities(self) -> Self:
        unknown = [word for word in self.updates if word not in self.severities]
        if unknown and self.updates != UPDATES_S:
            known = ", ".join(self.severities)
            raise Malformed(
                f'`updates` contains "{unknown[0]}", but `severities` does not contain it',
                f"use one of: {known}",
            )
        return self

"""What a plan says about its service, apart from how to restore it: whom an incident affects, which
credentials must be replaced, and which risks are known. These keys are not part of the plan's hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from drd.config.readiness import day
from drd.fields import Contradiction, Name, Secret, Settings
from drd.model.inventory import Credential, DataSet, Inventory, Risk
from drd.model.malformed import Malformed
from drd.model.risks import cover

_RESIDENCE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_TABLE = re.compile(r"[a-z0-9-]{1,40}(\.\S+)?")
_SELECTS = re.compile(r"\s*(select|with)\b", re.IGNORECASE)

People = Annotated[int, Field(strict=True, ge=0, le=10_000_000_000)]


def _residents(value: Any) -> Any:
    """A list of codes means that their numbers are unknown."""
    for code in value if isinstance(value, list | dict) else ():
        if not _RESIDENCE.fullmatch(str(code)):
            raise Malformed(
                f'"{code}" is not a code of a country or state', "write a code like DE, FR or US-CA"
            )
    return dict.fromkeys(value) if isinstance(value, list) else value


Residents = Annotated[
    dict[str, People | None],
    BeforeValidator(_residents),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string", "pattern": _RESIDENCE.pattern}},
                {
                    "type": "object",
                    "additionalProperties": {"type": ["integer", "null"], "minimum": 0},
                },
            ],
            "examples": [["DE", "US-CA"], {"DE": 4000, "US-CA": 600}],
        }
    ),
]


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Malformed(f'"{text}" is not a URL', "write a URL like https://api.example.com/v1")
    if parts.password:
        raise Malformed("contains a password", "write the URL without the user and the password")
    return text


def _where(text: str) -> str:
    if not _TABLE.fullmatch(text):
        raise Malformed(
            f'"{text}" is not a component or table', "write COMPONENT or COMPONENT.TABLE"
        )
    return text


def _selects(query: str) -> str:
    if not _SELECTS.match(query) or ";" in query.strip().rstrip(";"):
        raise Malformed(
            "is not a single SELECT statement", "write one SELECT statement that counts people"
        )
    return query


class RotatedCredential(Settings):
    """A credential of the service, which has to be replaced after a leak."""

    name: Name = Field(description="Name of the credential, for `drd incident rotated`.")
    reference: Secret | None = Field(
        None, description="Where the service keeps the credential. drd does not read it."
    )
    rotate_with: Name | None = Field(
        None, description="Name of the playbook that replaces this credential."
    )


class AffectedData(Settings):
    """Data about people that the service has, which decides whom an incident affects and which
    deadlines run."""

    what: str = Field(
        min_length=1, description="Which data it is, for example `names and addresses`."
    )
    categories: list[str] = Field(
        default_factory=list,
        description="Categories of the data in your own words, for example `contact` or `payment`.",
    )
    special: bool = Field(
        False,
        description="If true, data of a special category (GDPR, article 9): health, religion, "
        "biometric data and others.",
    )
    people: People | None = Field(
        None,
        description="Number of people, as an estimate. drd uses this number if it cannot "
        "count (`count`).",
    )
    residents: Residents = Field(
        default_factory=dict,
        description="Where these people live, by codes of countries and states (ISO 3166): a list, "
        "or the number of people for each.",
    )
    where: list[Annotated[str, AfterValidator(_where)]] = Field(
        default_factory=list, description="The components or tables: COMPONENT or COMPONENT.TABLE."
    )
    count: Annotated[str, AfterValidator(_selects)] | None = Field(
        None,
        description="One SQL statement that counts the people. The result is one number, or "
        "rows with a residence and a number. drd queries the first component in "
        "`where`, and only in a sandbox.",
    )
    encrypted: bool | None = Field(
        None,
        description="Whether the data is encrypted, so that a thief cannot read it. Default: "
        "unknown.",
    )
    processors: list[str] = Field(
        default_factory=list, description="Other companies that process this data."
    )

    def contradictions(self) -> Iterable[Contradiction]:
        """Report a query without a component to ask."""
        if self.count is not None and not self.where:
            hint = "add `where: [COMPONENT.TABLE]`."
            yield Contradiction(("count",), "does not name the component to query", hint)


class RiskSettings(Settings):
    """A risk to the service, and what is done about it."""

    what: str = Field(
        min_length=1,
        description="The threat: a name from the list of `drd plan risks`, or words of your own.",
    )
    likelihood: Literal["low", "medium", "high"] | None = Field(
        None, description="How likely the risk is, in your judgement."
    )
    impact: Literal["low", "medium", "high"] | None = Field(
        None, description="How bad the damage would be, in your judgement."
    )
    treatment: Literal["reduce", "accept", "avoid", "transfer"] = Field(
        "reduce",
        description="What you decided. `reduce`: the measures under `covers` make the risk "
        "less likely or less bad. `accept`: you take no measures. `avoid`: you "
        "removed what the risk threatens. `transfer`: somebody else bears the "
        "risk, such as an insurer.",
    )
    owner: str = Field("", description="Who is responsible for this risk.")
    reviewed: Annotated[str, AfterValidator(day)] | None = Field(
        None,
        description="The day of the last review, like 2026-11-28. drd reports a review that is "
        "older than a year.",
    )
    covers: list[Annotated[str, AfterValidator(cover)]] = Field(
        default_factory=list,
        description="What covers the risk: a scenario of the plan's drills (`database-loss`), "
        "`playbook:NAME` or `control:NAME`.",
    )


Tier = Annotated[int, Field(strict=True, ge=1, le=5)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]


def inventory(file: Any) -> Inventory:
    """Return the inventory of a plan file (`drd.config.schema.PlanFile`)."""
    return Inventory(
        file.tier,
        file.business_owner,
        tuple(file.depends_on),
        tuple(file.endpoints),
        tuple(_credential(c) for c in file.credentials),
        tuple(_data(d) for d in file.data),
        tuple(_risk(r) for r in file.risks),
    )


def _credential(credential: RotatedCredential) -> Credential:
    where = credential.reference.describe() if credential.reference is not None else ""
    return Credential(credential.name, where, credential.rotate_with or "")


def _data(data: AffectedData) -> DataSet:
    return DataSet(
        data.what,
        tuple(data.categories),
        data.special,
        data.people,
        tuple(data.residents.items()),
        tuple(data.where),
        data.count,
        data.encrypted,
        tuple(data.processors),
    )


def _risk(risk: RiskSettings) -> Risk:
    return Risk(
        risk.what,
        risk.likelihood or "",
        risk.impact or "",
        risk.treatment,
        risk.owner,
        risk.reviewed or "",
        tuple(risk.covers),
    )

"""What the requests about incidents may contain. The command line makes the same requests, whether
it carries them out itself or asks the daemon."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from drd.api.requests import BoundedText, LongText, PlanName, Request
from drd.model.intake.reading import LARGEST

Name = Annotated[str, Field(max_length=200)]
Word = Annotated[str, Field(max_length=40)]
Plans = Annotated[list[PlanName], Field(max_length=20)]
Number = Annotated[int, Field(ge=1, lt=10**15)]

_TIME = "14:30 (today, in the zone of drd.yaml or of the host), -2h, now, or RFC 3339"
_WHY = "The reason."


class Act(Request):
    """What every act contains."""

    by: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None,
        description="The name of the person who makes this entry. Only for a user whom drd.yaml "
        "does not map to a person. drd records the name but does not verify it.",
    )


class OpenBody(Act):
    title: Annotated[str, Field(max_length=200)] = Field(
        "", description="What happens, in a few words (default: the text of the report)."
    )
    report: Number | None = Field(
        None, description="The number of the report that the incident is opened from."
    )
    plans: Plans = Field(default_factory=list, description="The plans in the scope.")
    severity: Word = Field("", description="The severity: one of `severities` in drd.yaml.")
    restricted: bool = Field(
        False,
        description="If true, only the lead, people with a role in the incident and the "
        "person who opened the incident may read the incident.",
    )


class IntakeBody(Act):
    message: Annotated[str, Field(max_length=LARGEST)] = Field(
        description="The message of the other system, unchanged: JSON of Alertmanager or OCSF, "
        "JSON that the mapping describes, or the report of a mail server (docs/intake.md)."
    )
    mapping: dict[str, Any] | None = Field(
        None,
        description="The keys of a mapping file, as an object (default: the mapping in drd.yaml).",
    )
    plans: Plans = Field(
        default_factory=list, description="Plans in the scope of all these alerts."
    )


class LogBody(Act):
    text: LongText = Field(
        "", description="What happened or was found; with `correct`, the corrected text."
    )
    at: Word | None = Field(None, description=f"The time of what happened: {_TIME} (default: now).")
    correct: Number | None = Field(
        None, description="The number of the entry that the text corrects."
    )
    star: Number | None = Field(None, description="The number of an entry to mark as important.")
    unstar: Number | None = Field(
        None, description="The number of an entry from which drd removes this mark."
    )
    reason: BoundedText = Field("", description="Why the entry is corrected.")
    restricted: bool = Field(
        False,
        description="If true, only the lead and people with a role in this incident may read "
        "the entry.",
    )
    measure: bool = Field(
        False,
        description="If true, the entry is a measure, and drafts of reports list it as a measure.",
    )


class AnchorBody(Act):
    moment: Word = Field(description="The name of the moment: `aware`, `contained`, …")
    at: Word = Field(description=f"The time of the moment: {_TIME}.")
    reason: BoundedText = Field("", description="Why the time is corrected.")


class StateBody(Act):
    state: Word = Field(description="The new state.")
    reason: BoundedText = Field("", description=_WHY)


class SeverityBody(Act):
    severity: Word = Field(description="The severity: one of `severities` in drd.yaml.")
    reason: BoundedText = Field("", description=_WHY)


class AssignBody(Act):
    to: Name = Field(description="Name of the person who leads the response.")


class RoleBody(Act):
    role: Name = Field(description="The role in the response.")
    to: Name = Field(description="Name of the person who gets the role.")


class TaskBody(Act):
    text: LongText = Field("", description="What is to be done.")
    to: Name = Field("", description="Name of the person who does the task.")
    due: Word | None = Field(
        None, description="When the task is due: 1h from now, 16:00, or RFC 3339."
    )
    done: Number | None = Field(None, description="The number of a task that is done.")


class ScopeBody(Act):
    add: Plans = Field(
        default_factory=list, description="Plans to add to the scope of the incident."
    )
    remove: Plans = Field(
        default_factory=list, description="Plans to remove from the scope of the incident."
    )
    reason: BoundedText = Field("", description=_WHY)


class DecideBody(Act):
    text: LongText = Field(description="The decision.")
    reason: BoundedText = Field("", description="The reason for the decision.")


class LinkBody(Act):
    to: BoundedText = Field(
        description="What the link points to: an address, an id. A "
        "number is that of another incident."
    )
    text: LongText = Field("", description="What the link shows, in a few words.")


class MergeBody(Act):
    into: Number = Field(
        description="The number of the incident that continues. drd closes the incident of this "
        "request."
    )
    reason: BoundedText = Field("", description="Why both numbers are the same incident.")


class CloseBody(Act):
    reason: BoundedText = Field("", description="The reason for closing.")


class IncidentQuery(Request):
    local: bool = Field(
        False,
        description="If true, times in texts are in the zone of drd.yaml or of the host; otherwise "
        "in UTC.",
    )


class IncidentsQuery(Request):
    all: bool = Field(False, description="Whether to list closed incidents as well.")
    limit: int = Field(50, ge=1, le=1000, description="The number of results, the newest first.")

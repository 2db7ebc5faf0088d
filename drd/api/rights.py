"""Who may ask for what: the one table that requests are checked against, and that the docs are made
from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from drd.api.requests import (
    AckBody,
    AlertsQuery,
    AnswerBody,
    BackupBody,
    DrillBody,
    Nothing,
    OptionalPlanQuery,
    ReportBody,
    Request,
    RetryBody,
    RunsQuery,
    SkipBody,
)

OPERATOR = "operator"
"""The role of `people` that gives a mapped person the rights of the operating group."""


class Right(StrEnum):
    """The right that a request needs."""

    READ = "read"
    REPORT = "report"  # a suspicion of an incident
    ACKNOWLEDGE = "acknowledge"
    ANSWER = "answer"  # a step of a recovery; it may need a role as well
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Who:
    """Who holds a right. `person`: in words, of the people whom drd.yaml maps to a user."""

    read_group: bool
    operate_group: bool
    person: str


HOLDERS: dict[Right, Who] = {
    Right.READ: Who(True, True, "yes"),
    Right.REPORT: Who(True, True, "yes"),
    Right.ACKNOWLEDGE: Who(False, True, "yes"),
    Right.ANSWER: Who(
        False, True, "with the role that the step asks for, or any if it asks for none"
    ),
    Right.OPERATE: Who(False, True, f"with the role {OPERATOR}"),
}  # fmt: skip
"""Root has every right. For people mapped by `user:` only their roles count, even if they are in a
group."""


def holds(right: Right, *, roles: Sequence[str] | None, reads: bool, operates: bool) -> bool:
    """Return whether a user other than root has the right: `roles` of a mapped person, None for
    others; `reads` and `operates` are the two groups."""
    who = HOLDERS[right]
    if roles is not None:
        return right is not Right.OPERATE or OPERATOR in roles
    return (who.read_group and reads) or (who.operate_group and operates)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that can be asked. `verb` is drd's command for it; `path` has names in braces;
    `takes` is what the query of a GET and the body of a POST may contain."""

    name: str
    method: str
    path: str
    right: Right
    what: str
    verb: str = ""
    takes: type[Request] = Nothing


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("whoami", "GET", "/v1/whoami", Right.READ,
             "who you are for the daemon, and what you may do"),
    Endpoint("status", "GET", "/v1/status", Right.READ,
             "whether each plan meets its RPO and RTO", "drd status", OptionalPlanQuery),
    Endpoint("runs", "GET", "/v1/runs", Right.READ,
             "which runs there were, and how they ended", "drd runs", RunsQuery),
    Endpoint("run", "GET", "/v1/runs/{run}", Right.READ,
             "one run with its steps and decisions", "drd run show"),
    Endpoint("outcome", "GET", "/v1/runs/{run}/outcome", Right.READ,
             "the result of a backup or drill"),
    Endpoint("cancel", "POST", "/v1/runs/{run}/cancel", Right.OPERATE, "end a run", "drd cancel"),
    Endpoint("approve", "POST", "/v1/runs/{run}/steps/{step}/approve", Right.ANSWER,
             "approve a step that a recovery waits for", "drd approve", AnswerBody),
    Endpoint("done", "POST", "/v1/runs/{run}/steps/{step}/done", Right.ANSWER,
             "report a manual step as done", "drd done", AnswerBody),
    Endpoint("retry", "POST", "/v1/runs/{run}/steps/{step}/retry", Right.OPERATE,
             "try a failed step again", "drd retry", RetryBody),
    Endpoint("skip", "POST", "/v1/runs/{run}/steps/{step}/skip", Right.OPERATE,
             "continue without a step", "drd skip", SkipBody),
    Endpoint("plans", "GET", "/v1/plans", Right.READ, "the plans that drd has loaded"),
    Endpoint("plan", "GET", "/v1/plans/{plan}", Right.READ,
             "a plan that drd has loaded, unless it contains what only root may see",
             "drd plan show"),
    Endpoint("points", "GET", "/v1/plans/{plan}/points", Right.READ,
             "the restore points of a plan", "drd points"),
    Endpoint("evidence", "GET", "/v1/plans/{plan}/evidence", Right.READ,
             "what its drills and recoveries measured"),
    Endpoint("evidence-list", "GET", "/v1/evidence", Right.READ,
             "what drills and recoveries proved", "drd evidence list", RunsQuery),
    Endpoint("evidence-record", "GET", "/v1/evidence/{evidence}", Right.READ,
             "one evidence record, and how far other records confirm it", "drd evidence show"),
    Endpoint("backup", "POST", "/v1/plans/{plan}/backup", Right.OPERATE,
             "make a restore point", "drd backup", BackupBody),
    Endpoint("drill", "POST", "/v1/plans/{plan}/drill", Right.OPERATE,
             "rehearse the recovery", "drd drill", DrillBody),
    Endpoint("schedule", "GET", "/v1/schedule", Right.READ,
             "what runs next, and why", "drd schedule", OptionalPlanQuery),
    Endpoint("alerts", "GET", "/v1/alerts", Right.READ,
             "open alerts", "drd alerts", AlertsQuery),
    Endpoint("ack", "POST", "/v1/alerts/{alert}/ack", Right.ACKNOWLEDGE,
             "acknowledge an alert", "drd ack", AckBody),
    Endpoint("report", "POST", "/v1/incidents/report", Right.REPORT,
             "report a suspicion of an incident", "drd incident report", ReportBody),
    Endpoint("readiness", "GET", "/v1/readiness", Right.READ,
             "the result of the last readiness check", "drd readiness", OptionalPlanQuery),
)  # fmt: skip

ROOT_ONLY = (
    "recover, resume, rollback, undo, done without a step",
    "copy, verify, retention, prune, catalogue, kit, doctor, diff",
    "plan forget, install, uninstall, bootstrap, daemon, notify",
)
"""Commands that the socket does not offer: they need root's files, or the state itself."""

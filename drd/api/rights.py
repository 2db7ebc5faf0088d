"""Who may ask what: the one table that requests are judged by, and that the docs are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from drd.api.requests import (
    AckRequest,
    AlertsQuery,
    AnswerRequest,
    BackupRequest,
    DrillRequest,
    Nothing,
    OptionalPlanQuery,
    Request,
    RetryRequest,
    RunsQuery,
    SkipRequest,
)

OPERATOR = "operator"
"""The role of `people` that gives a mapped person what the operating group has."""


class Right(StrEnum):
    """What somebody needs to ask for something."""

    READ = "read"
    ACKNOWLEDGE = "acknowledge"
    ANSWER = "answer"  # a step of a recovery; it may ask for a role besides
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Who:
    """Who holds a right. `person`: in words, of the people whom drd.yaml maps to a user."""

    read_group: bool
    operate_group: bool
    person: str


HOLDERS: dict[Right, Who] = {
    Right.READ: Who(True, True, "yes"),
    Right.ACKNOWLEDGE: Who(False, True, "yes"),
    Right.ANSWER: Who(
        False, True, "with the role that the step asks for, or any where it asks for none"
    ),
    Right.OPERATE: Who(False, True, f"with the role {OPERATOR}"),
}  # fmt: skip
"""Root may everything. Whoever is mapped by `user:` goes by his roles alone, also in a group."""


def holds(right: Right, *, roles: Sequence[str] | None, reads: bool, operates: bool) -> bool:
    """Whether somebody has the right who is not root: `roles` of a mapped person, None for others;
    `reads` and `operates` are the two groups."""
    who = HOLDERS[right]
    if roles is not None:
        return right is not Right.OPERATE or OPERATOR in roles
    return (who.read_group and reads) or (who.operate_group and operates)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that can be asked. `verb` is the command of drd that asks it; `path` has names in
    braces; `takes` is what may stand in the query of a GET and in the body of a POST."""

    name: str
    method: str
    path: str
    right: Right
    what: str
    verb: str = ""
    takes: type[Request] = Nothing


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("whoami", "GET", "/v1/whoami", Right.READ,
             "who you are to the daemon, and what you may ask"),
    Endpoint("status", "GET", "/v1/status", Right.READ,
             "does each plan meet its RPO and RTO", "drd status", OptionalPlanQuery),
    Endpoint("runs", "GET", "/v1/runs", Right.READ,
             "what ran, and how it ended", "drd runs", RunsQuery),
    Endpoint("run", "GET", "/v1/runs/{run}", Right.READ,
             "one run with its steps and decisions", "drd run show"),
    Endpoint("outcome", "GET", "/v1/runs/{run}/outcome", Right.READ,
             "what came of a backup or drill"),
    Endpoint("cancel", "POST", "/v1/runs/{run}/cancel", Right.OPERATE, "end a run", "drd cancel"),
    Endpoint("approve", "POST", "/v1/runs/{run}/steps/{step}/approve", Right.ANSWER,
             "agree to a step that a recovery waits for", "drd approve", AnswerRequest),
    Endpoint("done", "POST", "/v1/runs/{run}/steps/{step}/done", Right.ANSWER,
             "tick off a manual step", "drd done", AnswerRequest),
    Endpoint("retry", "POST", "/v1/runs/{run}/steps/{step}/retry", Right.OPERATE,
             "try a failed step again", "drd retry", RetryRequest),
    Endpoint("skip", "POST", "/v1/runs/{run}/steps/{step}/skip", Right.OPERATE,
             "go on without a step", "drd skip", SkipRequest),
    Endpoint("plans", "GET", "/v1/plans", Right.READ, "the plans in force"),
    Endpoint("plan", "GET", "/v1/plans/{plan}", Right.READ,
             "a plan in force, unless it holds what only root may see", "drd plan show"),
    Endpoint("points", "GET", "/v1/plans/{plan}/points", Right.READ,
             "its restore points", "drd points"),
    Endpoint("evidence", "GET", "/v1/plans/{plan}/evidence", Right.READ,
             "what its drills and recoveries measured"),
    Endpoint("backup", "POST", "/v1/plans/{plan}/backup", Right.OPERATE,
             "make a restore point", "drd backup", BackupRequest),
    Endpoint("drill", "POST", "/v1/plans/{plan}/drill", Right.OPERATE,
             "rehearse the recovery", "drd drill", DrillRequest),
    Endpoint("schedule", "GET", "/v1/schedule", Right.READ,
             "what runs next, and why", "drd schedule", OptionalPlanQuery),
    Endpoint("alerts", "GET", "/v1/alerts", Right.READ,
             "what is bad now", "drd alerts", AlertsQuery),
    Endpoint("ack", "POST", "/v1/alerts/{alert}/ack", Right.ACKNOWLEDGE,
             "take care of an alert", "drd ack", AckRequest),
    Endpoint("readiness", "GET", "/v1/readiness", Right.READ,
             "what the last look ahead found", "drd readiness", OptionalPlanQuery),
)  # fmt: skip

ROOT_ONLY = (
    "recover, resume, rollback, undo, done without a step",
    "copy, verify, retention, prune, catalogue, kit, doctor, diff",
    "plan forget, install, uninstall, bootstrap, daemon, notify",
)
"""Commands that the socket does not take: they need root's files, or the state itself."""

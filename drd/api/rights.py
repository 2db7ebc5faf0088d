"""Who may ask for what: one table, against which requests are checked, and from which the docs are
made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from drd.api.action_acts import ActionBody, ActionsQuery
from drd.api.clean_points import CleanPointsQuery
from drd.api.exercise_acts import (
    BeginBody,
    JudgeBody,
    NoteBody,
    QuestionBody,
    TellBody,
    Typed,
)
from drd.api.incident_requests import (
    AnchorBody,
    AssignBody,
    CloseBody,
    DecideBody,
    IncidentQuery,
    IncidentsQuery,
    IntakeBody,
    LinkBody,
    LogBody,
    MergeBody,
    OpenBody,
    RoleBody,
    ScopeBody,
    SeverityBody,
    StateBody,
    TaskBody,
)
from drd.api.investigation_acts import CauseBody, EvidenceBody, HypothesisBody, IndicatorBody
from drd.api.message_acts import ApproveBody, ComposeBody, SendBody, SettleBody, WithdrawBody
from drd.api.obligation_acts import ObligationBody, ObligationsQuery
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
from drd.api.rotation_acts import RotatedBody
from drd.api.training_acts import AttestBody, TextQuery, TrainingQuery

OPERATOR = "operator"
"""The role of `people` that gives a mapped person the rights of the operating group."""


LARGEST_BODY = 16 << 10
"""Limit in bytes of a request: a thousand characters of text in JSON's longest form, and names."""
LARGEST_MESSAGE = 1 << 20
"""The same with a message of another system."""


class Right(StrEnum):
    """The right that a request needs."""

    READ = "read"
    REPORT = "report"  # a suspicion of an incident
    ACKNOWLEDGE = "acknowledge"
    ANSWER = "answer"  # a step of a recovery; it may need a role as well
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Who:
    """Who holds a right. `person` says in words which of the people of drd.yaml hold it."""

    read_group: bool
    operate_group: bool
    person: str


HOLDERS: dict[Right, Who] = {
    Right.READ: Who(True, True, "yes"),
    Right.REPORT: Who(True, True, "yes"),
    Right.ACKNOWLEDGE: Who(False, True, "yes"),
    Right.ANSWER: Who(
        False, True, "with the role that the step names; any person if the step names no role"
    ),
    Right.OPERATE: Who(False, True, f"with the role {OPERATOR}"),
}  # fmt: skip
"""Root has every right. For people mapped by `user:` only their roles count, even if they are in a
group."""


def holds(right: Right, *, roles: Sequence[str] | None, reads: bool, operates: bool) -> bool:
    """Return whether a user other than root has the right. `roles` are the roles of the mapped
    person, None if nobody is mapped; `reads` and `operates` say whether the user is in the two
    groups."""
    who = HOLDERS[right]
    if roles is not None:
        return right is not Right.OPERATE or OPERATOR in roles
    return (who.read_group and reads) or (who.operate_group and operates)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of request. `verb` is drd's command for it; `path` has names in braces; `takes` is
    what the query of a GET and the body of a POST may contain, `largest` how many bytes the body
    may have."""

    name: str
    method: str
    path: str
    right: Right
    what: str
    verb: str = ""
    takes: type[Request] = Nothing
    largest: int = LARGEST_BODY


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("whoami", "GET", "/v1/whoami", Right.READ,
             "your user and person as the daemon sees them, and your rights"),
    Endpoint("status", "GET", "/v1/status", Right.READ,
             "whether each plan meets its RPO and RTO", "drd status", OptionalPlanQuery),
    Endpoint("runs", "GET", "/v1/runs", Right.READ,
             "the runs and their results", "drd runs", RunsQuery),
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
             "a plan that drd has loaded (refused if the plan contains something that only root "
                 "may see)",
             "drd plan show"),
    Endpoint("points", "GET", "/v1/plans/{plan}/points", Right.READ,
             "the restore points of a plan", "drd points"),
    Endpoint("evidence", "GET", "/v1/plans/{plan}/evidence", Right.READ,
             "the figures that drills and recoveries of a plan measured"),
    Endpoint("evidence-list", "GET", "/v1/evidence", Right.READ,
             "the evidence of drills and recoveries", "drd evidence list", RunsQuery),
    Endpoint("evidence-record", "GET", "/v1/evidence/{evidence}", Right.READ,
             "one evidence record, and how far other records confirm it", "drd evidence show"),
    Endpoint("backup", "POST", "/v1/plans/{plan}/backup", Right.OPERATE,
             "make a restore point", "drd backup", BackupBody),
    Endpoint("drill", "POST", "/v1/plans/{plan}/drill", Right.OPERATE,
             "rehearse the recovery", "drd drill", DrillBody),
    Endpoint("runbook", "GET", "/v1/plans/{plan}/runbook", Right.READ,
             "the printed runbook of a plan, without what opens the repositories (refused as the "
                 "plan is)",
             "drd drill --blind"),
    Endpoint("schedule", "GET", "/v1/schedule", Right.READ,
             "the next runs, and the reason for each", "drd schedule", OptionalPlanQuery),
    Endpoint("alerts", "GET", "/v1/alerts", Right.READ,
             "open alerts", "drd alerts", AlertsQuery),
    Endpoint("ack", "POST", "/v1/alerts/{alert}/ack", Right.ACKNOWLEDGE,
             "acknowledge an alert", "drd ack", AckBody),
    Endpoint("report", "POST", "/v1/incidents/report", Right.REPORT,
             "report a suspicion of an incident", "drd incident report", ReportBody),
    Endpoint("incidents", "GET", "/v1/incidents", Right.OPERATE,
             "the incidents and reports", "drd incident list", IncidentsQuery),
    Endpoint("incident", "GET", "/v1/incidents/{incident}", Right.OPERATE,
             "one incident, with its timeline", "drd incident show", IncidentQuery),
    Endpoint("incident-reach", "GET", "/v1/incidents/{incident}/scope", Right.OPERATE,
             "the plans, systems and people that an incident affects",
             "drd incident scope"),
    Endpoint("incident-clean-points", "GET", "/v1/incidents/{incident}/clean-points", Right.OPERATE,
             "the restore points before and after the first sign of an incident",
             "drd incident clean-points", CleanPointsQuery),
    Endpoint("obligations", "GET", "/v1/incidents/{incident}/obligations", Right.OPERATE,
             "which reports of an incident are due", "drd incident obligation", ObligationsQuery),
    Endpoint("incident-obligation", "POST", "/v1/incidents/{incident}/obligation", Right.OPERATE,
             "record a decision about a report, or its submission",
             "drd incident obligation", ObligationBody, LARGEST_MESSAGE),
    Endpoint("incident-open", "POST", "/v1/incidents/open", Right.OPERATE,
             "open an incident", "drd incident open", OpenBody),
    Endpoint("incident-intake", "POST", "/v1/incidents/intake", Right.REPORT,
             "send alerts of another system: alerts that an operator sends open incidents, "
                 "alerts that others send become reports. An operator may also send the report "
                 "of a mail server about a message that came back",
             "drd incident open --from", IntakeBody, LARGEST_MESSAGE),
    Endpoint("incident-log", "POST", "/v1/incidents/{incident}/log", Right.OPERATE,
             "add to the timeline of an incident", "drd incident log", LogBody, LARGEST_MESSAGE),
    Endpoint("incident-anchor", "POST", "/v1/incidents/{incident}/anchor", Right.OPERATE,
             "record the time of a moment", "drd incident anchor", AnchorBody),
    Endpoint("incident-state", "POST", "/v1/incidents/{incident}/state", Right.OPERATE,
             "change the state of an incident", "drd incident state", StateBody),
    Endpoint("incident-severity", "POST", "/v1/incidents/{incident}/severity", Right.OPERATE,
             "set the severity of an incident", "drd incident severity", SeverityBody),
    Endpoint("incident-assign", "POST", "/v1/incidents/{incident}/assign", Right.OPERATE,
             "name the lead of the response", "drd incident assign", AssignBody),
    Endpoint("incident-role", "POST", "/v1/incidents/{incident}/role", Right.OPERATE,
             "give a person a role in the response", "drd incident role", RoleBody),
    Endpoint("incident-task", "POST", "/v1/incidents/{incident}/task", Right.OPERATE,
             "add a task, or report it as done", "drd incident task", TaskBody, LARGEST_MESSAGE),
    Endpoint("incident-scope", "POST", "/v1/incidents/{incident}/scope", Right.OPERATE,
             "change which plans are in the scope", "drd incident scope", ScopeBody),
    Endpoint("incident-decide", "POST", "/v1/incidents/{incident}/decide", Right.OPERATE,
             "record a decision", "drd incident decide", DecideBody, LARGEST_MESSAGE),
    Endpoint("incident-link", "POST", "/v1/incidents/{incident}/link", Right.OPERATE,
             "add a link to a ticket, a run or a document", "drd incident link",
             LinkBody, LARGEST_MESSAGE),
    Endpoint("incident-merge", "POST", "/v1/incidents/{incident}/merge", Right.OPERATE,
             "close an incident that continues in another", "drd incident merge", MergeBody),
    Endpoint("incident-close", "POST", "/v1/incidents/{incident}/close", Right.OPERATE,
             "close an incident, or a report", "drd incident close", CloseBody),
    Endpoint("incident-hypothesis", "POST", "/v1/incidents/{incident}/hypothesis", Right.OPERATE,
             "record a hypothesis about what happened", "drd incident hypothesis",
             HypothesisBody, LARGEST_MESSAGE),
    Endpoint("incident-indicator", "POST", "/v1/incidents/{incident}/indicator", Right.OPERATE,
             "record an indicator: a sign that a system was compromised", "drd incident indicator",
             IndicatorBody, LARGEST_MESSAGE),
    Endpoint("incident-evidence", "POST", "/v1/incidents/{incident}/evidence", Right.OPERATE,
             "record an item of evidence", "drd incident evidence", EvidenceBody, LARGEST_MESSAGE),
    Endpoint("incident-cause", "POST", "/v1/incidents/{incident}/cause", Right.OPERATE,
             "record the root cause", "drd incident cause", CauseBody, LARGEST_MESSAGE),
    Endpoint("incident-rotated", "POST", "/v1/incidents/{incident}/rotated", Right.OPERATE,
             "record that a credential was replaced", "drd incident rotated", RotatedBody),
    Endpoint("incident-page", "GET", "/v1/incidents/{incident}/page", Right.OPERATE,
             "an incident as a page for paper", "drd incident print"),
    Endpoint("incident-postmortem", "GET", "/v1/incidents/{incident}/postmortem", Right.OPERATE,
             "the post-mortem of an incident", "drd incident postmortem"),
    Endpoint("actions", "GET", "/v1/actions", Right.OPERATE,
             "the action items: open items of all incidents, or all items of one incident",
             "drd incident action", ActionsQuery),
    Endpoint("incident-action", "POST", "/v1/incidents/{incident}/action", Right.OPERATE,
             "add an action item, or report it as done", "drd incident action", ActionBody,
             LARGEST_MESSAGE),
    Endpoint("messages", "GET", "/v1/incidents/{incident}/messages", Right.OPERATE,
             "the messages of an incident", "drd incident message list"),
    Endpoint("message", "GET", "/v1/incidents/{incident}/messages/{message}", Right.OPERATE,
             "the text and the recipients of a message", "drd incident message preview"),
    Endpoint("message-preview", "POST", "/v1/incidents/{incident}/messages/preview",
             Right.OPERATE, "a preview of a message", "drd incident message preview",
             ComposeBody, LARGEST_MESSAGE),
    Endpoint("message-draft", "POST", "/v1/incidents/{incident}/messages/draft", Right.OPERATE,
             "write a message, and keep it for approval", "drd incident message draft", ComposeBody,
             LARGEST_MESSAGE),
    Endpoint("message-approve", "POST", "/v1/incidents/{incident}/messages/{message}/approve",
             Right.OPERATE, "approve a message; drd.yaml may ask for a role as well",
             "drd incident message approve", ApproveBody),
    Endpoint("message-send", "POST", "/v1/incidents/{incident}/messages/{message}/send",
             Right.OPERATE, "send a message", "drd incident message send", SendBody),
    Endpoint("message-told", "POST", "/v1/incidents/{incident}/messages/{message}/told",
             Right.OPERATE, "record that a person was told", "drd incident message told",
             SettleBody),
    Endpoint("message-bounced", "POST", "/v1/incidents/{incident}/messages/{message}/bounced",
             Right.OPERATE, "record that a mail came back", "drd incident message bounced",
             SettleBody),
    Endpoint("message-withdraw", "POST", "/v1/incidents/{incident}/messages/{message}/withdraw",
             Right.OPERATE, "withdraw a message", "drd incident message withdraw", WithdrawBody),
    Endpoint("training", "GET", "/v1/training", Right.READ,
             "what people practised and read, and what the plans require of them",
             "drd training", TrainingQuery),
    Endpoint("training-texts", "GET", "/v1/training/texts", Right.READ,
             "the awareness texts, or one of them", "drd training texts", TextQuery),
    Endpoint("training-attest", "POST", "/v1/training/attest", Right.REPORT,
             "attest that you have read a text", "drd training attest", AttestBody),
    Endpoint("exercises", "GET", "/v1/exercises", Right.OPERATE,
             "the exercises that were played", "drd exercise report"),
    Endpoint("exercise", "GET", "/v1/exercises/{exercise}", Right.OPERATE,
             "the result of an exercise", "drd exercise report"),
    Endpoint("exercise-text", "GET", "/v1/exercise-texts/{name}", Right.OPERATE,
             "the text of an exercise", "drd exercise run"),
    Endpoint("exercise-begin", "POST", "/v1/exercises/begin", Right.OPERATE,
             "begin an exercise", "drd exercise run", BeginBody),
    Endpoint("exercise-tell", "POST", "/v1/exercises/{exercise}/tell", Right.OPERATE,
             "record that an inject was delivered", "drd exercise run", TellBody),
    Endpoint("exercise-answer", "POST", "/v1/exercises/{exercise}/answer", Right.OPERATE,
             "record an answer or a decision in an exercise", "drd exercise run", QuestionBody,
             LARGEST_MESSAGE),
    Endpoint("exercise-judge", "POST", "/v1/exercises/{exercise}/judge", Right.OPERATE,
             "record whether people did what an exercise expects", "drd exercise run", JudgeBody,
             LARGEST_MESSAGE),
    Endpoint("exercise-runs", "POST", "/v1/exercises/{exercise}/runs", Right.OPERATE,
             "let drd judge which playbooks were run during an exercise", "drd exercise run",
             Typed),
    Endpoint("exercise-note", "POST", "/v1/exercises/{exercise}/note", Right.OPERATE,
             "add a note to an exercise", "drd exercise run", NoteBody, LARGEST_MESSAGE),
    Endpoint("exercise-end", "POST", "/v1/exercises/{exercise}/end", Right.OPERATE,
             "end an exercise", "drd exercise run", Typed),
    Endpoint("readiness", "GET", "/v1/readiness", Right.READ,
             "the result of the last readiness check of each plan", "drd readiness",
             OptionalPlanQuery),
)  # fmt: skip

ROOT_ONLY = (
    "recover, resume, rollback, undo, done without a step",
    "copy, verify, retention, prune, catalogue, kit, doctor, diff",
    "plan forget, install, uninstall, bootstrap, daemon, notify",
    "incident export, incident preserve, incident scope --count",
)
"""Commands that the socket does not offer: they need root's files, or the state itself."""

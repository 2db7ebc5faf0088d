"""The titles of messages: one line that a telephone shows whole. Pure.

The title of an alert says what is wrong with which plan. It is the same in all messages about the
alert; the text of the message contains the cause and the figures.
"""

from __future__ import annotations

from drd.model.text import escaped, shortened

REPORT = "report-due"
"""The kind of an alert about a report of an incident."""
UNDECIDED = "report-undecided"
"""The kind of an alert about the reports of an incident on which nobody has decided."""
UPDATE = "update-due"
"""The kind of an alert about an update of an incident that people expect."""
ACTION = "action-overdue"
"""The kind of an alert about an overdue action item of an incident."""
UNREADABLE = "incident-unreadable"
"""The kind of an alert about an incident whose entries were restored encrypted."""

LONGEST = 79
"""Characters of a title, so that it fits a telephone, the subject of a mail, and a terminal."""


TITLES = {
    "action-overdue": "an action item is overdue: {}",
    "backup-failing": "backup failed",
    "catalogue": "drd cannot use its catalogue",
    "channel": "channel {} cannot deliver messages",
    "clock-jumped": "the clock of the host jumped",
    "component-missing": "a component was never backed up",
    "configuration": "drd.yaml cannot be used",
    "control-failing": "control {} failed",
    "control-overdue": "control {} is overdue",
    "copy-behind": "copy {} is behind",
    "copy-failing": "copy to {} failed",
    "credentials": "restart the service: credentials changed",
    "daemon-down": "drd was down",
    "disk": "too little disk space: {}",
    "drill-failed": "drill failed",
    "drill-failing": "drill could not run",
    "drill-inconclusive": "drill proved nothing",
    "drill-overdue": "drill is overdue",
    "drill-unproven": "drill did not prove everything",
    "exposed-file": "other users can read a secret or change a file",
    "extension": "package {} cannot be used",
    "incident-unreadable": "{}: entries cannot be read on this host",
    "kit-failing": "recovery kit: {} failed",
    "kit-overdue": "recovery kit: {} is overdue",
    "listing-failing": "copies of another tool not listed",
    "listing-overdue": "listing of another tool's copies is overdue",
    "message-undelivered": "a message did not reach everybody: {}",
    "never-drilled": "never drilled",
    "time-unmeasured": "no drill has measured the time of a recovery",
    "no-plan": "no plan is loaded",
    "no-point": "no restore point",
    "not-ready": 'not ready: "{}" failed',
    "plan-changed": "plan changed since its last drill",
    "plan-not-loaded": "plan file is not loaded",
    "plan-text": "somebody changed the plan in the catalogue",
    "point-incomplete": "restore point is incomplete",
    "playbook-not-loaded": "a playbook is not loaded: {}",
    "points-vanished": "restore points vanished",
    "prune-failing": "prune of {} failed",
    "prune-overdue": "prune of {} is overdue",
    "prune-paused": "prune of {} is paused",
    "readiness-overdue": "readiness check is overdue",
    "reading-overdue": "not all data of {} was verified in time",
    "playbook-unfinished": "a playbook is not finished",
    "recovery-failing": "recovery failed",
    "recovery-unfinished": "a recovery was not finished",
    "repository-damaged": "repository {} is damaged",
    "repository-gone": "cannot restore from repository {}",
    "records-changed": "the records were changed",
    "records-forked": "a repository has other records",
    "repository-unprotected": "{} is missing",
    "repository-unreachable": "{} cannot be used",
    "report-due": "a report needs attention: {}",
    "measure-expired": "a temporary measure is still in effect",
    "report-undecided": "{}: nobody has decided which reports are needed",
    "retention-failing": "retention failed",
    "retention-over-limit": "retention waits: a person has to allow it",
    "retention-overdue": "retention is overdue",
    "retention-paused": "retention is paused",
    "rpo": "RPO nearly exceeded",
    "rto": "recovery would take longer than the RTO",
    "schedule-too-slow": "schedule is too slow for the RPO",
    "secret-missing": "secret file {} is missing",
    "state-contested": "drd's state may be a copy",
    "state-shared": "others can open drd's state",
    "update-due": "an update is due: {}",
    "log": "the log of {} needs attention",
    "verification-failing": "verification of {} failed",
    "verification-overdue": "verification of {} is overdue",
}
"""What is wrong, for each kind of alert; `{}` is the subject of the alert."""

_CRITICAL = {
    "report-due": "a report is late: {}",
    "rpo": "RPO exceeded",
    "update-due": "an update is late: {}",
}
_SUBJECT_BELOW = frozenset(
    {"drill-failed", "drill-failing", "drill-inconclusive", "drill-overdue", "drill-unproven"}
)
"""The subject is a scenario, which is named only if the plan has several."""


def title_of(kind: str, severity: str, subject: str, brief: str = "") -> str:
    """Return what is wrong, without the plan: `drill failed: check "few orders"`."""
    title = TITLES.get(kind, kind.replace("-", " "))
    if severity == "critical":
        title = _CRITICAL.get(kind, title)
    if subject:
        title = title.format(escaped(subject))
    else:
        title = title.replace(" {}", "").replace("{}", "repository")
    if subject and kind in _SUBJECT_BELOW:
        title += f" ({escaped(subject)})"
    return f"{title}: {escaped(brief)}" if brief else title


def titled(about: str, what: str) -> str:
    """Return `ABOUT: WHAT`, as long as a title may be; only WHAT if it is about nothing in
    particular."""
    return shortened(f"{about}: {what}" if about else what, LONGEST)

"""The threats to a service, and whether something that was tried covers them. Pure.

A threat is covered if a scenario that counts as proven, or a playbook or control that exists,
covers it. What a plan only claims is named as missing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from drd.model.inventory import Risk
from drd.model.malformed import Malformed
from drd.model.plan import NAME, SCENARIOS

REVIEW_DAYS = 365
"""A review of a risk counts for a year."""


@dataclass(frozen=True, slots=True)
class Threat:
    """A threat to an API that is worth a thought. `usual` is what usually covers it."""

    name: str
    title: str
    usual: str


THREATS = (
    Threat(
        "leaked-key",
        "a key or password of the service is published",
        "a playbook that rotates the key or password",
    ),
    Threat(
        "broken-object-authorisation",
        "callers read data of others by changing an id (OWASP API1)",
        "a control that asks for another caller's object",
    ),
    Threat(
        "exposed-endpoint",
        "an endpoint answers without a login, such as an admin or debug interface",
        "a control that expects 401 without a token",
    ),
    Threat(
        "vulnerable-dependency",
        "a library or server with a known vulnerability is exploited",
        "a playbook that isolates, updates and restores the service",
    ),
    Threat(
        "credential-stuffing",
        "logins are tried with passwords that leaked elsewhere",
        "a control that expects 429 at the limit",
    ),
    Threat(
        "ransomware",
        "the host and the backups that it can reach are encrypted or deleted",
        "drills of host-loss, from a repository that is protected from deletion",
    ),
    Threat(
        "insider",
        "somebody with rights destroys, changes or takes data",
        "drills of database-loss, and a playbook that withdraws rights",
    ),
    Threat(
        "third-party",
        "a supplier, gateway or identity provider fails or is breached",
        "a playbook that replaces its keys, and a plan for its configuration",
    ),
    Threat("data-loss", "a mistake deletes or damages the database", "drills of database-loss"),
    Threat("host-loss", "the host and everything on it are gone", "drills of host-loss"),
    Threat(
        "region-loss",
        "the site with the service and its repository is gone",
        "drills of region-loss",
    ),
)
"""The list to start from (OWASP API Security Top 10 of 2023, ENISA Threat Landscape)."""

_PREFIXES = ("playbook", "control")


def cover(word: str) -> str:
    """Check a word of `covers`, and return it. Raises Malformed."""
    kind, colon, name = word.partition(":")
    if word in SCENARIOS or (colon and kind in _PREFIXES and re.fullmatch(NAME, name)):
        return word
    raise Malformed(
        f'"{word}" cannot cover a risk',
        f"write {', '.join(SCENARIOS)}, playbook:NAME or control:NAME",
    )


class Coverage(StrEnum):
    """What is known about the cover of a threat."""

    COVERED = "covered"
    PARTLY = "partly covered"
    UNCOVERED = "not covered"
    ACCEPTED = "accepted"
    AVOIDED = "avoided"
    TRANSFERRED = "transferred"
    UNCONSIDERED = "not considered"


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing before a risk is covered or decided, and what to do."""

    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A threat to a plan. `by` is what covers it; `missing` is what does not cover it yet, with the
    reason; `risk` is what the plan says, None if it does not name the threat; `usual` is what
    usually covers it.
    """

    what: str
    title: str
    coverage: Coverage
    by: tuple[str, ...] = ()
    missing: tuple[Lack, ...] = ()
    risk: Risk | None = None
    usual: str = ""

    @property
    def is_open(self) -> bool:
        """Whether something has to be done or decided."""
        return bool(self.missing) or self.coverage in (Coverage.UNCOVERED, Coverage.UNCONSIDERED)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What exists: the scenarios that drills rehearse, each with the reason why it does not count
    as drilled (None if it does); the controls, each with the reason why it does not hold; and the
    names of playbooks, and of those that drd refuses.
    """

    scenarios: Mapping[str, Lack | None]
    playbooks: Collection[str] = ()
    refused: Collection[str] = ()
    controls: Mapping[str, Lack | None] = field(default_factory=dict)


def judge(risks: Iterable[Risk], evidence: Evidence, today: date) -> list[Judged]:
    """Judge the risks of a plan in its order, and then the threats that it does not name."""
    named = [_judge(risk, evidence, today) for risk in risks]
    known = {one.what for one in named}
    return named + [
        Judged(threat.name, threat.title, Coverage.UNCONSIDERED, usual=threat.usual)
        for threat in THREATS
        if threat.name not in known
    ]


_DECIDED = {
    "accept": Coverage.ACCEPTED,
    "avoid": Coverage.AVOIDED,
    "transfer": Coverage.TRANSFERRED,
}


def _judge(risk: Risk, evidence: Evidence, today: date) -> Judged:
    threat = next((t for t in THREATS if t.name == risk.what), None)
    title = threat.title if threat is not None else ""
    lacks = {word: _lack(word, evidence) for word in risk.covers}
    by = tuple(word for word, lack in lacks.items() if lack is None)
    missing = [lack for lack in lacks.values() if lack is not None]
    missing += _review(risk, today)
    if risk.treatment in _DECIDED:
        coverage = _DECIDED[risk.treatment]
    elif not by:
        coverage = Coverage.UNCOVERED
    else:
        coverage = Coverage.PARTLY if len(by) < len(lacks) else Coverage.COVERED
    if coverage is Coverage.UNCOVERED and not risk.covers:
        usual = f"; usually covered by: {threat.usual}" if threat is not None else ""
        missing += [Lack("nothing covers it", f"write under `covers` what covers this risk{usual}")]
    return Judged(risk.what, title, coverage, by, tuple(missing), risk)


def _lack(word: str, evidence: Evidence) -> Lack | None:
    """Return why this covers nothing; None if it covers something."""
    kind, _, name = word.partition(":")
    if kind == "playbook" and name in evidence.refused:
        return Lack(
            f"{word}: the file of this playbook has errors, so drd refuses it",
            "to see the errors: drd playbook check",
        )
    if kind == "playbook":
        none = Lack(
            f"{word}: there is no such playbook",
            "to write this playbook, copy one of drd: drd playbook new --from NAME",
        )
        return None if name in evidence.playbooks else none
    if kind == "control":
        none = Lack(
            f"{word}: the plan does not have a control of this name",
            "add the control under `controls` in the plan",
        )
        return evidence.controls.get(name, none)
    if word not in evidence.scenarios:
        return Lack(
            f"{word}: no drill of this plan rehearses this scenario",
            f"add {word} to drill.scenarios in the plan",
        )
    return evidence.scenarios[word]


def _review(risk: Risk, today: date) -> list[Lack]:
    again = f"review this risk, and write `reviewed: {today.isoformat()}`"
    if not risk.reviewed:
        return [Lack("never reviewed", again)] if risk.treatment != "reduce" else []
    if date.fromisoformat(risk.reviewed) + timedelta(days=REVIEW_DAYS) < today:
        return [Lack(f"last reviewed {risk.reviewed}, more than a year ago", again)]
    return []

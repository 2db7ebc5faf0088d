"""Report a plan whose file on disk is not in force. Pure."""

from __future__ import annotations

from drd.model.facts import PlanFacts
from drd.model.former_name import BELONG
from drd.model.text import counted
from drd.model.units import format_time
from drd.model.verdicts import NOT_LOADED, PlanState, Reason, Verdict


def not_loaded(facts: PlanFacts) -> list[Reason]:
    """Return the reason that the file on disk is not in force, with what is in force meanwhile."""
    reload = "systemctl reload drd"
    in_force = f"drd still uses the plan that it loaded at {format_time(facts.loaded_at)}"
    if facts.twin:
        text = f"{facts.twin} has the same plan name as {facts.file}: drd loads neither of these "
        text += f"files. A component that only one of them has is not backed up; {in_force}"
        command = f"drd plan check{f' && {reload}' if facts.served else ''}"
        return [Reason(Verdict.AT_RISK, text, command, NOT_LOADED)]
    if facts.load_error is None:
        return []
    # Without its package drd can neither back the plan up nor recover it.
    verdict = Verdict.UNKNOWN if facts.package_missing else Verdict.AT_RISK
    if facts.file_gone:
        text, command = _of_gone_file(facts, in_force)
    elif facts.package_changed:
        text, command = facts.load_error, facts.anew
        if facts.package_missing:
            command = f"drd doctor {facts.plan}"
        elif facts.served:
            command = "systemctl restart drd"
    elif facts.edited:
        text = f"the plan file was edited, but not reloaded: {in_force}"
        command = reload if facts.served else facts.anew
    else:
        text = f"drd refused the plan file ({facts.load_error}): {in_force}"
        command = f"drd plan check {facts.file or facts.plan}"
        if facts.served:
            command += f" && {'systemctl restart drd' if facts.needs_restart else reload}"
    state = PlanState.NEEDS_DRILL if facts.package_changed else PlanState.AT_RISK
    return [Reason(verdict, text, command, NOT_LOADED, at_least=state)]


def _of_gone_file(facts: PlanFacts, in_force: str) -> tuple[str, str]:
    """Return that no file contains the plan any more, and the command that leads out."""
    forget = f"drd plan forget {facts.plan}"
    if facts.renamed and not facts.complete_points:
        return f"{facts.load_error}; {in_force}", forget
    if facts.renamed:
        points = counted(facts.complete_points, "restore point")
        text = (
            f"{facts.load_error}; {in_force}. {BELONG[0].upper()}{BELONG[1:]}: if this is the same "
            f"plan with a new name, write `plan: {facts.plan}` again. If nobody needs its {points} "
            f"any more: {forget}"
        )
    else:
        text = f"{_no_more(facts, in_force)}. If the service does not exist any more: {forget}"
    return text, f"drd plan show {facts.plan} --loaded"  # its text, for the file


def _no_more(facts: PlanFacts, in_force: str) -> str:
    """Return that the file is gone, and what drd still does with the plan."""
    if not facts.served:
        return f"{facts.load_error}; {in_force}, but does not start backups or drills of this plan"
    return (
        f"{facts.load_error}. After a reload or restart of the service, drd does not start "
        f"backups or drills of this plan any more; until then {in_force}"
    )

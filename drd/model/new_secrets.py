"""Where a run of a playbook writes the new secrets of its steps: no secret is lost. Pure."""

from __future__ import annotations

from dataclasses import replace

from drd.model.runbook import NewSecret, Step


def of_run(step: Step, run: str, *, practised: bool) -> Step:
    """Return the step with the file to which this run writes its new secret: if people only
    practise, a file of the run beside the declared file. Else the declared file, and the name under
    which drd keeps an existing file."""
    new = _new_secret(step)
    if new is None or step.live is None:
        return step
    own = (
        replace(new, file=practised_file(new.file, run))
        if practised
        else replace(new, keeps=f"{new.file}.before-{run}")
    )
    return replace(step, live=replace(step.live, new_secret=own))


def practised_file(declared: str, run: str) -> str:
    """Return the file for a new secret of a run in which people only practise."""
    return f"{declared}.rehearsal-{run}"


def declared_files(steps: tuple[Step, ...]) -> set[str]:
    """Return the files that the steps declare for new secrets."""
    return {new.file for step in steps if (new := _new_secret(step)) is not None}


def _new_secret(step: Step) -> NewSecret | None:
    return step.live.new_secret if step.live is not None else None

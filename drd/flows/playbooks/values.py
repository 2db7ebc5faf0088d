"""The values that the steps of a playbook use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drd import secrets
from drd.errors import StepFailed
from drd.masking import MASK
from drd.model.new_secrets import declared_files, practised_file
from drd.model.plan import SecretRef
from drd.model.playbook import Playbook, reference
from drd.model.run_details import PlaybookDetail


@dataclass(frozen=True, slots=True)
class Values:
    """The values that the steps of a run of a playbook use. `inputs` has the inputs by name. For a
    secret input it has the reference: drd reads the secret only when a step uses it. `in_sandbox`:
    steps `recover` and `preserve` are practised in a sandbox. `practised_in` is the run if people
    only practise: it has files of its own for new secrets."""

    playbook: Playbook
    inputs: Mapping[str, str]
    plan: str = ""
    incident: int | None = None
    in_sandbox: bool = False
    practised_in: str = ""

    @classmethod
    def of_run(cls, playbook: Playbook, detail: PlaybookDetail, run: str = "") -> Values:
        """Return the values of a run. Empty `run`: the run has not begun."""
        given = {name: str(value) for name, value in detail.inputs.items()}
        return cls(
            playbook,
            given,
            detail.of_plan or "",
            detail.incident,
            detail.in_sandbox,
            run if detail.is_practised else "",
        )

    def get(self, name: str, *, shown: bool) -> str | None:
        """Return a value; None if no value has this name. With `shown`, for people, a secret is
        masked. Raises StepFailed, SecretUnavailable."""
        if name == "playbook":
            return self.playbook.name
        if name == "incident":
            return str(self.incident) if self.incident is not None else ""
        if name == "plan":
            return self._plan()
        known = self.playbook.input(name)
        if known is None:
            return None
        given = self.inputs.get(name, known.default)
        if given is None:
            raise StepFailed(
                f"the input {name} has no value",
                hint=f"start the playbook anew: drd playbook run {self.playbook.name} "
                f"--set {name}=VALUE",
            )
        if not known.secret:
            return given
        return MASK if shown else secrets.resolve(self._source(given))

    def _source(self, given: str) -> SecretRef:
        """Return where a secret is. If people only practise, a new secret is in the file of their
        run, as soon as a step has written it."""
        ref = reference(given)
        if not self.practised_in or ref.source != "file":
            return ref
        if ref.value not in declared_files(self.playbook.runbook):
            return ref
        own = practised_file(str(ref.value), self.practised_in)
        return SecretRef("file", own) if Path(own).exists() else ref

    def _plan(self) -> str:
        if not self.plan:
            raise StepFailed(
                "the step works on a plan, but this run was started without --plan",
                hint=f"start the playbook anew: drd playbook run {self.playbook.name} --plan PLAN",
            )
        return self.plan

"""The step `sql`: statements in a database that came back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.actions.command import missing_rollback
from drd.actions.settings import SqlSettings
from drd.errors import SourceError, StepFailed
from drd.model.runbook import Step
from drd.ports import Finding
from drd.ports.action import ActionContext

TIMEOUT_S = 300.0


class Statements:
    """One transaction: when drd dies in its midst, nothing has happened. When it dies between the
    commit and its own note, the statements are carried out once more."""

    def look(self, step: Step) -> list[Finding]:
        return missing_rollback(step)

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, SqlSettings)
        inspector = context.inspectors(settings.component)
        timeout_s = context.step.timeout_s or TIMEOUT_S
        try:
            rows = inspector.execute(settings.query, timeout_s=timeout_s)
        except SourceError as error:
            raise StepFailed(f"{settings.component}: {error.message}", hint=error.hint) from error
        return {"rows": rows}

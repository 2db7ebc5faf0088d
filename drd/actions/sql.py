"""The step `sql`: statements in a database that came back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.actions.command import missing_rollback
from drd.actions.settings import SqlSettings
from drd.errors import SourceError, StepFailed
from drd.model.runbook import Step
from drd.model.values import filled, within_quotes
from drd.ports import Finding
from drd.ports.action import ActionContext

TIMEOUT_S = 300.0


class Statements:
    """One transaction: when drd dies in its midst, nothing has happened. When it dies between the
    commit and its own note, the statements are carried out once more."""

    def preflight(self, step: Step) -> list[Finding]:
        return missing_rollback(step)

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, SqlSettings)
        inspector = context.inspectors(settings.component)
        timeout_s = context.step.timeout_s or TIMEOUT_S
        try:
            rows = inspector.execute(_statements(settings.query, context), timeout_s=timeout_s)
        except SourceError as error:
            raise StepFailed(f"{settings.component}: {error.message}", hint=error.hint) from error
        return {"rows": rows}


def _statements(query: str, context: ActionContext) -> str:
    """Each value is a string of SQL, whatever is in it."""

    def value(name: str) -> str:
        text = context.value(name)
        if "\\" in text or "\0" in text:
            hint = "hand it to a command instead."
            raise StepFailed(f"the value of ${{{name}}} holds a backslash", hint=hint)
        return text.replace("'", "''")

    return filled(within_quotes(query), value)

"""The findings of `drd doctor` about the listener for alerts of other systems."""

from __future__ import annotations

from collections.abc import Callable

from drd.errors import SecretUnavailable
from drd.model.finding import Finding
from drd.model.incidents.intake_rules import IntakeSettings
from drd.model.intake.signal import LEAST_TOKEN
from drd.model.plan import SecretRef

CODE = "intake-token"


def findings(settings: IntakeSettings, resolve: Callable[[SecretRef], str]) -> list[Finding]:
    """Return findings about whether the token is there and long enough; empty if there is no
    listener."""
    if settings.listen is None or settings.token is None:
        return []
    where = settings.token.describe()
    try:
        token = resolve(settings.token)
    except SecretUnavailable as error:
        return [Finding(CODE, "error", where, error.message, error.hint)]
    if (problem := too_short(token, where)) is not None:
        return [Finding(CODE, "error", where, *problem)]
    return [Finding(CODE, "ok", where, "the token of the intake exists")]


def too_short(token: str, where: str) -> tuple[str, str] | None:
    """Return why the token is refused, and the remedy; None if it is long enough."""
    if len(token) >= LEAST_TOKEN:
        return None
    text = f"the token of the intake, {where}, has fewer than {LEAST_TOKEN} characters"
    return text, "write a longer token, for example the output of: openssl rand -hex 24"

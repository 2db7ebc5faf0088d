"""The control `http`: one request, whose answer must be as the plan expects."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from drd.controls.requests import asked
from drd.controls.settings import RequestControl
from drd.model.controls import ControlResult, ControlSpec
from drd.model.text import either
from drd.ports.control import ControlContext, ControlKind


class HttpControl(RequestControl):
    """A request, and the answer that it must get: 401 without a token, 403 for a key that may not
    do this."""

    kind: Literal["http"]
    method: Literal["GET", "HEAD", "OPTIONS"] = Field(
        "GET", description="The HTTP method. Only methods that do not change data are possible."
    )
    expect: int | list[int] = Field(
        200, description="The status of a right answer, or a list of such status codes."
    )
    contains: str | None = Field(
        None, min_length=1, description="A text that the answer must contain."
    )
    lacks: str | None = Field(
        None, min_length=1, description="A text that the answer must not contain."
    )


class HttpAnswer:
    """A right status and text hold; no answer is unknown."""

    def run(self, spec: ControlSpec, context: ControlContext) -> ControlResult:
        settings = spec.settings
        assert isinstance(settings, HttpControl)
        wanted = [settings.expect] if isinstance(settings.expect, int) else settings.expect
        status, text = asked(settings, context, method=settings.method, within_s=spec.timeout_s)
        expected = f"status {either(wanted)}"
        asks = f"{settings.method} {settings.url}"
        remedy = f"check the answer of {asks}; if it is right, correct control {spec.name}"
        if status not in wanted:
            return ControlResult(False, f"{asks} answers {status}", expected, remedy)
        if settings.contains is not None and settings.contains not in text:
            wants = f'an answer with "{settings.contains}"'
            return ControlResult(
                False, f'the answer of {asks} does not contain "{settings.contains}"', wants, remedy
            )
        if settings.lacks is not None and settings.lacks in text:
            wants = f'an answer without "{settings.lacks}"'
            return ControlResult(
                False, f'the answer of {asks} contains "{settings.lacks}"', wants, remedy
            )
        return ControlResult(True, f"{asks} answers {status}", expected)


SPEC = ControlKind("http", HttpControl, HttpAnswer())

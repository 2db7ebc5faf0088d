"""The control `http`: one request, whose answer must be as the plan expects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from drd.controls.requests import LARGEST, asked
from drd.controls.settings import RequestControl
from drd.fields import Contradiction
from drd.model.controls import ControlResult, ControlSpec, ControlUnknown
from drd.model.text import either
from drd.model.units import format_size
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

    def contradictions(self) -> Iterator[Contradiction]:
        """Report a text that an answer without a body cannot have."""
        yield from super().contradictions()
        for key in ("contains", "lacks"):
            if self.method == "HEAD" and getattr(self, key) is not None:
                hint = f"use method GET, or remove `{key}`."
                yield Contradiction((key,), "the answer to HEAD has no text", hint)


class HttpAnswer:
    """A right status and text hold; no answer is unknown."""

    def run(self, spec: ControlSpec, context: ControlContext) -> ControlResult:
        settings = spec.settings
        assert isinstance(settings, HttpControl)
        wanted = [settings.expect] if isinstance(settings.expect, int) else settings.expect
        answer = asked(settings, context, method=settings.method, within_s=spec.timeout_s)
        status, text = answer.status, answer.text
        expected = f"status {either(wanted)}"
        asks = f"{settings.method} {settings.url}"
        remedy = f"check the answer of {asks}; if it is right, correct control {spec.name}"
        if status not in wanted:
            return ControlResult(False, f"{asks} answers {status}", expected, remedy)
        misses = settings.contains is not None and settings.contains not in text
        clean = settings.lacks is not None and settings.lacks not in text
        if not answer.whole and (misses or clean):
            raise ControlUnknown(
                f"the answer of {asks} is longer than {format_size(LARGEST)}, and drd looks at the "
                "beginning only",
                hint=f"use a URL with a shorter answer for control {spec.name}",
            )
        if misses:
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

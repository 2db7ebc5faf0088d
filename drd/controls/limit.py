"""The control `limit`: a service must refuse the requests above its limit."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from pydantic import Field

from drd.controls.requests import asked
from drd.controls.settings import RequestControl
from drd.fields import Duration
from drd.model.controls import ControlResult, ControlSpec, ControlUnknown
from drd.model.text import counted
from drd.model.units import format_duration
from drd.ports.control import ControlContext, ControlKind


class LimitControl(RequestControl):
    """Sends requests one after the other, until the service refuses one. This is real load: choose
    a cheap address."""

    kind: Literal["limit"]
    requests: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        description="The largest number of requests that drd sends. The limit of the "
        "service plus one is enough."
    )
    expect: int = Field(429, description="The status with which the service refuses a request.")
    every: Duration = Field(86400.0, description="How often drd runs this control.")


class Limit:
    """Holds as soon as one request is refused."""

    def run(self, spec: ControlSpec, context: ControlContext) -> ControlResult:
        settings = spec.settings
        assert isinstance(settings, LimitControl)
        most, ends = settings.requests, time.monotonic() + spec.timeout_s
        expected = f"status {settings.expect} within {counted(most, 'request')}"
        for number in range(1, most + 1):
            left_s = ends - time.monotonic()
            if left_s <= 0:
                raise ControlUnknown(
                    f"{settings.url} answered only {counted(number - 1, 'request')} within "
                    f"{format_duration(spec.timeout_s)}, and did not refuse a request",
                    hint=f"raise `timeout` of control {spec.name}, or lower its `requests`",
                )
            answer = asked(settings, context, method="GET", within_s=left_s)
            if answer.status == settings.expect:
                return ControlResult(True, f"request {number} was refused", expected)
        remedy = f"check the rate limit of {settings.url}, or correct control {spec.name}"
        return ControlResult(
            False, f"none of {counted(most, 'request')} was refused", expected, remedy
        )


SPEC = ControlKind("limit", LimitControl, Limit())

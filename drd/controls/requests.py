"""Send the requests of a control."""

from __future__ import annotations

from typing import NamedTuple

from drd import http
from drd.controls.settings import RequestControl
from drd.model.controls import ControlUnknown
from drd.ports.control import ControlContext

LARGEST = 1 << 20
"""The most bytes of an answer that a control looks at."""


class Answered(NamedTuple):
    """The status of an answer, and its text, of which the beginning if it is not `whole`."""

    status: int
    text: str
    whole: bool = True


def asked(
    settings: RequestControl, context: ControlContext, *, method: str, within_s: float
) -> Answered:
    """Send one request without a body, and return the answer. Raises ControlUnknown if there is
    none.
    """
    parts = http.parts_of(settings.url)
    assert parts is not None
    headers = {name: context.resolve(ref) for name, ref in settings.headers.items()}
    try:
        answer = http.exchange(
            parts,
            method,
            None,
            headers=headers,
            deadline_s=within_s,
            most=LARGEST + 1,
            trust=lambda: http.tls_context(settings.ca_cert, beside_system=True),
            loopback_directly=True,
        )
    except http.NoAnswer as error:
        raise ControlUnknown(f"{settings.url}: {error.message}", hint=error.hint) from None
    text = answer.body[:LARGEST].decode("utf-8", "replace")
    return Answered(answer.status, text, len(answer.body) <= LARGEST)

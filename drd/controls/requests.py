"""Send the requests of a control."""

from __future__ import annotations

from drd import http
from drd.controls.settings import RequestControl
from drd.model.controls import ControlUnknown
from drd.ports.control import ControlContext

_LARGEST = 1 << 20


def asked(
    settings: RequestControl, context: ControlContext, *, method: str, within_s: float
) -> tuple[int, str]:
    """Send one request without a body, and return status and text of the answer. Raises
    ControlUnknown if there is none.
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
            most=_LARGEST,
            trust=lambda: http.tls_context(settings.ca_cert, beside_system=True),
            loopback_directly=True,
        )
    except http.NoAnswer as error:
        raise ControlUnknown(f"{settings.url}: {error.message}", hint=error.hint) from None
    return answer.status, answer.body.decode("utf-8", "replace")

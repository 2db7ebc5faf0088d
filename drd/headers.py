"""Headers of HTTP requests in settings: which may be set, and which must not hold a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from drd.fields import Contradiction
from drd.model.plan import SecretRef

_SECRET = re.compile(r"authorization|cookie|token|key|secret|password", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN = ("host", "content-length", "transfer-encoding", "accept-encoding")


def wrong_headers(headers: Mapping[str, SecretRef]) -> Iterator[Contradiction]:
    """Report the headers that cannot be set, or hold a secret as a text."""
    for name, value in headers.items():
        path = ("headers", name)
        if not _NAME.fullmatch(name) or name.lower() in _OWN:
            hint = "use the name of a header, such as Authorization."
            yield Contradiction(path, f"{name!r} cannot be set", hint)
        elif value.source == "text" and _SECRET.search(name):
            hint = (
                f"store the value as a credential, and name this credential here: {name}: "
                "{credential: NAME}."
            )
            yield Contradiction(path, "this header contains a secret", hint)
        elif value.source == "text" and not str(value.value).isprintable():
            hint = "write the value in one line."
            yield Contradiction(path, "the value has control characters", hint)

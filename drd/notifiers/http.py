"""Send one HTTP POST, and judge whether it was accepted.

The addresses are secrets: messages name the host and never the path, which is often a key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from drd import http
from drd.errors import NotifyError
from drd.masking import masked

_LONGEST_ANSWER = 64 << 10
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer. `said` is the first line of its text, without secrets."""

    host: str
    status: int
    said: str
    retry_after_s: float | None = None
    location: str = ""


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    deadline_s: float,
    ca_cert: str | None = None,
) -> Reply:
    """Send `body` and read the answer, also if its status is an error. Raises NotifyError if there
    is no answer within `deadline_s`, which limits the whole request."""
    parts = http.parts_of(url)
    if parts is None:
        raise NotifyError(
            "the secret with the URL of this channel does not contain an http or https URL",
            hint="write the whole URL into the secret, for example https://hooks.example.com/abc.",
            permanent=True,
        )
    try:
        answer = http.exchange(
            parts,
            "POST",
            body,
            headers=headers,
            deadline_s=deadline_s,
            most=_LONGEST_ANSWER,
            trust=lambda: http.tls_context(ca_cert),
        )
    except http.NoAnswer as error:
        raise undelivered(error) from None
    return _answer(answer, parts)


def undelivered(error: http.NoAnswer) -> NotifyError:
    return NotifyError(error.message, hint=error.hint, permanent=error.permanent)


def judge(answer: Reply) -> str:
    """Return the host that accepted the message; raise NotifyError if the status is not a
    success."""
    status, host = answer.status, answer.host
    said = f": {answer.said}" if answer.said else ""
    if 200 <= status < 300:
        return f"{host} answered {status}"
    if 300 <= status < 400:
        where = f" to {answer.location}" if answer.location else ""
        raise NotifyError(
            f"{host} answered {status}, a redirect{where}, which drd does not follow",
            hint="write the new address into the secret.",
            permanent=True,
        )
    fault = f"{host} answered {status}{said}"
    if status in (401, 403, 404, 410):
        hint = "check that the URL of this channel, or the token in it, is still valid."
        raise NotifyError(fault, hint=hint, permanent=True)
    raise NotifyError(
        fault,
        permanent=400 <= status < 500 and status not in (408, 425, 429),
        retry_after_s=answer.retry_after_s,
    )


def _answer(answer: http.Answer, parts: SplitResult) -> Reply:
    secret = secret_parts(parts)
    location = masked(answer.headers.get("Location", ""), secret)
    return Reply(
        host=answer.host,
        status=answer.status,
        said=_first_line(answer, secret),
        retry_after_s=_retry_after(answer.headers.get("Retry-After", "")),
        location=urlsplit(location).hostname or "" if location else "",
    )


def _first_line(answer: http.Answer, secret: Collection[str]) -> str:
    """Return the first line of an answer that is not an HTML page, without secrets: servers often
    repeat what they got."""
    is_page = "html" in answer.headers.get("Content-Type", "")
    text = masked(answer.reason if is_page else answer.body.decode("utf-8", "replace"), secret)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]", "?", lines[0])[:200] if lines else ""


def secret_parts(parts: SplitResult) -> set[str]:
    """Return the parts of an address that could be keys. They are masked in answers from this
    address only, since they may be common words."""
    pieces = {parts.path, parts.query, parts.password or ""}
    words = [*parts.path.split("/"), *re.split(r"[&=;]", parts.query)]
    words += [parts.username] if parts.username and not parts.password else []
    return {p for p in pieces if len(p) >= 4} | {w for w in words if len(w) >= 6}


def _retry_after(text: str) -> float | None:
    """Seconds, or a date; at most an hour, so that nobody can silence drd for longer."""
    if not text:
        return None
    if text.strip().isdecimal():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT_S)

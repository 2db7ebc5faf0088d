"""restic's output with --json: one message a line, between lines that are not JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drd.masking import masked
from drd.model.text import without_middle
from drd.ports import OnProgress, Progress, no_progress
from drd.process import SHOWN

_SKIPPED = " does not exist, skipping"
_OF_RCLONE = re.compile(r"^rclone: [\d/]+ [\d:]+ (?:ERROR|CRITICAL) : (.*)$", re.MULTILINE)
_STATUS_ALONE = "unexpected HTTP response"
"""restic's words for an answer of rclone of which only rclone's own message says the reason."""


class Listener:
    """Follows stdout line by line and keeps only the summary: a gigabyte of data produces hundreds
    of status lines.
    """

    def __init__(
        self,
        subject: str = "",
        phase: str = "",
        *,
        expected_bytes: int | None = None,
        on_progress: OnProgress = no_progress,
    ) -> None:
        self.summary: Mapping[str, Any] = {}
        self.done = 0
        self._subject = subject
        self._phase = phase
        self._expected = expected_bytes
        self._on_progress = on_progress

    def on_line(self, line: str) -> None:
        message = _message(line)
        if message.get("message_type") == "summary":
            self.summary = message
        elif message.get("message_type") == "status":
            self.done = int(message.get("bytes_done") or message.get("bytes_restored") or 0)
            total = self._expected or message.get("total_bytes") or None
            self._on_progress(Progress(self._subject, self._phase, self.done, total))


@dataclass(frozen=True, slots=True)
class Complaints:
    """What restic printed on stderr. `items` are the files that it could not read or write, with
    the reason; `skipped` are paths that did not exist; `fatal` is its last fatal message; `lines`
    is everything, unwrapped, for patterns.
    """

    items: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]
    fatal: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def last(self) -> str:
        """The best single sentence, in lower case and without restic's `Fatal:`. For an answer of
        rclone that is only a number, rclone's own message follows."""
        words = self.fatal or (self.lines[-1] if self.lines else "")
        first = words.strip().partition("\n")[0].removeprefix("Fatal: ")
        first = first[:1].lower() + first[1:]
        by_rclone = _OF_RCLONE.findall(self.text) if _STATUS_ALONE in first else []
        if by_rclone:
            first += f" (rclone: {by_rclone[-1].lstrip(' :')})"
        return without_middle(masked(first), SHOWN)


def complaints(stderr: str) -> Complaints:
    items: list[tuple[str, str]] = []
    skipped: list[str] = []
    lines: list[str] = []
    fatal = ""
    for line in stderr.splitlines():
        message = _message(line)
        if not message:
            lines.append(line)
            if line.endswith(_SKIPPED):
                skipped.append(line.removesuffix(_SKIPPED))
            fatal = line if line.startswith(("Fatal: ", "panic: ")) else fatal
            continue
        error = message.get("error")
        inner = error.get("message") if isinstance(error, dict) else None
        text = str(inner or message.get("message") or "").strip()
        if text:
            lines.append(text)
        if message.get("message_type") == "exit_error":
            fatal = text
        elif message.get("item"):
            items.append((str(message["item"]), text))
    return Complaints(tuple(items), tuple(skipped), fatal, tuple(lines))


def _message(line: str) -> Mapping[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}

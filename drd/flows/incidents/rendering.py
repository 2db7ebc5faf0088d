"""Render the template of a message in a process of its own, with bounds in time and memory."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import ConfigError, DeadlineExceeded, Problem
from drd.model.text import escaped
from drd.process import Command

DEADLINE_S = 60.0
LONGEST_SUBJECT = 200
_SUBJECT = "Subject:"
_GAPS = re.compile(r"\n{3,}")
_BOUNDS = (
    "check the loops of the template: the template must end within seconds, and must "
    "produce a short text."
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The subject, and the text."""

    subject: str
    text: str


def render(
    name: str, texts: Mapping[str, str], files: Mapping[str, str], values: Mapping[str, Any]
) -> Rendered:
    """Return the message that a template makes of these values. Raises ConfigError with file, line
    and value if a value is missing, if the template has a mistake, or if it does not end."""
    question = {"template": name, "templates": dict(texts), "values": dict(values)}
    argv = (sys.executable, "-I", "-m", "drd.rendering")
    command = Command(
        argv, cwd=Path("/"), deadline_s=DEADLINE_S, name="the renderer", drop_capabilities=True
    )
    try:
        done = process.run(command, stdin=json.dumps(question).encode())
    except DeadlineExceeded:
        raise _wrong(files[name], 1, "does not end", _BOUNDS) from None
    try:
        answer = json.loads(done.stdout) if done.exit_code == 0 else {}
    except ValueError:
        answer = {}
    if not answer:
        fact = (
            "does not end, or produces more and more text (the renderer "
            f"{process.ended(done.exit_code)})"
        )
        raise _wrong(files[name], 1, fact, _BOUNDS)
    if "kind" in answer:
        raise _told(answer, files)
    return _parsed(str(answer["text"]), files[name])


def _told(answer: Mapping[str, Any], files: Mapping[str, str]) -> ConfigError:
    template, line, value = (answer[key] for key in ("template", "line", "value"))
    file, shown = files.get(template, template), escaped(value)
    facts = {
        "missing": (
            f"the value {shown} is missing",
            f"if it is a value below `said`: --set {shown}=TEXT. If not: {{% if … is defined %}}.",
        ),
        "absent": (f"there is no template {shown}", "write the name of a template that exists."),
        "syntax": (f"is not a Jinja template: {shown}", "correct this line."),
        "forbidden": (
            f"uses something that templates are not allowed to use: {shown}",
            "use only the values of docs/messages.md.",
        ),
        "bounds": (f"produces more and more text ({shown})", _BOUNDS),
        "length": (f"produces more than {shown} characters", _BOUNDS),
    }
    fact, hint = facts.get(answer["kind"], (f"fails: {shown}", "correct this line."))
    return _wrong(file, int(line), fact, hint)


def _wrong(file: str, line: int, fact: str, hint: str) -> ConfigError:
    return ConfigError([Problem(file, line, "", fact, hint)])


def _parsed(text: str, file: str) -> Rendered:
    """Split the first line, which is the subject, from the text. Control characters are escaped, so
    that nothing in a value becomes a header or moves a terminal's cursor."""
    lines = [escaped(line.rstrip()) for line in text.strip("\n").split("\n")]
    if not lines[0].startswith(_SUBJECT):
        hint = "write `Subject: …` in the first line."
        raise _wrong(file, 1, "has no subject", hint)
    subject = lines[0].removeprefix(_SUBJECT).strip()
    body = _GAPS.sub("\n\n", "\n".join(lines[1:])).strip("\n")
    if not subject or not body:
        hint = "write a subject in the first line, and a text below."
        raise _wrong(file, 1, "produces an empty message", hint)
    if len(subject) > LONGEST_SUBJECT:
        hint = f"write at most {LONGEST_SUBJECT} characters."
        raise _wrong(file, 1, f"produces a subject of {len(subject)} characters", hint)
    return Rendered(subject, body + "\n")

"""Render one template of a message, in a separate program that may use little time and memory.

A template can loop for ever, or grow without bound: then this process ends, and drd goes on. It
gets a question as JSON on stdin, and answers with JSON on stdout.
"""

from __future__ import annotations

import json
import resource
import sys
from traceback import walk_tb
from typing import Any, NoReturn

from jinja2 import FunctionLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_S = 3
MEMORY_BYTES = 512 << 20
LONGEST = 50_000
"""Characters of a message."""


class _Missing(StrictUndefined):
    """A value that is not there; any use of it but a test is an error with its name."""

    __slots__ = ()

    def _fail_with_undefined_error(self, *_: Any, **__: Any) -> NoReturn:
        raise _MissingValue(str(self._undefined_name))

    __str__ = __iter__ = __len__ = __bool__ = __hash__ = _fail_with_undefined_error
    __eq__ = __ne__ = __contains__ = __call__ = __getitem__ = _fail_with_undefined_error
    __lt__ = __gt__ = __le__ = __ge__ = __add__ = __radd__ = _fail_with_undefined_error

    def __getattr__(self, name: str) -> Any:
        if name[:2] == name[-2:] == "__":
            raise AttributeError(name)
        raise _MissingValue(str(self._undefined_name))


class _MissingValue(Exception):
    """A template uses a value that the incident does not have."""


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return the text of a template, or the error: kind, template, line, value."""
    name = str(question["template"])
    environment = ImmutableSandboxedEnvironment(
        loader=FunctionLoader(lambda wanted: _source(wanted, question["templates"])),
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    try:
        text = _text(environment.get_template(name).generate(**question["values"]))
    except TemplateSyntaxError as error:
        return _wrong("syntax", error.name or name, error.lineno, error.message or "")
    except _MissingValue as error:
        return _wrong("missing", *_place(error, name, question["templates"]), str(error))
    except SecurityError as error:
        return _wrong("forbidden", *_place(error, name, question["templates"]), str(error))
    except (MemoryError, RecursionError, OverflowError) as error:
        return _wrong("bounds", *_place(error, name, question["templates"]), type(error).__name__)
    except TemplateNotFound as error:
        return _wrong("absent", *_place(error, name, question["templates"]), str(error))
    except Exception as error:  # noqa: BLE001 (whatever a template does is its own mistake)
        return _wrong("other", *_place(error, name, question["templates"]), str(error))
    if text is None:
        return _wrong("length", name, 1, str(LONGEST))
    return {"text": text}


def _source(name: str, templates: dict[str, str]) -> tuple[str, str, None] | None:
    """Return a template under its name, by which tracebacks call it."""
    return (templates[name], name, None) if name in templates else None


def _text(parts: Any) -> str | None:
    """Return the text; None if it is too long."""
    chunks, length = [], 0
    for part in parts:
        chunks.append(part)
        length += len(part)
        if length > LONGEST:
            return None
    return "".join(chunks)


def _place(error: BaseException, name: str, templates: dict[str, str]) -> tuple[str, int]:
    """Return the template and the line in which an error happened: the innermost of them."""
    place = name, 1
    for frame, line in walk_tb(error.__traceback__):
        if frame.f_code.co_filename in templates:
            place = frame.f_code.co_filename, line
    return place


def _wrong(kind: str, template: str, line: int, value: str) -> dict[str, Any]:
    return {"kind": kind, "template": template, "line": line, "value": value[:500]}


def main() -> None:
    """Answer one question, within bounds."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    sys.stdout.write(json.dumps(answer(json.loads(sys.stdin.buffer.read()))))


if __name__ == "__main__":
    main()

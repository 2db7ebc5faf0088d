"""structlog, set up once for each process: text for a person on a terminal, JSON otherwise.

It is imported when the first line is really logged: a successful run that a person started logs no
lines, and structlog costs a tenth of its start.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from functools import cache
from typing import Any

from drd.masking import mask, masked

__all__ = ["LEVELS", "Logger", "configure", "get", "mask", "masked"]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Loggable = str | float | bool | None | Sequence[str] | Sequence[int] | BaseException
"""What the key of an event may be: what people can read as it is. An object of drd's own would be
logged as Python writes it, so its fields are logged."""

_chosen = {"level": "warning", "style": "auto"}


def configure(*, level: str = "warning", style: str = "auto") -> None:
    """Log to stderr from `level` up; `style` is `console`, `json`, `auto` (console on a terminal,
    else JSON) or `plain`: sentences, as a command prints its own warnings, wherever they go. If
    stderr is the journal, each line has its fields, in any style.
    """
    _chosen.update(level=level, style=style)
    _structlog.cache_clear()


class Logger:
    """Logs events with keys. Events below the level cost nothing."""

    def __init__(self, context: Mapping[str, Loggable]) -> None:
        self._context = context

    def debug(self, event: str, **keys: Loggable) -> None:
        self._log("debug", event, keys)

    def info(self, event: str, **keys: Loggable) -> None:
        self._log("info", event, keys)

    def warning(self, event: str, **keys: Loggable) -> None:
        self._log("warning", event, keys)

    def error(self, event: str, **keys: Loggable) -> None:
        self._log("error", event, keys)

    def _log(self, level: str, event: str, keys: Mapping[str, Loggable]) -> None:
        if LEVELS[level] >= LEVELS[_chosen["level"]]:
            logger = _structlog().get_logger(**self._context)
            getattr(logger, level)(event, **keys)


def get(**context: Loggable) -> Logger:
    """Return a logger with `context` bound."""
    return Logger(context)


def _mask_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = masked(value)
    return event


def _escape_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape text from outside for a terminal, which it must not control. JSON has its own
    escapes.
    """
    for key, value in event.items():
        if isinstance(value, str) and not (value.isascii() and value.isprintable()):
            event[key] = "".join(
                c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
                for c in value
            )
    return event


_SAYS = ("fact", "what", "error", "why")
"""The keys of which one says what happened, in a sentence."""


def _plainly(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    """Return an event as `drd: warning: FACT` and `HINT: REMEDY`. The other keys follow the fact in
    brackets; without a fact, the name of the event is there."""
    level, name = event.pop("level", "info"), event.pop("event", "")
    event.pop("timestamp", None)
    trace = event.pop("exception", None)
    remedy = event.pop("remedy", None) or event.pop("hint", None)
    says = next((event.pop(key) for key in _SAYS if event.get(key)), name)
    more = ", ".join(f"{key} {value}" for key, value in event.items() if value is not None)
    lines = [f"drd: {level}: {says}{f' ({more})' if more else ''}"]
    lines += [f"HINT: {remedy}"] if remedy else []
    return "\n".join([*lines, *([trace] if trace else [])])


def _to_journal(as_json: Any, sent: type[BaseException], *, sentences: bool) -> Any:
    """Return a renderer that sends a sentence or JSON with fields to the journal; lines that the
    journal does not accept go to `as_json`.
    """

    from drd import journal

    def render(logger: Any, name: str, event: MutableMapping[str, Any]) -> Any:
        fields = {k: str(v) for k, v in event.items() if v is not None}
        level, fact = fields.pop("level", "info"), fields.pop("event", "")
        fields.pop("timestamp", None)
        words = "".join(f" {k}={v}" for k, v in fields.items())
        line = as_json(logger, name, {**event})
        message = fact + words if sentences else line
        if journal.send(journal.datagram(level, message, {**fields, "event": fact})):
            raise sent
        return line

    return render


@cache
def _structlog() -> Any:
    """structlog, configured as chosen."""
    import structlog

    from drd import journal

    style = _chosen["style"]
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    for_people = console or style == "plain"
    renderer: Any = structlog.processors.JSONRenderer()
    if journal.is_ours():
        renderer = _to_journal(renderer, structlog.DropEvent, sentences=style != "json")
    elif style == "plain":
        renderer = _plainly
    elif console:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_event,
            *([_escape_event] if for_people and not journal.is_ours() else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[_chosen["level"]]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    return structlog

"""The signals in a message of another system, whichever of the known forms it has."""

from __future__ import annotations

from collections.abc import Iterator

from drd.errors import UsageError
from drd.model.intake import alertmanager, mapped, ocsf
from drd.model.intake.json_parts import Part, documents, elements
from drd.model.intake.mapped import Mapped
from drd.model.intake.signal import Signal
from drd.model.malformed import Malformed
from drd.model.units import format_size

LARGEST = 256 << 10
"""The largest message, in bytes."""
MOST = 500
"""The most alerts in one message."""
MOST_OF_READERS = 20
"""The same of a user who may only report."""


def signals(raw: bytes, mapping: Mapped | None, most: int = MOST) -> list[Signal]:
    """Return the alerts in a message, which may contain at most `most`. Raises UsageError."""
    if len(raw) > LARGEST:
        raise UsageError(
            f"the message has {format_size(len(raw))}, but drd accepts at most "
            f"{format_size(LARGEST)}",
            hint="send fewer alerts in one message: max_alerts of Alertmanager's webhook.",
        )
    try:
        text = raw.decode("utf-8-sig")
        parts = list(documents(text))
    except UnicodeDecodeError:
        raise UsageError(
            "the message is not UTF-8", hint="send the alerts as JSON in UTF-8."
        ) from None
    except Malformed as error:
        raise UsageError(f"the message {error.fact}", hint=f"{error.remedy}.") from None
    except (ValueError, RecursionError):
        raise UsageError(
            "the message is not JSON",
            hint="send alerts as JSON in UTF-8, or send the report of a mail server unchanged.",
        ) from None
    if not parts:
        raise UsageError("the message is empty", hint="send the alerts as JSON in UTF-8.")
    read_signals = [signal for part in parts for signal in _signals(text, part, mapping)]
    if len(read_signals) > most:
        raise UsageError(
            f"the message has {len(read_signals)} alerts, but drd accepts at most {most} here",
            hint="send fewer alerts in one message: max_alerts of Alertmanager's webhook."
            if most == MOST
            else "send fewer alerts in one message. Operators may send more (docs/intake.md).",
        )
    return read_signals


def _signals(text: str, part: Part, mapping: Mapped | None) -> Iterator[Signal]:
    if alertmanager.is_alertmanager(part.value):
        yield from alertmanager.signals(text, part)
    elif ocsf.is_ocsf(part.value):
        yield ocsf.signal(part.value, text[part.start : part.end])
    elif isinstance(part.value, list) and part.value and all(map(ocsf.is_ocsf, part.value)):
        for one in elements(text, part.start):
            yield ocsf.signal(one.value, text[one.start : one.end])
    elif mapping is not None:
        yield from mapped.signals(text, part, mapping)
    else:
        raise UsageError(
            "the message is neither one of Alertmanager nor an OCSF finding",
            hint="describe its parts with a mapping: --mapping FILE (docs/intake.md), or "
            "`incident: {intake: {mapping: FILE}}` in drd.yaml.",
        )

"""One metric with its samples, in Prometheus's text format.

Written here, because prometheus-client takes four times as long: a thousand plans have 80,000
samples, and they are rendered once a minute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from drd.model.text import readable

Sample = tuple[Sequence[str], float | None]
"""Values of the labels, and the value; None is unknown, and becomes no sample. Text from outside
has been through `printable`."""

Metric = str
"""The lines of one metric."""


def labelled(labels: Sequence[str], values: Sequence[str]) -> str:
    """The labels as they stand behind a name: `{plan="orders-api"}`."""
    return "{" + ",".join([f'{n}="{v}"' for n, v in zip(labels, values, strict=True)]) + "}"


def gauge_of(name: str, text: str, samples: Iterable[tuple[str, float | None]]) -> Metric:
    """Make a gauge like `gauge`, with labels that were prepared before, for labels that many gauges
    share.
    """
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    lines += [f"{name}{labels} {float(value)!r}" for labels, value in samples if value is not None]
    return "\n".join([*lines, ""])


def gauge(name: str, text: str, labels: Sequence[str], samples: Iterable[Sample]) -> Metric:
    """Return a gauge of the known samples. Without any, only its description is written."""
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    line = name + (
        "{" + ",".join(f'{label}="%s"' for label in labels) + "} %s" if labels else " %s"
    )
    lines += [
        line % (*values, repr(float(value))) for values, value in samples if value is not None
    ]
    return "\n".join([*lines, ""])


def one_of(
    values: Sequence[str], states: type[StrEnum] | Sequence[str], now: str | None
) -> Iterator[Sample]:
    """Yield a sample for each state, 1 for the current state and 0 for the others; none if the
    state is unknown. The state is the last label's value."""
    if now is not None:
        for state in states:
            yield (*values, str(state)), float(state == now)


def moment(at: datetime | None) -> float | None:
    """Seconds since 1970, to the millisecond: the same instant is the same number at every tick."""
    return None if at is None else round(at.timestamp(), 3)


def printable(text: str) -> str:
    """Return a name from outside as a label: quoted, with bytes that are not UTF-8 (of a file's
    name) escaped, because a single such byte would make all metrics unreadable."""
    return readable(text).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

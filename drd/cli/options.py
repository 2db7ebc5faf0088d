"""Options that every verb has."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def count(text: str) -> int:
    """Return a number, at least one. Raises ValueError, which argparse turns into "invalid count
    value"."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def global_options(parser: argparse.ArgumentParser, *, top: bool = False) -> None:
    """Options that stand before or after the verb."""
    default: Any = None if top else argparse.SUPPRESS
    off: Any = False if top else argparse.SUPPRESS
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help="path of drd.yaml (default: $DRD_CONFIG, or /etc/drd/drd.yaml)",
    )
    parser.add_argument("--quiet", "-q", action="store_true", default=off, help="print errors only")
    parser.add_argument(
        "--no-color", action="store_true", default=off, help="print no colours (like $NO_COLOR)"
    )

"""What the steps of a runbook do, beside restoring and checking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drd.errors import NotSupported

if TYPE_CHECKING:
    from drd.ports.action import Action

KINDS = ("start", "stop", "command", "http", "sql", "erasures", "simulate", "rollback")


def action_for(kind: str) -> Action:
    """The action of this kind of step; only its own module is imported. Raises NotSupported."""
    if kind == "start":
        from drd.actions.start import Start

        return Start()
    if kind == "stop":
        from drd.actions.stop import Stop

        return Stop()
    if kind == "command":
        from drd.actions.command import OwnCommand

        return OwnCommand()
    if kind == "http":
        from drd.actions.http import Request

        return Request()
    if kind == "sql":
        from drd.actions.sql import Statements

        return Statements()
    if kind == "erasures":
        from drd.actions.erasures import Erasures

        return Erasures()
    if kind == "simulate":
        from drd.actions.command import StandIn

        return StandIn()
    if kind == "rollback":
        from drd.actions.command import TakeBack

        return TakeBack()
    raise NotSupported(f"steps of kind {kind} do nothing", hint=f"one of {', '.join(KINDS)}.")

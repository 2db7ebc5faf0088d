"""The steps of runbooks beside restoring, checking and asking people: a module for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drd.registry import ACTIONS

if TYPE_CHECKING:
    from drd.ports.action import Action


def action_for(kind: str) -> Action:
    """Return the action of steps of this kind; `simulate` replaces a step, `rollback` rolls one
    back. Raises NotSupported."""
    from drd.actions.command import RollbackCommand, SimulationCommand

    if kind == "simulate":
        return SimulationCommand()
    return RollbackCommand() if kind == "rollback" else ACTIONS[kind].action

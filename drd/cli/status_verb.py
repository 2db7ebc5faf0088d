"""`drd status`: its options, and where the state is."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence

from drd.cli.output import colours
from drd.cli.status import status_command
from drd.config.location import ConfiguredPlaces, config_path, guessed_places, places
from drd.config.paths import DEFAULT_CONFIG
from drd.errors import ConfigError, DrdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

_UNIT = "/etc/systemd/system/drd.service"
"""The file that `drd install` writes: a host that has it expects a daemon."""


def run(args: argparse.Namespace) -> int:
    gc.disable()  # none of what thousands of plans are read into is garbage before the end
    try:
        return _run(args)
    finally:
        gc.enable()


def _of_plan(args: argparse.Namespace, what: str) -> Sequence[Mapping[str, Any]]:
    from drd.cli.status_upcoming import ASKED  # few calls name a plan

    return ASKED[what](args)


def _run(args: argparse.Namespace) -> int:
    path, explicit = config_path(args.config)
    refused = None
    try:
        at = places(path, explicit=explicit)
    except ConfigError as error:
        guessed = guessed_places(path)
        if guessed is None:
            raise
        at, refused = guessed, error
    try:
        return _status(args, at, path, refused)
    except DrdError as error:
        raise (refused or error) from error


def _status(
    args: argparse.Namespace, at: ConfiguredPlaces, path: str, refused: ConfigError | None
) -> int:
    return status_command(
        config=path,
        refused=refused,
        state_url=at.state_url,
        state_password=at.state_password,
        extensions=at.extensions,
        plans_dir=at.plans_dir,
        public_dir=at.public_dir,
        plan=args.plan,
        json=args.json,
        nagios=args.nagios,
        colour=colours(args.no_color),
        everything=args.all,
        upcoming=lambda: _of_plan(args, "upcoming"),
        people=lambda: _of_plan(args, "people"),
        installed=path == DEFAULT_CONFIG and os.path.exists(_UNIT),  # noqa: PTH110 (4 ms)
    )

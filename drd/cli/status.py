"""`drd status`: the one screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from os import PathLike

from drd.cli.render import shown, terminal_height, terminal_width
from drd.cli.status_host import broken, configuration_trouble, copied_state, with_daemon
from drd.cli.status_reading import StatusQuery, read_document
from drd.cli.status_table import MANY, about_drd, everyone, gravest, render
from drd.config.location import ConfiguredPlaces
from drd.config.paths import public_of
from drd.errors import DrdError
from drd.flows.status.overview import StatusDocument, trouble_at_rest
from drd.flows.status.packages import missing_packages
from drd.model.titles import REPORT
from drd.model.verdicts import exit_code
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from drd.cli.status_plan import Upcoming
    from drd.model.plan import SecretRef


def status_command(
    *,
    state_url: str,
    state_password: SecretRef | None = None,
    extensions: Sequence[str] = (),
    plans_dir: str | PathLike[str],
    public_dir: str | None = None,
    plan: str | None,
    json: bool,
    nagios: bool,
    colour: bool,
    installed: bool = False,
    everything: bool = False,
    upcoming: Upcoming | None = None,
    people: Upcoming | None = None,
    config: str | None = None,
    refused: DrdError | None = None,
    now: datetime | None = None,
    out: TextIO | None = None,
) -> int:
    """Print the status, and return the exit code of `code_of`. With `plan`: the status of this plan
    with all details, its `upcoming` runs, and what is overdue for `people`. On a terminal, print at
    most a screen of plans, unless `everything` is set. With `nagios`, the exit code is 0 to 3 as
    Nagios expects it, even for errors; otherwise errors are raised as DrdError."""
    out = out or sys.stdout
    places = ConfiguredPlaces(
        state_url,
        os.fspath(plans_dir),
        public_dir or public_of(state_url),
        state_password,
        tuple(extensions),
    )
    seeing = _Seeing(config, refused, installed)
    if nagios:
        wanted = StatusQuery(plan, 50, installed)
        return _nagios(lambda: _seen(_read(places, wanted, now), places, seeing), out)
    wanted = StatusQuery(plan, None if json else 0, installed)
    document = _seen(_read(places, wanted, now), places, seeing)
    if json:
        from json import dumps

        from drd.flows.status.document import status_json

        text = dumps(status_json(document), indent=2)
    elif plan is not None and document.plans:
        from drd.cli.status_plan import render_plan  # few calls name a plan

        width = terminal_width(out)
        lines = render_plan(document, upcoming, width, colour, people)
        text = "\n".join([*lines, *about_drd(document, width, colour)])
    else:
        at_most = MANY if out.isatty() and not everything else None
        text = render(document, terminal_width(out), colour, at_most=at_most)
        height = terminal_height(out)
        if height is not None and text.count("\n") >= height and everyone(document):
            text += f"\n\n{gravest(document)}"
    print(shown(text, painted=colour), file=out)
    return code_of(document)


def code_of(document: StatusDocument) -> int:
    """Return the exit code: 3 if a plan is breached, unknown or not ready, if drd can record
    nothing, or if a report about an incident is late; 2 if drd.yaml is broken."""
    trouble = document.configuration
    if any(a.kind == REPORT and a.severity == "critical" for a in document.alerts):
        return 3
    return exit_code(document.state) or (2 if trouble is not None and trouble.broken else 0)


class _Seeing(NamedTuple):
    """The drd.yaml of the host, why its places could only be guessed, and whether a service is
    expected there."""

    config: str | None
    refused: DrdError | None
    installed: bool


def _seen(document: StatusDocument, places: ConfiguredPlaces, host: _Seeing) -> StatusDocument:
    """Return the document with what the host itself shows about the daemon and drd.yaml."""
    document = with_daemon(document, places.public_dir, installed=host.installed)
    if host.config is None:
        return document
    trouble = (
        broken(host.refused, document.daemon)
        if host.refused is not None
        else configuration_trouble(host.config, places, document)
    )
    return document._replace(configuration=trouble)


def _read(places: ConfiguredPlaces, wanted: StatusQuery, now: datetime | None) -> StatusDocument:
    document = read_document(places, wanted, now)
    missing = missing_packages(places.extensions) if places.extensions else ()
    return document._replace(
        trouble=trouble_at_rest(places.state_url, document.daemon),
        missing_packages=missing,
        copied=copied_state(document, places.state_url),
    )


def _nagios(document: Callable[[], StatusDocument], out: TextIO) -> int:
    """A plugin must print one line and must not exit with a code of another meaning."""
    from drd.flows.status.nagios import nagios, unbarred

    try:
        code, line = nagios(document())
    except DrdError as error:
        code, line = 3, unbarred(f"DRD UNKNOWN - {error}")
    print(shown(line), file=out)
    return code

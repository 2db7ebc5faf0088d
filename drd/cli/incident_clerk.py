"""Work on the messages of an incident: users who own the state do this here, others through the
daemon."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from drd.api import message_acts as acts
from drd.api.message_acts import COMPOSING, MESSAGE_ACTS, ComposeBody, Outbox
from drd.bootstrap import App
from drd.cli.incident_acting import author, path_of, zone_of
from drd.cli.incident_scope import readable_plans
from drd.cli.remote import Remote
from drd.errors import DrdError, UsageError
from drd.flows.incidents import messages as flow
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk
from drd.model.incidents.messages import Fate
from drd.model.plan import Plan
from drd.model.text import escaped

_WAIT_S = 30.0
_LOOK_S = 0.5


class Clerk:
    """The messages of one incident; `number` is None for the only open incident. Methods return the
    documents of the daemon. They raise UsageError, ConfigError, and the errors of `Remote`."""

    def __init__(self, app: App, args: argparse.Namespace, number: int | None) -> None:
        self._app, self._args = app, args
        self._remote = None if app.state.is_ours else Remote(app)
        self._left_out = number is None
        self._number = chosen(app.catalogue, number) if self._remote is None else number

    def _path(self, rest: str) -> str:
        return f"{path_of(self._number)}/messages{rest}"

    def listed(self) -> dict[str, Any]:
        """Return the messages of the incident."""
        if self._remote is not None:
            return self._remote.get(self._path(""))
        return acts.listed(self._app, self._here)

    def kept(self, which: int) -> dict[str, Any]:
        """Return what a message says."""
        if self._remote is not None:
            return self._remote.get(self._path(f"/{which}"))
        return acts.kept(self._app, self._here, which)

    def compose(self, verb: str, word: str) -> dict[str, Any]:
        """Preview or draft a message, as the options ask for it."""
        acts.audience_of(word)
        given = self._composing(word)
        if self._remote is not None:
            return self._asked(self._remote.post(self._path(f"/{verb}"), **self._by(), **given))
        if verb == "draft":
            self._require_recipients()
        return COMPOSING[verb](self._box(), ComposeBody.model_construct(**given))

    def approvable(self, which: int) -> dict[str, Any]:
        """Return the content of a message that can be approved. Raises UsageError if it cannot be
        approved."""
        if self._remote is None:
            flow.approvable(self._box().desk, which, self._app.channels.reach())
        return self._asked(self.kept(which))

    def act(self, verb: str, which: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """Do something with a message that was drafted."""
        if self._remote is not None:
            return self._asked(
                self._remote.post(self._path(f"/{which}/{verb}"), **self._by(), **given)
            )
        if verb in {"approve", "send"}:
            self._require_recipients()
        takes, act = MESSAGE_ACTS[verb]
        # Not validated: on this host, a text may be longer than in a request.
        return act(self._box(), which, takes.model_construct(**given))

    def _require_recipients(self) -> None:
        """Raise ConfigError if drd.yaml has errors where it says who gets what, and by which
        way."""
        self._app.settings.require("notify", "contacts", "people")

    def delivered(self, which: int) -> dict[str, Any]:
        """Wait until the message is sent, if that does not take long, and return the message. A
        user who owns the state sends it now, because there may be no daemon."""
        if self._remote is None:
            self._deliver()
            return self._box().told(flow.message_of(self._app.catalogue, self._here, which))
        limit = time.monotonic() + _WAIT_S
        while True:
            listed = self.listed()
            message = next(m for m in listed["messages"] if m["message"] == which)
            waits = [
                one
                for one in message["deliveries"]
                if one["fate"] == Fate.WAITING and not one["said"]
            ]
            if not waits or time.monotonic() > limit:
                return {"incident": listed["incident"], **message}
            time.sleep(_LOOK_S)

    def _deliver(self) -> None:
        self._app.channels.letter_sender(at_once=True, wait_s=_WAIT_S).deliver_due()
        sender = self._app.channels.outbox_sender()
        sender.deliver_due()
        sender.wait(_WAIT_S)

    @property
    def _here(self) -> int:
        assert self._number is not None, "only the daemon chooses for others"
        return self._number

    def _asked(self, told: dict[str, Any]) -> dict[str, Any]:
        """Keep the number of the incident that the daemon has chosen: what follows is about it."""
        self._number = int(told["incident"])
        return told

    def _by(self) -> dict[str, Any]:
        return {"by": getattr(self._args, "by", None)}

    def _box(self) -> Outbox:
        app = self._app
        said = author(app, self._args, left_out=self._left_out)
        desk = Desk(app.catalogue, self._here, said, zone_of(app))
        return Outbox(
            app,
            desk,
            lambda: _plans_of(app),
            app.settings.roles,
        )

    def _composing(self, word: str) -> dict[str, Any]:
        args, values = self._args, {}
        for pair in args.set:
            key, separator, value = pair.partition("=")
            if not separator:
                raise UsageError(
                    f"--set {escaped(pair)!r} is not KEY=TEXT",
                    hint='write a word and its text: --set action="Change your password."',
                )
            values[key] = value
        return {
            "audience": word,
            "text": args.text or "",
            "values": values,
            "to": args.to,
            "template": args.template,
            "next_update": args.next_update,
            "encrypt": args.encrypt,
        }


def _plans_of(app: App) -> dict[str, Plan]:
    """Return the plans that can be read; none if there are none."""
    try:
        return dict(readable_plans(app))
    except DrdError:
        return {}

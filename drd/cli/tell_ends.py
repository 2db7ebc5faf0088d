"""Send the messages about runs that a command has ended, if no daemon runs that sends them."""

from __future__ import annotations

from drd import process
from drd.bootstrap import App
from drd.cli.follow import is_alive
from drd.errors import DrdError
from drd.model.message import route
from drd.ports.notify import UNROUTED

_WAIT_S = 30.0


def tell_ends(app: App) -> None:
    """Send the messages about runs that commands have ended. A daemon that runs does so itself.
    What a channel does not take now waits for the next command or daemon that sends something."""
    if not (app.state.is_open and app.state.is_ours):
        return
    try:
        outbox = app.catalogue.outbox
        ends = outbox.waiting(UNROUTED)
        if not ends or is_alive(app):
            return
        app.settings.require("notify")
        asked = set()
        for row in ends:
            routed = route(row.message, app.settings.channels)
            outbox.send_on(row, routed, app.clock.now())
            asked |= {name for name, _ in routed}
        process.reset_cancel()  # also of a command that was cancelled people are told
        sender = app.channels.outbox_sender()
        asked |= set(sender.deliver_due())
        sender.wait(_WAIT_S)
        for facts in outbox.channels():  # also one that pauses after an error
            if facts.name in asked and facts.waiting:
                why = facts.error or "no answer yet"
                app.console.warn(f"channel {facts.name} has not accepted the message: {why}")
    except DrdError as error:
        app.console.warn(f"nobody was told of the end of this run: {error.line}")

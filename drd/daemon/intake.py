"""Alerts of other systems that come over HTTP."""

from __future__ import annotations

import threading
import time
from http import HTTPStatus

from drd import log, secrets
from drd.api.incident_intake import intake_of, take_in
from drd.bootstrap import App
from drd.errors import CatalogueError, ConfigError, DrdError, SecretUnavailable, UsageError
from drd.flows.host.intake import too_short
from drd.flows.incidents.bounces import Returned
from drd.flows.incidents.intake import OUT_OF_TIME, TOO_FAST, WINDOW
from drd.model.incidents.entries import Author
from drd.model.incidents.intake_rules import IntakeSettings
from drd.model.intake.reading import LARGEST
from drd.web import IntakeServer, Outcome
from drd.web.intake import Gate

_BY = "intake"
_WORK_S = 5.0
"""Seconds that drd may work on one message, out of the time limit of a request. The sender sends
the rest again."""
_log = log.get()


class IntakeListener:
    """Listens at the address in drd.yaml. Its errors are in the log; nothing waits for it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._server: IntakeServer | None = None
        self._settings: IntakeSettings | None = None
        self._working = threading.Lock()
        self._closed = threading.Event()
        self._teller: threading.Thread | None = None

    def listen(self, *, again: bool = False) -> None:
        """Open, move or close the listener, as drd.yaml now says. `again`: read the token again."""
        settings = self._app.settings.intake
        if settings == self._settings and not again:
            return
        self._settings = settings
        self._stop()
        if settings.listen is None or settings.token is None:
            return
        try:
            token = secrets.resolve(settings.token)
            if (problem := too_short(token, settings.token.describe())) is not None:
                raise SecretUnavailable(problem[0], hint=problem[1])
            gate = Gate(token, LARGEST, self._take)
            self._server = IntakeServer.start(settings.listen, gate)
        except DrdError as error:
            _log.error("intake.unserved", error=error.message, remedy=error.hint)
            return
        host, port = self._server.address
        _log.info("intake.listens", address=host, port=port)
        if self._teller is None:
            self._teller = threading.Thread(target=self._tell, name="intake", daemon=True)
            self._teller.start()

    def close(self) -> None:
        """Stop listening, and record how many alerts were left out."""
        self._closed.set()
        self._stop()
        if self._teller is not None:
            self._teller.join()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _take(self, raw: bytes) -> Outcome:
        """Record the alerts of a message, one message at a time."""
        with self._working:
            try:
                ends_at = time.monotonic() + _WORK_S
                result = take_in(self._app, self._author(), raw, ends_at=ends_at)
            except UsageError as error:
                return Outcome(HTTPStatus.BAD_REQUEST, {"error": error.message, "hint": error.hint})
            except (CatalogueError, ConfigError) as error:
                _log.error("intake.failed", error=error.message, remedy=error.hint)
                words = {"error": "drd cannot record alerts now: its log says why"}
                return Outcome(HTTPStatus.SERVICE_UNAVAILABLE, words)
            except Exception as error:  # noqa: BLE001 (supervises: a message must not end the thread)
                _log.error("intake.failed", error=f"{type(error).__name__}: {error}")
                return Outcome(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "internal error"})
        document = result.document()
        if isinstance(result, Returned):
            _log.info("intake.bounces", bounced=len(result.bounced))
            return Outcome(HTTPStatus.OK, document)
        made = result.opened or result.updated
        if result.is_too_fast:
            why = f"more than {self._app.settings.intake.per_minute} alerts a minute"
            if not result.left_out[TOO_FAST]:
                why = OUT_OF_TIME
            return Outcome(HTTPStatus.TOO_MANY_REQUESTS, {"error": why, **document})
        if made or result.left_out:
            _log.info("intake.taken", opened=result.opened, updated=result.updated,
                      left_out=sum(result.left_out.values()))  # fmt: skip
        return Outcome(HTTPStatus.OK, document)

    def _tell(self) -> None:
        """Record once a minute what was left out, also if nothing comes any more."""
        while not self._closed.wait(WINDOW.total_seconds()):
            with self._working:
                try:
                    for source in self._app.catalogue.intake.sources_left_out():
                        intake_of(self._app, self._author()).tell_left_out(source)
                except DrdError as error:
                    _log.warning("intake.not_told", error=error.message)

    def _author(self) -> Author:
        return Author(_BY, self._app.clock.now())

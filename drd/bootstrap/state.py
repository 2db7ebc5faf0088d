"""The state of one process: its catalogue, its owner, and the summary that others may read."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import drd
from drd.catalogue.changed import CatalogueReader, identity, read_changed
from drd.catalogue.locks import LockFiles
from drd.catalogue.reading import lost_catalogue
from drd.config.daemon import DaemonSettings
from drd.errors import CatalogueError, NotOwner
from drd.flows.records.key import RecordKey
from drd.flows.root.trusted_rows import is_noted
from drd.flows.state.copies import CopyPlace, make_copy_place
from drd.flows.state.former_catalogue import is_missing, note_former
from drd.flows.state.modes import close_state
from drd.flows.state.places import StatePlaces
from drd.flows.status.publishing import Publisher, Publishing, SummaryPlace, SummarySource
from drd.ports import Catalogue, Clock
from drd.process import rights, user_name
from drd.process.actors import as_root_types_it


def state_directory(settings: DaemonSettings) -> Path:
    """Return the directory of the catalogue's file; of drd's other files if that is elsewhere."""
    return settings.state_dir or settings.work_dir


def state_places(settings: DaemonSettings) -> StatePlaces:
    """Return the directories of drd's own."""
    locks = state_directory(settings) / "locks"
    return StatePlaces(settings.database, locks, settings.work_dir, settings.cache_dir)


def _require_no_daemon(places: StatePlaces) -> None:
    """Raise CatalogueError if a daemon still uses the catalogue that is gone: a new one beside it
    would hide what that daemon does."""
    if LockFiles(places.locks).daemon_runs():
        raise lost_catalogue(str(places.database))


class OpenState:
    """The state of drd, open for one process. `busy_s` is how long a write waits for a write of
    another process, None for the maximum. A state that is only `reading` works even where nobody
    can write. While the catalogue is open and `publishes` is set, the summary is kept up to date;
    `service` says that this process is the daemon. A command that must leave no trace works on a
    copy of the catalogue."""

    def __init__(
        self,
        settings: Callable[[], DaemonSettings],
        clock: Clock,
        *,
        busy_s: float | None,
        reading: bool,
        publishes: bool,
        service: bool,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._busy_s = busy_s
        self._reading = reading
        self._publishes = publishes
        self._service = service
        self._scratch: tuple[Catalogue, CopyPlace] | None = None
        self._publishing: Publishing | None = None
        self._catalogue: Catalogue | None = None
        self._opening = threading.RLock()  # threads of the socket may be the first to ask

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, opened at the first use, and made if it is missing."""
        with self._opening:
            if self._scratch is not None:
                return self._scratch[0]
            return self._catalogue if self._catalogue is not None else self._open()

    @property
    def is_open(self) -> bool:
        """Whether this process has used the catalogue."""
        return self._catalogue is not None

    @property
    def is_ours(self) -> bool:
        """Whether this user owns the runs in the state, or is root, who acts as that user. Other
        users ask the daemon."""
        directory = self._settings().state_dir
        if rights.may_be_root() or directory is None or not directory.is_dir():
            return True
        return directory.stat().st_uid == os.geteuid()

    @property
    def owner(self) -> str:
        """The name of the user who owns the state, or the number."""
        directory = self._settings().state_dir
        uid = directory.stat().st_uid if directory is not None else os.geteuid()
        return user_name(uid)

    def set_catalogue_aside(self) -> Path:
        """Rename a damaged SQLite catalogue, so that the next use makes a new one."""
        self._stop_publishing()
        if self._catalogue is not None:
            self._catalogue.close()
            self._catalogue = None
        from drd.catalogue.damage import set_aside

        return set_aside(self._settings().state_url, self._clock.now())

    def close(self) -> None:
        """Write the summary for the last time, and close the catalogue."""
        self.end_the_copy()
        self._stop_publishing()
        if self._catalogue is not None:
            self._catalogue.close()

    def _open(self) -> Catalogue:
        # SQLAlchemy: a third of the start of what asks no catalogue, like `plan check`.
        from drd.catalogue.renewal import renew
        from drd.catalogue.sql_catalogue import open_catalogue

        settings = self._settings()
        state_dir = state_directory(settings)
        places = state_places(settings)
        has_channels = bool(settings.channels or settings.left_out)
        try:
            close_state(places, renew)
            begins = is_missing(places)
            if begins and not self._service:
                _require_no_daemon(places)
            self._catalogue = open_catalogue(
                settings.state_url,
                create=True,
                state_dir=state_dir,
                busy_s=self._busy_s,
                reading=self._reading,
                password=settings.state_password,
                roots=lambda run: is_noted(settings.work_dir, run),
                find_signer=RecordKey(settings.records_key),
                cadence=settings.cadence,
                tells=self._publishes and not self._service and has_channels,
            )
        except (CatalogueError, PermissionError) as error:
            if self.is_ours:
                raise
            raise NotOwner(
                f"this needs root: drd's state belongs to {self.owner}",
                hint=as_root_types_it(),
            ) from error
        if begins:
            note_former(self._catalogue, places, self._clock.now())
        if self._publishes and self.is_ours:
            self._publishing = Publishing(self._publisher(), told=self._service)
            self._publishing.start()
        return self._catalogue

    def work_on_a_copy(self) -> None:
        """From now on the catalogue is a copy, which is removed at the end."""
        catalogue = self.catalogue
        if self._scratch is not None:
            return
        work = self._settings().work_dir
        work.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = make_copy_place(work)
        try:
            self._scratch = catalogue.scratch(place.directory), place
        except BaseException:
            place.remove()
            raise

    def end_the_copy(self) -> None:
        """Use the real catalogue again, and remove the copy."""
        if self._scratch is None:
            return
        scratch, place = self._scratch
        self._scratch = None
        scratch.close()
        place.remove()

    def _publisher(self) -> Publisher:
        """Return the publisher of the status summary, which is all that other users may read of the
        state."""
        settings = self._settings()
        reader, secret = CatalogueReader(kept=self._service), settings.state_password
        state = state_directory(settings)
        return Publisher(
            SummaryPlace(
                settings.public_dir,
                settings.read_group,
                os.geteuid(),
                state / "locks/summary.lock",
            ),
            SummarySource(
                lambda since: read_changed(settings.state_url, since, secret, reader),
                lambda: identity(settings.state_url),
                self._clock.now,
                reader.close,
            ),
            drd.__version__,
        )

    def _stop_publishing(self) -> None:
        if self._publishing is not None:
            self._publishing.stop()
            self._publishing = None

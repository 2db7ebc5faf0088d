"""Put documents into a stand-in during a drill, and compare what the stand-in then answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from drd.errors import SourceError
from drd.kinds.file_system import fresh, remove, work_finding
from drd.kinds.http.canonical import parsed, readable
from drd.kinds.http.changes import entries_by_name
from drd.kinds.http.put_back import put_back
from drd.kinds.http.reading import read_all
from drd.kinds.http.saved import Saved, fingerprint_of, landed
from drd.kinds.http.settings import HttpSettings
from drd.kinds.http.stand_in import DeclaredStandIn, OwnStandIn, StandIn
from drd.kinds.one_file import FileInspector
from drd.model.finding import Finding
from drd.model.snapshot import ComponentSnapshot, Fingerprint
from drd.model.text import counted
from drd.ports import Destination, OnProgress, Progress, Restored, Workplace


class HttpSandbox(Destination):
    """The documents as files in the run's workplace, and in a server that the drill starts."""

    def __init__(self, component: str, settings: HttpSettings, place: Workplace) -> None:
        self._component = component
        self._settings = settings
        self._placed = [d for d in settings.documents if d.put_back is not None]
        self._place = place
        self._landing = place.directory / "landing"
        self._files = place.directory / "sandbox" / component
        self._stand_in: StandIn | None = None
        self._left_as_files: Collection[str] = ()

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing to overwrite
        what = f"{self._component} restored"
        return [work_finding(self._landing, 2 * snapshot.bytes, what=what)]

    def prepare(self) -> None:
        if self._stand_in is not None or not self._placed:
            return
        if self._settings.stand_in is not None:
            self._stand_in = DeclaredStandIn(self._settings, self._place)
        else:
            self._stand_in = OwnStandIn(self._settings)

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - nothing is private
        *,
        on_progress: OnProgress,
    ) -> Restored:
        saved = landed(self._landing, snapshot)
        self._write(saved)
        self.prepare()
        notes = list(self._put_in(saved))
        remove(self._landing)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(notes=tuple(notes))

    def inspector(self) -> HttpInspector:
        return HttpInspector(self._files, self._settings, self._stand_in, self._left_as_files)

    def close(self) -> None:
        if self._stand_in is not None:
            self._stand_in.close()
            self._stand_in = None
        remove(self._place.directory / "stand-in")
        remove(self._place.directory / "stand-in.log")
        remove(self._landing)
        remove(self._files.parent)

    def _write(self, saved: Mapping[str, Saved]) -> None:
        self._files.parent.mkdir(mode=0o700, exist_ok=True)
        directory = fresh(self._files)
        for name, one in saved.items():
            (directory / f"{name}.json").write_bytes(readable(one.data))

    def _put_in(self, saved: Mapping[str, Saved]) -> list[str]:
        entries = entries_by_name(saved, self._placed)
        chosen = {name: one for name, one in saved.items() if name in entries}
        notes = []
        self._left_as_files = sorted(saved.keys() - chosen.keys())
        if self._left_as_files:
            notes.append(
                f"drd left {counted(len(self._left_as_files), 'document')} as files, because the "
                "plan has no `put_back` for them"
            )
        if self._stand_in is None:
            return notes
        done = put_back(self._stand_in.api, chosen, self._placed)
        put = f"{counted(len(chosen), 'document')} put into the stand-in server"
        return [*notes, f"{put} by {counted(done.sent, 'request')}"]


class HttpInspector(FileInspector):
    """The files of the documents, and the present answers of the stand-in."""

    def __init__(
        self,
        files: Path,
        settings: HttpSettings,
        stand_in: StandIn | None,
        left_as_files: Collection[str],
    ) -> None:
        super().__init__(files)
        self._settings = settings
        self._stand_in = stand_in
        self._left_as_files = left_as_files

    @property
    def environment(self) -> Mapping[str, str]:
        url = {} if self._stand_in is None else {"DRD_URL": self._stand_in.url}
        return {**super().environment, **url}

    @property
    def not_proven(self) -> Mapping[str, str]:
        if self._stand_in is None:
            why = "the plan has no `put_back`: the documents were only compared as files"
            return {"put back": why}
        return {"the real server": self._stand_in.proves}

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:  # noqa: ARG002 - of one kind
        state = {name: self._on_disk(name) for name in self._left_as_files}
        if self._stand_in is not None:
            placed = [d for d in self._settings.documents if d.put_back is not None]
            now = read_all(self._stand_in.api, placed, present=True)
            state |= {name: one.data for name, one in now.items()}
        return fingerprint_of(state)

    def _on_disk(self, name: str) -> Any:
        file = self._path / f"{name}.json"
        try:
            return parsed(file.read_bytes())
        except (OSError, ValueError) as error:
            raise SourceError(
                f"drd cannot read the restored document {name} in the sandbox ({file}): {error}",
                hint="find out whether a check or a step of the plan changes this file; if none "
                "does, examine the disk. Then repeat the drill.",
            ) from error

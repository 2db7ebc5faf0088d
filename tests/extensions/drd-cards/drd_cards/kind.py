"""Backs up and restores the files in one directory, as one tar."""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drd.errors import RepositoryDamaged, SourceError, SourceMissing, TargetNotEmpty
from drd.kinds.file_system import (
    ANOTHER_POINT,
    fresh,
    fsync_path,
    named_path,
    no_directory,
    remove,
    space_finding,
    unwritable,
    work_finding,
)
from drd.kinds.one_file import NOT_EMPTY, FileInspector, landed_file
from drd.kinds.publish import JOURNAL, Publication, is_nothing, publication_of
from drd.kinds.untrusted_dirs import content, make_landing, resolved, working
from drd.model.finding import Finding
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint, TableState
from drd.ports import (
    AS_IT_IS,
    Destination,
    Kind,
    NamedDestination,
    OnProgress,
    PlainCapture,
    Probe,
    Progress,
    Restored,
    RestoreOptions,
    Source,
    Stream,
    Workplace,
)
from drd.ports.kinds import Wish
from drd.process import Command
from drd_cards import SPEC, CardsSettings, CardsTarget


def wishes(given: Sequence[str]) -> list[Wish]:
    """One component for each directory that a person gave to `drd plan new`."""
    paths = [named_path(path) for path in given]
    return [Wish(Path(p).name, "cards", lambda _live, _secret, p=p: [("path", p)]) for p in paths]


def cards_in(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_file())


class CardsInspector(FileInspector):
    def fingerprint(self, like: Fingerprint | None = None, budget_s: float = 60.0) -> Fingerprint:
        states = {}
        for card in cards_in(self._path):
            data = card.read_bytes()
            states[card.name] = TableState(len(data.splitlines()), hashlib.sha256(data).hexdigest())
        return DatabaseFingerprint("digest", states)


# --- the source ---------------------------------------------------------------------------------


class CardsCapture(PlainCapture):
    def fingerprint(self) -> Fingerprint:
        assert isinstance(self.payload, Stream)
        return CardsInspector(Path(self.payload.command.argv[-2])).fingerprint()


class CardsSource(Source):
    def __init__(self, component: Component, place: Workplace) -> None:
        assert isinstance(component.settings, CardsSettings)
        self._name, self._path = component.name, Path(component.settings.path)
        self._copy = place.directory / "copy"

    def probe(self) -> Probe:
        try:
            return Probe(sum(card.stat().st_size for card in cards_in(self._path)))
        except FileNotFoundError as error:
            hint = f"correct `path` of component {self._name}."
            raise SourceMissing(f"{self._path} does not exist", hint=hint) from error
        except OSError as error:
            raise self._unreadable(error) from error

    @contextmanager
    def open(self) -> Iterator[CardsCapture]:
        now = datetime.now(UTC)
        try:
            self._copy_cards()
            command = Command(("tar", "--create", "--sort=name", "-C", str(self._copy), "."))
            yield CardsCapture(now, Stream(command, f"{self._name}.tar"))
        finally:
            remove(self._copy)

    def _copy_cards(self) -> None:
        fresh(self._copy)
        try:
            for card in cards_in(self._path):
                shutil.copy2(card, self._copy / card.name)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> SourceError:
        hint = "give this user access to the directory and its files."
        return SourceError(f"cannot read {self._path}: {error.strerror}", hint=hint)


# --- the destinations ---------------------------------------------------------------------------


def unpacked(landed: Path, into: Path) -> Path:
    """Unpack a fetched tar completely and durably: only files, and each directly in `into`."""
    remove(into)
    into.mkdir(mode=0o755)
    try:
        with tarfile.open(landed) as tar:
            for member in filter(tarfile.TarInfo.isfile, tar):
                _unpack(tar, member, into / Path(member.name).name)
    except (tarfile.TarError, FileExistsError, IsADirectoryError) as error:
        raise RepositoryDamaged(f"{landed.name} is no intact tar", hint=ANOTHER_POINT) from error
    for path in (*cards_in(into), into):
        fsync_path(path)
    return into


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, card: Path) -> None:
    content_of = tar.extractfile(member)
    assert content_of is not None
    with content_of, card.open("xb") as out:
        shutil.copyfileobj(content_of, out)
    card.chmod(member.mode & 0o777)


class CardsSandbox(Destination):
    """A directory in the run's workplace, for a drill."""

    def __init__(self, component: str, place: Workplace) -> None:
        self._component = component
        self._landing = place.directory / "landing"
        self._cards = place.directory / "sandbox" / component

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        what = f"{self._component} restored"
        return [work_finding(self._landing, 2 * snapshot.bytes, what=what)]

    def landing(self) -> Path:
        return fresh(self._landing)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],
        *,
        on_progress: OnProgress,
    ) -> Restored:
        if not self._cards.exists():
            self._cards.parent.mkdir(mode=0o700, exist_ok=True)
            landed = landed_file(self._landing, snapshot, f"{self._component}.tar")
            unpacked(landed, self._cards.with_suffix(".new")).rename(self._cards)
        remove(self._landing)
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored()

    def inspector(self) -> CardsInspector:
        return CardsInspector(self._cards)

    def close(self) -> None:
        remove(self._landing)
        remove(self._cards.parent)


class CardsDirectory(NamedDestination):
    """A named directory, replaced as a whole."""

    def __init__(self, component: str, path: str, place: Workplace) -> None:
        self._component = component
        target = resolved(path)
        landing = target.with_name(f".{place.mark}.{component}")
        self._publication = Publication(target, landing, place.directory / JOURNAL, place.mark)

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        target = self._publication.target
        if self._publication.published():
            return [Finding("target", "ok", "", f"{target} has been restored by this run")]
        if not overwrite:
            self._refuse_content()
        self._publication.announce(overwrite=overwrite)
        return self.check_access(snapshot)

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        target = self._publication.target
        wrong = no_directory(target.parent) or unwritable(target.parent)
        if wrong is not None:
            return [wrong]
        what, hint = f"{self._component} restored", f"free space in {target.parent}."
        space = space_finding(target.parent, 2 * snapshot.bytes, what=what, hint=hint)
        return [Finding("target", "ok", "", f"{target} can be written"), space]

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        return (str(self._publication.target),)

    def landing(self) -> Path:
        self._publication.announce(overwrite=self._publication.may_overwrite())
        return make_landing(self._publication.landing)

    @working
    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],
        *,
        on_progress: OnProgress,
    ) -> Restored:
        publication = self._publication
        if publication.published():
            publication.tidy()
        else:
            if not publication.may_overwrite():
                self._refuse_content()
            fetched = content(publication.landing)
            remove(fetched / "new")
            landed = landed_file(fetched, snapshot, f"{self._component}.tar")
            publication.publish(unpacked(landed, fetched / "new"))
        on_progress(Progress(self._component, "restore", snapshot.bytes, snapshot.bytes))
        return Restored(notes=tuple(publication.appeared()))

    def inspector(self) -> CardsInspector:
        return CardsInspector(self._publication.target)

    def _refuse_content(self) -> None:
        target = self._publication.target
        if not is_nothing(target):
            raise TargetNotEmpty(f"target {target} is not empty", hint=NOT_EMPTY)


class CardsKind(Kind):
    spec = SPEC

    def source(self, component: Component, place: Workplace) -> CardsSource:
        return CardsSource(component, place)

    def sandbox(
        self,
        component: Component,
        snapshot: ComponentSnapshot,
        place: Workplace,
    ) -> CardsSandbox:
        return CardsSandbox(component.name, place)

    def target(
        self,
        component: Component,
        settings: Any,
        place: Workplace,
        options: RestoreOptions = AS_IT_IS,
    ) -> CardsDirectory:
        assert isinstance(settings, CardsTarget)
        return CardsDirectory(component.name, settings.path, place)

    def same_place(self, component: Component, settings: Any, place: Workplace) -> str | None:
        assert isinstance(component.settings, CardsSettings)
        here = os.path.realpath(component.settings.path)
        return here if here == os.path.realpath(settings.path) else None

    def sweep(self, directory: Path) -> list[str]:
        publication = publication_of(directory)
        return publication.undo() if publication else []

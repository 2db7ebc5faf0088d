"""Kinds and repositories of a root process that acts for another user, and which of them use root's
rights.

Sandboxes and targets do: restored data has owners, and a target may be root's alone. Sources do
not, they are read as the service reads them. A repository does if only root may write to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from drd.model.snapshot import StoredSnapshot
from drd.ports import Kind, Payload, Repository, RestoresInside, Stream
from drd.process import rights
from drd.process.private import why_not_private
from drd.process.rights import Purpose


class _Forwarding:
    """Has the abilities of another object. From Python 3.12 on, `isinstance` with a protocol does
    not ask `__getattr__`, so it needs the class."""

    def __init__(self, of: Any) -> None:
        self._of = of

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._of)


class _Rooted(_Forwarding):
    """Forwards everything, with root's rights meanwhile. `gives` names what returns, or has,
    another object that needs them, and for what."""

    def __init__(self, of: Any, purpose: Purpose, gives: Mapping[str, Purpose] = {}) -> None:
        super().__init__(of)
        self._purpose = purpose
        self._gives = gives

    def __getattr__(self, name: str) -> Any:
        with rights.root(self._purpose):
            value = getattr(self._of, name)
        if not callable(value):
            return value

        def work(*args: Any, **kwargs: Any) -> Any:
            with rights.root(self._purpose):
                result = value(*args, **kwargs)
            if name not in self._gives:
                return result
            # An inspector of a component with several databases gives those of one database.
            return _Rooted(result, self._gives[name], {"database": self._gives[name]})

        return work

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What an inspector opened is closed at the end of the block, for which it needs the same
        rights."""
        opened = ExitStack()
        with rights.root(self._purpose):
            opened.enter_context(self._of.kept())
        try:
            yield
        finally:
            with rights.root(self._purpose):
                opened.close()


class RootedKind(_Forwarding):
    """Implements the port `Kind` by another one."""

    _of: Kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def sandbox(self, *args: Any, **kwargs: Any) -> Any:
        gives = {"inspector": Purpose.OWNERS}
        return _Rooted(self._of.sandbox(*args, **kwargs), Purpose.OWNERS, gives)

    def instant_sandbox(self, *args: Any, **kwargs: Any) -> Any:
        gives = {"inspector": Purpose.OWNERS}
        return _Rooted(self._of.instant_sandbox(*args, **kwargs), Purpose.OWNERS, gives)

    def target(self, *args: Any, **kwargs: Any) -> Any:
        with rights.root(Purpose.TARGETS):
            target = self._of.target(*args, **kwargs)
        return _Rooted(target, Purpose.TARGETS, {"inspector": Purpose.LOGINS})

    def kept_copies(self, *args: Any, **kwargs: Any) -> Any:
        with rights.root(Purpose.TARGETS):
            kept = self._of.kept_copies(*args, **kwargs)
        return _Rooted(kept, Purpose.TARGETS)

    @rights.as_root(Purpose.LOGINS)
    def same_place(self, *args: Any, **kwargs: Any) -> str | None:
        return self._of.same_place(*args, **kwargs)

    @rights.as_root(Purpose.LOGINS)
    def same_server(self, *args: Any, **kwargs: Any) -> str | None:
        return cast("RestoresInside", self._of).same_server(*args, **kwargs)

    def sweep(self, directory: Path) -> list[str]:
        if directory.lstat().st_uid != 0:
            return self._of.sweep(directory)
        with rights.root(Purpose.PROCESSES):
            return self._of.sweep(directory)

    @rights.as_root(Purpose.PROCESSES)
    def sandbox_findings(self, *args: Any, **kwargs: Any) -> Any:
        return self._of.sandbox_findings(*args, **kwargs)

    @rights.as_root(Purpose.PROCESSES)
    def sandbox_findings_for(self, *args: Any, **kwargs: Any) -> Any:
        return self._of.sandbox_findings_for(*args, **kwargs)


def kinds_of(factory: Callable[[str], Kind]) -> Callable[[str], Kind]:
    """Return the factory; if root acts for another user, its kinds take root's rights where that is
    needed."""
    if rights.acts_for() is None:
        return factory
    return lambda name: cast("Kind", RootedKind(factory(name)))


def repository_of(opened: Repository, url: str) -> Repository:
    """Return the repository; if root acts for another user who may not write to root's directory in
    which the repository is, its methods take root's rights."""
    place = Path(url)
    if rights.acts_for() is None or not url.startswith("/") or not place.is_dir():
        return opened
    if place.stat().st_uid != 0 or why_not_private(place, 0) is not None:
        return opened
    return cast("Repository", _RootedRepository(opened))


class _RootedRepository(_Rooted):
    def __init__(self, of: Any) -> None:
        super().__init__(of, Purpose.TARGETS)

    def cold(self, cache: Path) -> Any:
        return _RootedRepository(self._of.cold(cache))

    def store(self, payload: Payload, **kwargs: Any) -> StoredSnapshot:
        """What is stored comes from the owner's commands all the same."""
        if isinstance(payload, Stream):
            payload = replace(payload, command=replace(payload.command, owners=True))
        with rights.root(self._purpose):
            return cast("Repository", self._of).store(payload, **kwargs)

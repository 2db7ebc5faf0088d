"""What is fetched before a recovery may touch anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd import process
from drd.errors import RepositoryUnreachable, WrongKey
from drd.flows.components.prefetch import Prefetch, at_once
from drd.flows.components.repository_choice import Holders
from drd.model.runbook import Circumstances, Step, When
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Destination, Fetched, no_progress

HERE = Circumstances("database-loss", "standby")


def snapshot(name: str) -> ComponentSnapshot:
    return ComponentSnapshot(name, "sqlite", "captured", snapshot=f"of {name}", bytes=10)


@dataclass
class Repositories:
    """Stands in for the repositories that hold a point; `fetch` and `manifest` are what they do."""

    fetch_into: Callable[[str, Path], None]
    read: Callable[[], None]
    passed_over: list[Any] = field(default_factory=list)
    services: Any = field(
        default_factory=lambda: SimpleNamespace(
            parallel=2, clock=SimpleNamespace(monotonic=time.monotonic), on_progress=no_progress
        )
    )

    def fetch(self, component: str, _: str, into: Path, *__: object, **___: object) -> Fetched:
        self.fetch_into(component, into)
        return Fetched(0)

    def manifest(self) -> None:
        self.read()

    def prefetch(self) -> Prefetch:
        return Prefetch(cast(Holders, self))


def place(path: Path) -> Destination:
    path.mkdir()
    return cast(Destination, SimpleNamespace(landing=lambda: path))


def refuse(*_: object) -> None:
    raise WrongKey("the password does not open it")


def waits(over: threading.Event) -> Callable[..., None]:
    return lambda *_: cast(None, over.wait(60))


def test_only_the_first_components_are_prefetched() -> None:
    first = Step("data", "restore", ("db", "conf"))
    assert at_once((), HERE, ["db", "conf"]) == ["db", "conf"]
    assert at_once([first, Step("more", "restore", ("log",))], HERE, ["db", "log"]) == ["db"]
    assert at_once([Step("agree", "approve"), first], HERE, ["db", "conf"]) == []
    elsewhere = Step("data", "restore", ("db",), when=When(scenarios=("region-loss",)))
    assert at_once([elsewhere], HERE, ["db"]) == []


def test_a_prefetched_component_is_used_once(tmp_path: Path) -> None:
    def write(name: str, into: Path) -> None:
        (into / name).write_text("here")

    with Repositories(write, lambda: None).prefetch() as prefetch:
        prefetch.begin(snapshot("db"), place(tmp_path / "db"))
        assert prefetch.has("db")
        assert prefetch.answered()
        fetch = prefetch.take("db")
        assert fetch is not None
        assert fetch.span.phase == "fetch"
        assert fetch.span.begin <= fetch.span.end
        assert prefetch.take("db") is None
        assert prefetch.take("conf") is None


def test_a_failed_prefetch_proves_nothing(tmp_path: Path) -> None:
    with Repositories(refuse, refuse).prefetch() as prefetch:
        assert not prefetch.answered(), "nothing was begun"
        prefetch.begin(snapshot("db"), place(tmp_path / "db"))
        assert not prefetch.answered()
        assert prefetch.take("db") is None, "whoever wants it hears the error himself"


@pytest.mark.parametrize("by", ["a file that lands", "the manifest"])
def test_the_first_successful_prefetch_proves_the_repository(tmp_path: Path, by: str) -> None:
    over = threading.Event()
    manifest = (lambda: None) if by == "the manifest" else waits(over)
    with Repositories(waits(over), manifest).prefetch() as prefetch:
        try:
            prefetch.begin(snapshot("db"), place(tmp_path / "db"))
            if by != "the manifest":
                (tmp_path / "db/file").touch()
            assert prefetch.answered()
        finally:
            over.set()


def test_a_skipped_repository_is_checked_as_usual(tmp_path: Path) -> None:
    def second(*_: object) -> None:
        held.passed_over.append(("db", "primary", RepositoryUnreachable("gone")))

    held = Repositories(second, refuse)
    with held.prefetch() as prefetch:
        prefetch.begin(snapshot("db"), place(tmp_path / "db"))
        assert not prefetch.answered()


def test_prefetches_are_limited(tmp_path: Path) -> None:
    with Repositories(lambda *_: None, lambda: None).prefetch() as prefetch:
        for name in ("a", "b", "c"):
            prefetch.begin(snapshot(name), place(tmp_path / name))
        assert [prefetch.has(n) for n in ("a", "b", "c")] == [True, True, False]


def test_unused_prefetches_are_cancelled(tmp_path: Path) -> None:
    """As when the target turns out not to be empty."""
    ended: list[BaseException] = []

    def fetch(*_: object) -> None:
        try:
            process.run(process.Command(("sleep", "600")))
        except BaseException as error:
            ended.append(error)
            raise

    with Repositories(fetch, refuse).prefetch() as prefetch:
        prefetch.begin(snapshot("db"), place(tmp_path / "db"))
    assert [type(e).__name__ for e in ended] in (["Cancelled"], [])
    assert not process.cancelled()
    assert process.run(process.Command(("true",))).exit_code == 0

"""On which copy the next backup builds, and what happens if the repository lacks a part of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.errors import ImplausibleDump, RepositoryUnreachable
from drd.flows.backup import capture
from drd.flows.backup.earlier_copy import earlier_copy
from drd.model.limits import UNLIMITED
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.model.strict import UnexpectedValue
from drd.ports import EarlierIncomplete, NoEarlier, Probe, Workplace

AT = datetime(2026, 11, 29, tzinfo=UTC)
COPY = ComponentSnapshot("server", "postgres-cluster", "captured", AT, "1" * 64)
POINT = RestorePoint(
    id="a1a1a1a1",
    plan="shop",
    data_time=AT,
    available_at=AT,
    complete=True,
    plan_digest="",
    components=(COPY,),
    repositories={"local": "2" * 64},
)
COMPONENT: Any = SimpleNamespace(name="server", kind="postgres-cluster", limits=UNLIMITED)


def _found(
    points: list[RestorePoint],
    *,
    sealed: tuple[str, ...] = ("a1a1a1a1",),
    damage: str | None = None,
    missing: Any = (),
    unwritten: str = "",
) -> Any:
    def require_written(row: ComponentSnapshot, private: Any) -> None:
        if unwritten:
            raise UnexpectedValue(unwritten)

    def lacking(wanted: list[str]) -> list[str]:
        if isinstance(missing, Exception):
            raise missing
        return [s for s in wanted if s in missing]

    health = SimpleNamespace(repository="local", damage=damage)
    services: Any = SimpleNamespace(
        kinds=lambda kind: SimpleNamespace(require_written=require_written),
        catalogue=SimpleNamespace(
            points=SimpleNamespace(of_plan=lambda _: points),
            origins=SimpleNamespace(seals=lambda _: dict.fromkeys(sealed, "")),
            evidence=SimpleNamespace(unrestorable=lambda _: {"f6f6f6f6": ("run", AT)}),
            health=SimpleNamespace(of_plan=lambda _: [health]),
        ),
    )
    repository: Any = SimpleNamespace(name="local", missing=lacking)
    plan: Any = SimpleNamespace(name="shop", components={})
    return earlier_copy(services, plan, COMPONENT, repository)


def test_the_newest_copy_in_this_repository_is_built_on() -> None:
    failed = replace(
        POINT, id="b2b2b2b2", components=(replace(COPY, state="failed", snapshot=None),)
    )
    elsewhere = replace(POINT, id="c3c3c3c3", repositories={"far": "3" * 64})
    another = replace(POINT, id="d4d4d4d4", components=(replace(COPY, kind="files"),))
    found = _found([another, elsewhere, failed, POINT])
    assert (found.point, found.repository, found.snapshot) == ("a1a1a1a1", "local", COPY)
    assert set(found.unrestorable) == {"f6f6f6f6"}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (_found([]), "the first copy"),
        (_found([POINT], sealed=()), "was not made on this host"),
        (
            _found([POINT], unwritten="timeline is 0"),
            "drd refuses restore point a1a1a1a1 as the catalogue describes it",
        ),
        (_found([POINT], damage="3 packs are lost"), "the repository is damaged: 3 packs are lost"),
        (_found([POINT], missing=["1" * 64]), "is not in the repository"),
        (_found([POINT], missing=RepositoryUnreachable("no route")), "does not answer: no route"),
    ],
)
def test_why_there_is_no_copy_to_build_on(found: Any, words: str) -> None:
    assert isinstance(found, NoEarlier)
    assert words in found.why


class _Source:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def probe(self) -> Probe:
        return Probe()

    def build_on(self, earlier: Any) -> None:
        self.told.append(earlier)

    @contextmanager
    def open(self) -> Iterator[Any]:
        yield None


def test_a_full_copy_follows_at_once_if_the_repository_lacks_a_part_of_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, warned, stored = _Source(), [], object()
    places: list[Workplace] = []

    def store(*_: Any) -> Any:
        if len(source.told) == 1:
            raise EarlierIncomplete("the repository lacks data of the earlier snapshot 1111")
        return stored

    confirmed: Future[Any] = Future()
    confirmed.set_result(None)
    order: Any = SimpleNamespace(
        component=COMPONENT,
        run="r",
        plan=None,
        repository=None,
        confirmed=confirmed,
        deadline=7.0,
        together=SimpleNamespace(begin=lambda _: None),
    )
    services: Any = SimpleNamespace(
        clock=SimpleNamespace(monotonic=lambda: 0.0),
        kinds=lambda _: SimpleNamespace(source=lambda _, place: places.append(place) or source),
        warn=warned.append,
    )
    monkeypatch.setattr(capture, "component_place", lambda *_: Workplace(Path("/work"), "r"))
    monkeypatch.setattr(capture, "earlier_copy", lambda *_: "the last copy")
    monkeypatch.setattr(capture, "_stored", store)
    assert capture._capture(services, order) is stored
    assert source.told[0] == "the last copy"
    assert [place.deadline for place in places] == [7.0]
    assert "lacks data of the earlier snapshot" in source.told[1].why
    assert "drd now makes a full copy instead" in warned[0]


def _plausible(facts: dict[str, Any], stored_bytes: int) -> None:
    chained = replace(COPY, bytes=30 << 30, facts={"cluster_bytes": 1 << 30})
    point = replace(POINT, components=(chained,))
    services: Any = SimpleNamespace(
        catalogue=SimpleNamespace(points=SimpleNamespace(of_plan=lambda _: [point])),
        kinds=lambda _: SimpleNamespace(spec=SimpleNamespace(comparison=None)),
    )
    order: Any = SimpleNamespace(plan=SimpleNamespace(name="shop"), component=COMPONENT)
    stored: Any = SimpleNamespace(bytes=stored_bytes)
    capture._plausible(services, order, facts, stored)


def test_a_full_copy_after_a_long_chain_has_not_shrunk() -> None:
    _plausible({"cluster_bytes": 1 << 30}, 1 << 30)
    with pytest.raises(ImplausibleDump, match="shrank from 1,073,741,824 to 1,048,576 bytes"):
        _plausible({"cluster_bytes": 1 << 20}, 20 << 30)

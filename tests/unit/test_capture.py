"""What a backup refuses of a captured component."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from drd.flows.backup.run import BackupRequest, backup
from drd.kinds.files.kind import FilesKind
from drd.kinds.files.source import FilesCapture
from drd.model.plan import Component
from drd.model.run import RunState
from drd.model.strict import UnexpectedValue
from drd.ports import Source, Workplace
from drd.registry import KINDS, Extension
from tests.flow_support import World


class OwnShape:
    """A fingerprint as no reader of manifests knows it."""

    def to_json(self) -> dict[str, str]:
        return {"type": "own"}


def test_a_fingerprint_that_could_not_be_read_back_is_refused_by_the_name_of_its_kind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilesCapture, "fingerprint", lambda _: OwnShape())
    monkeypatch.setattr(FilesCapture, "verify", lambda *_: OwnShape())
    done = backup(world.services, world.plan, BackupRequest())
    assert (done.state, done.point) == (RunState.FAILED, None)
    [error] = [row.error for row in done.components if row.component == "conf"]
    assert error == (
        "kind files describes conf by OwnShape: drd could not read this fingerprint from a "
        "repository"
    )
    assert world.catalogue.runs.get(done.run).detail.permanent


OURS = Extension("drd-mine", "1.2.0")


def captured_with(monkeypatch: pytest.MonkeyPatch, member: str, value: object) -> None:
    """Captures of files have this value."""
    made = FilesCapture.__init__

    def make(self: FilesCapture, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        setattr(self, member, value)

    monkeypatch.setattr(FilesCapture, "__init__", make)


def error_of(world: World) -> str | None:
    done = backup(world.services, world.plan, BackupRequest())
    assert (done.state, done.point) == (RunState.FAILED, None)
    [error] = [row.error for row in done.components if row.component == "conf"]
    return error


@pytest.mark.parametrize(
    ("member", "value", "error"),
    [
        ("payload", None, "returned NoneType, but must return Stream or Tree"),
        ("facts", 5, "returned int, but must return Mapping"),
        ("private", [5], "returned list, but must return Mapping"),
    ],
)
def test_a_capture_of_a_package_with_a_member_of_another_type_names_the_member(
    world: World, monkeypatch: pytest.MonkeyPatch, member: str, value: object, error: str
) -> None:
    monkeypatch.setattr(KINDS, "extension", lambda _: OURS)
    captured_with(monkeypatch, member, value)
    where = f"{member} of the capture of kind files of the package drd-mine 1.2.0"
    assert error_of(world) == f"{where} {error}"


def test_facts_of_a_package_that_are_not_json_fail_its_component_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KINDS, "extension", lambda _: OURS)
    captured_with(monkeypatch, "facts", {"a": object()})
    assert error_of(world) == (
        "facts of kind files of the package drd-mine 1.2.0 returned a value that cannot be "
        "written as JSON: Object of type object is not JSON serializable"
    )


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (UnexpectedValue("facts.a is missing"), "facts.a is missing"),
        (RuntimeError("odd"), "conf: the package drd-mine 1.2.0 raised RuntimeError: odd"),
    ],
)
def test_a_component_that_the_kind_of_a_package_would_not_read_again_is_not_stored(
    world: World, monkeypatch: pytest.MonkeyPatch, raised: Exception, said: str
) -> None:
    def refuse(*_: object) -> None:
        raise raised

    monkeypatch.setattr(KINDS, "extension", lambda _: OURS)
    monkeypatch.setattr(FilesKind, "require_written", refuse)
    assert error_of(world) == (
        "kind files of the package drd-mine 1.2.0 refuses the data of conf that the kind itself "
        f"stored: {said}"
    )


def test_an_unforeseen_error_fails_its_component_and_the_others_are_backed_up(
    world: World, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    source = FilesKind.source

    def surprising(kind: FilesKind, component: Component, place: Workplace) -> Source:
        if component.name == "conf":
            raise KeyError("surprise")
        return source(kind, component, place)

    monkeypatch.setattr(FilesKind, "source", surprising)
    done = backup(world.services, world.plan, BackupRequest())
    assert done.point is not None
    assert (done.state, done.point.complete, done.exit_code) == (RunState.INCOMPLETE, False, 1)
    rows = {row.component: row for row in done.components}
    assert rows["conf"].error == "KeyError: 'surprise'"
    assert rows["data"].state == "captured"
    run = world.catalogue.runs.get(done.run)
    assert (run.state, run.detail.permanent) == (RunState.INCOMPLETE, True)
    assert "KeyError: 'surprise'" in str(run.error)
    assert "Traceback" in logged()


def test_a_full_disk_fails_the_component_with_that_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Source:
        raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/drd/work/x")

    monkeypatch.setattr(FilesKind, "source", full)
    assert error_of(world) == "no space left on the disk of /var/lib/drd/work/x"

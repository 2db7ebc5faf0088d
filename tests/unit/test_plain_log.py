"""What commands log for people: sentences, also where stderr is no terminal."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import log
from drd.cli.session import _configure_log, without_host
from drd.process import state_owner


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    yield
    log.configure()


ARGS = Namespace(quiet=False, json=False)


def test_a_warning_about_the_way_to_the_state_is_a_sentence_with_its_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DRD_LOG", raising=False)
    with without_host(ARGS):
        state_owner._warn(
            "/srv\x1b[2J belongs to root, but others can replace it", "chmod go-w /srv"
        )
    assert capsys.readouterr().err == (
        "drd: warning: /srv\\x1b[2J belongs to root, but others can replace it\n"
        "HINT: chmod go-w /srv\n"
    )


def test_other_events_are_lines_with_their_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DRD_LOG", raising=False)
    _configure_log(ARGS)
    log.get(run="3f2a").error("run.not_started", error="no process")
    log.get().warning("alone")
    assert capsys.readouterr().err == ("drd: error: no process (run 3f2a)\ndrd: warning: alone\n")
    _configure_log(Namespace(quiet=True))
    log.get().warning("alone")
    assert capsys.readouterr().err == ""


def test_a_chosen_level_is_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRD_LOG", "info")
    _configure_log(ARGS)
    log.get().info("run.finished", steps=7)
    assert '"event": "run.finished"' in capsys.readouterr().err


def test_a_command_that_installs_beside_a_shared_directory_prints_no_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DRD_LOG", raising=False)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr(
        state_owner,
        "_first_owner",
        lambda place, way, *, beside: (
            state_owner._warn_if_writable(place, way, beside=beside) or state_owner.ROOT
        ),
    )
    with without_host(ARGS):
        state_owner.owner_of(shared / "state", shared / "state")
    told = capsys.readouterr().err
    assert f"drd: warning: {shared} belongs to root, but other users can write to it" in told
    assert f"HINT: chmod go-w {shared}\n" in told
    assert "{" not in told

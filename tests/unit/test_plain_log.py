"""What commands log for people: sentences, also where stderr is no terminal."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import log
from drd.catalogue.migrate import OURS, Schema
from drd.catalogue.sql_catalogue import open_catalogue
from drd.cli.command_line import configure_log
from drd.cli.main import main
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
    configure_log(ARGS)
    state_owner._warn("/srv\x1b[2J belongs to root, but others can replace it", "chmod go-w /srv")
    assert capsys.readouterr().err == (
        "drd: warning: /srv\\x1b[2J belongs to root, but others can replace it\n"
        "HINT: chmod go-w /srv\n"
    )


def test_other_events_are_lines_with_their_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DRD_LOG", raising=False)
    configure_log(ARGS)
    log.get(run="3f2a").error("run.not_started", error="no process")
    log.get().warning("alone")
    assert capsys.readouterr().err == ("drd: error: no process (run 3f2a)\ndrd: warning: alone\n")
    configure_log(Namespace(quiet=True))
    log.get().warning("alone")
    assert capsys.readouterr().err == ""


def test_commands_that_only_read_print_sentences_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DRD_LOG", raising=False)
    config = tmp_path / "drd.yaml"
    config.write_text(f"state: sqlite:///{tmp_path}/state/drd.db\nwork_dir: w\ncache_dir: c\n")
    (tmp_path / "plans").mkdir()
    url = f"sqlite:///{tmp_path}/state/drd.db"
    open_catalogue(url, create=True, schema=Schema(OURS.scripts, "0010")).close()
    assert main(["runs", "--config", str(config)]) == 0
    told = capsys.readouterr()
    assert told.out == "nothing has run yet\n"
    assert told.err.startswith(
        f"drd: warning: drd upgraded its catalogue from version 0010 to {OURS.head} (copy_of_before"
    )


def test_a_chosen_level_is_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRD_LOG", "info")
    configure_log(ARGS)
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
    configure_log(ARGS)
    state_owner.owner_of(shared / "state", shared / "state")
    told = capsys.readouterr().err
    assert f"drd: warning: {shared} belongs to root, but other users can write to it" in told
    assert f"HINT: chmod go-w {shared}\n" in told
    assert "{" not in told

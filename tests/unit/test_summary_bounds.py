"""A summary of the status that is made to hang whoever reads it is refused, and said to be kept
from the group where it is."""

from __future__ import annotations

import grp
import json
import os
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.cli import status_reading
from drd.cli.status_reading import StatusQuery, read_document
from drd.config.location import ConfiguredPlaces
from drd.errors import CatalogueError, DamagedSummary
from drd.flows.status import publishing, summary_file
from drd.flows.status.overview import SUMMARY as NAME
from drd.flows.status.summary_file import Header, SummaryFile, read_summary, write_summary
from drd.model.changes import Changed
from drd.model.facts import StatusFacts
from tests.status_support import NOW, healthy


def summary(plans: int) -> summary_file.Summary:
    made = summary_file.Summary("1")
    facts = StatusFacts([healthy(plan=f"p{n}") for n in range(plans)])
    made.apply(Changed(1, facts, everything=True), "s", NOW)
    return made


def written(directory: Path, data: bytes) -> bool:
    fd = os.open(directory, os.O_RDONLY)
    try:
        return write_summary(fd, data)
    finally:
        os.close(fd)


def read_all(directory: Path) -> int:
    return sum(len(facts) for _, facts in read_summary(str(directory)).lines())


def test_sum_of_what_is_unpacked_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, summary(200).to_bytes(NOW))
    assert read_all(tmp_path) == 200
    monkeypatch.setattr(summary_file, "_MOST_UNPACKED", 50_000)
    with pytest.raises(DamagedSummary, match="too large"):
        read_all(tmp_path)


@pytest.mark.parametrize("at", [1e300, -1e18])
def test_a_summary_of_an_impossible_time_is_refused(tmp_path: Path, at: float) -> None:
    data = summary(1).to_bytes(NOW)
    now = f'"at": {NOW.timestamp()}'.encode()
    assert now in data
    first, rest = data.replace(now, f'"at": {at}'.encode()).split(b"\n", 1)
    head, schema, length = first.split(b" ")
    grown = int(length) + len(f"{at}") - len(f"{NOW.timestamp()}")
    written(tmp_path, b"%b %b %d\n%b" % (head, schema, grown, rest))
    with pytest.raises((DamagedSummary, OSError)):
        read_summary(str(tmp_path))


@pytest.mark.parametrize("at", range(3, 30))
def test_a_summary_with_facts_of_other_types_is_refused_or_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Whoever became the service's user could make `drd status` end with an internal error."""
    made = summary(1)
    [facts] = made._facts
    plan, values = json.loads(facts["p0"])
    values[min(at, len(values) - 1)] = {"no": "fact"}
    facts[plan] = json.dumps([plan, values]).encode()
    made._briefs, made._packed = [{}], [None]
    written(tmp_path, made.to_bytes(NOW))
    monkeypatch.setattr(status_reading, "may_open_state", lambda _: False)
    places = ConfiguredPlaces(f"sqlite:///{tmp_path}/none.db", str(tmp_path), str(tmp_path))
    with suppress(CatalogueError):
        read_document(places, StatusQuery(None, 0, installed=False), NOW)


def test_a_summary_with_too_many_parts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, summary(200).to_bytes(NOW))
    monkeypatch.setattr(summary_file, "_MOST_PIECES", 3)
    with pytest.raises(DamagedSummary, match="too many parts"):
        read_summary(str(tmp_path))


def test_bomb_of_many_pieces_ends_early() -> None:
    bomb = summary_file._pack([b"[" + b"1," * (15 << 20) + b"1]"])
    header = Header(datetime.now(UTC), "1", "s", 1, StatusFacts([]))
    file = SummaryFile(header, [(b"", b"", bomb)] * 4000)
    file._left = 64 << 20
    with pytest.raises(DamagedSummary):
        for _ in file.lines():
            pass
    assert file._left < 64 << 20


def test_summary_that_the_group_cannot_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = summary(1).to_bytes(NOW)
    assert written(tmp_path, data)
    ours = grp.getgrgid(os.getgid()).gr_name
    assert publishing.findings(tmp_path, ours) == []

    def refused(*_: object) -> None:
        raise PermissionError(1, "not in that group")

    monkeypatch.setattr(os, "fchown", refused)
    assert not written(tmp_path, data)
    if os.geteuid() == 0:
        os.chown(tmp_path / NAME, 4711, -1)  # drd.yaml's user wrote it
    [found] = publishing.findings(tmp_path, ours)
    assert found.failed
    assert str(tmp_path / NAME) in found.text
    assert f" {ours} && sudo systemctl restart drd" in found.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes files as root")
@pytest.mark.parametrize(("mode", "whom"), [(0o640, "only to the group games"), (0o600, "to none")])
def test_root_is_told_to_open_the_summary_and_to_join_no_group(
    tmp_path: Path, mode: int, whom: str
) -> None:
    """A group that was named or made after root had written the summary."""
    public = tmp_path / "pub lic"
    public.mkdir(mode=0o700)
    assert written(public, b"of today")
    games, mail = grp.getgrnam("games").gr_gid, grp.getgrnam("mail").gr_gid
    os.chown(public / NAME, 0, games)
    (public / NAME).chmod(mode)
    [found] = publishing.findings(public, "mail")
    assert found.failed
    place = public / NAME
    why = f"root wrote this file and opened it {whom}"
    assert found.text == f"the group mail cannot read {place}: {why}"
    assert "adduser" not in found.remedy
    subprocess.run(["/bin/sh", "-ec", found.remedy.replace("sudo ", "")], check=True)
    assert publishing.findings(public, "mail") == []
    assert (public.stat().st_gid, public.stat().st_mode & 0o777) == (mail, 0o751)
    assert written(public, b"of tomorrow")
    assert publishing.findings(public, "mail") == []

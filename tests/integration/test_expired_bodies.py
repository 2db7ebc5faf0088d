"""Bodies of entries after the time for which drd.yaml keeps them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.config.daemon import load_settings
from drd.config.daemon_schema import SIX_YEARS_S
from drd.errors import ConfigError, UsageError
from drd.flows.incidents.opening import open_incident
from drd.flows.incidents.writing import Desk
from drd.flows.records.expiring import remove_expired
from drd.model.actor import Actor
from drd.model.records import REDACTION, Draft
from tests.catalogue_support import at
from tests.fakes_repository import MemoryRepository
from tests.integration.test_entries_in_repositories import (
    ANNA,
    author,
    catalogues,
    empty,
    entries,
    host,
    repository,
    signs_with,
    store,
    verified,
)

__all__ = ["catalogues", "empty", "host", "repository"]
DRD = Actor(990, "drd", None, "db1", "schedule")
KEEP = timedelta(seconds=SIX_YEARS_S)


def later(catalogue: SqlCatalogue, minute: float, *, most: int = 500) -> list[int]:
    return remove_expired(catalogue, SIX_YEARS_S, at(minute) + KEEP, DRD, most=most)


def with_bodies(catalogue: SqlCatalogue) -> list[str]:
    return [e.header.kind for e in entries(catalogue) if e.body is not None]


def decision(catalogue: SqlCatalogue, minute: float) -> int:
    draft = Draft("decision", "shop/1", {"why": "Elm Street 5"}, at(minute), ANNA)
    return catalogue.records.append(draft).seq


def test_bodies_are_removed_after_their_time_and_the_chain_still_verifies(
    host: SqlCatalogue, repository: MemoryRepository
) -> None:
    old, newer = decision(host, 1), decision(host, 100)
    store(host, repository)
    assert later(host, 1) == [], "its time is over after this minute"
    assert later(host, 2) == [old], "the incident is open"
    assert later(host, 2) == [], "once"
    record = entries(host)[-1]
    assert (record.header.kind, record.header.actor_name) == (REDACTION, "drd")
    assert record.body is not None
    assert "records.keep_bodies of drd.yaml: 2192d" in record.body.text
    assert record.signature
    assert host.records.get(newer).body is not None
    assert verified(host, repository)[0] == []
    assert told(repository) == 2
    store(host, repository, minute=3)
    assert told(repository) == 1, "the repository has only the newer one"


def told(repository: MemoryRepository) -> int:
    files = (
        repository.read_file(snapshot.id, "records.txt") for snapshot in repository.snapshots()
    )
    return sum(data.count(b"Elm Street 5") for data in files)


def test_the_bodies_of_an_incident_go_together_after_it_was_closed(
    host: SqlCatalogue, repository: MemoryRepository
) -> None:
    Desk(host, 1, author(50)).close("done")
    assert later(host, 20) == [], "its newest entry is not old enough"
    open_incident(host, author(55), "another")
    gone = later(host, 60)
    assert [host.records.get(seq).header.kind for seq in gone] == [
        "incident.open",
        "incident.close",
    ]
    assert host.incidents.wrong_rows() == []
    assert host.incidents.get(2).title == "another"
    assert "incident.open" in with_bodies(host), "of the open one"
    assert verified(host, repository)[0] == []


def test_a_call_removes_the_oldest_ones_first_and_not_all(host: SqlCatalogue) -> None:
    seqs = [decision(host, minute) for minute in range(5)]
    assert later(host, 60, most=2) == seqs[:2]
    assert later(host, 60, most=2) == seqs[2:4]
    assert later(host, 60, most=2) == seqs[4:]


def test_nothing_is_removed_without_a_signed_record(host: SqlCatalogue) -> None:
    seq = decision(host, 1)
    signs_with(host, None)
    with pytest.raises(UsageError, match="cannot be signed"):
        later(host, 60)
    assert host.records.get(seq).body is not None


def test_bodies_are_kept_for_six_years_at_least(tmp_path: Path) -> None:
    file = tmp_path / "drd.yaml"
    file.write_text("records: {keep_bodies: 2192d}\n")
    assert load_settings(file, explicit=True).keep_bodies_s == SIX_YEARS_S
    file.write_text("records: {keep_bodies: 2191d}\n")
    with pytest.raises(ConfigError, match="less than six years"):
        load_settings(file, explicit=True)
    file.write_text("records: {}\n")
    assert load_settings(file, explicit=True).keep_bodies_s is None

"""The chain of records: what enters it, in which transaction, and that nothing changes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from drd.catalogue.records import SqlRecords
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.cli.bootstrap import forget_by_records
from drd.errors import CatalogueError, UsageError
from drd.model.actor import Actor
from drd.model.chain import check
from drd.model.holds import GivenUp, Hold
from drd.model.record_drafts import forgotten_points
from drd.model.records import FIRST, Draft, Entry
from drd.model.run import Decision, RunKind, RunState
from drd.model.run_details import RetentionDetail
from drd.process import actor_here
from drd.signing import Signer, accepts, new_key, public_key
from tests.catalogue_support import at, evidence, plan, point

ANNA = Actor(1000, "anna", 1000, "db1", "socket", "anna", "", "Anna B.")


@pytest.fixture
def signer(catalogue: SqlCatalogue) -> Signer:
    """The key of the catalogue."""
    made = Signer(new_key(), "the key of the test")
    records = catalogue.records
    assert isinstance(records, SqlRecords)
    records._find_signer = lambda _: made
    return made


def draft(number: int = 1, **body: Any) -> Draft:
    return Draft("note", "orders-api", {"number": number, **body}, at(number), ANNA)


def kinds(catalogue: SqlCatalogue) -> list[str]:
    return [entry.header.kind for entry in catalogue.records.read()]


def body(entry: Entry) -> dict[str, Any]:
    assert entry.body is not None
    read: dict[str, Any] = json.loads(entry.body.text)
    return read


def test_entries_are_chained_and_digest_their_bodies(catalogue: SqlCatalogue) -> None:
    first = catalogue.records.append(draft(1))
    second = catalogue.records.append(draft(2, name="\udcff ü \0"))

    assert (first.seq, first.header.previous) == (1, FIRST)
    assert (second.seq, second.header.previous) == (2, first.hash)
    read = list(catalogue.records.read())
    assert read == [first, second]
    assert [e.hash for e in read] == [e.header.hash for e in read]
    assert all(e.body is not None and e.body.digest == e.header.digest for e in read)
    assert body(second)["name"] == "\\xff ü \\x00"
    assert (second.header.actor_kind, second.header.actor_name) == ("person", "anna")
    assert "Anna" not in repr(second.header), "a name that was claimed is in the body only"


def test_two_bodies_alike_have_different_digests(catalogue: SqlCatalogue) -> None:
    one, other = (catalogue.records.append(draft(1)) for _ in range(2))
    assert one.header.digest != other.header.digest


def test_without_a_key_entries_are_not_signed(catalogue: SqlCatalogue) -> None:
    entry = catalogue.records.append(draft())
    assert (entry.key, entry.signature) == ("", "")


def test_the_first_signature_follows_a_record_of_the_key(
    catalogue: SqlCatalogue, signer: Signer
) -> None:
    entry = catalogue.records.append(draft())

    key, read = catalogue.records.read()
    assert (key.header.kind, key.header.subject) == ("key", f"key:{signer.public.id}")
    public = public_key(body(key)["public"])
    assert public == signer.public
    assert read == entry
    assert all(public.accepts(e.header.message(), e.signature) for e in (key, read))
    assert not public.accepts(replace(read.header, seq=9).message(), read.signature)


def test_a_key_that_the_chain_does_not_know_signs_nothing(
    catalogue: SqlCatalogue, signer: Signer
) -> None:
    catalogue.records.append(draft())
    stranger = Signer(new_key(), "another key")
    records = catalogue.records
    assert isinstance(records, SqlRecords)
    asked = []
    records._find_signer = lambda current: asked.append(current) or stranger  # type: ignore[func-returns-value]
    assert catalogue.records.append(draft(2)).signature == ""
    assert asked == [signer.public.id], "so that a changed key is read again"


COPY = """INSERT INTO records SELECT 1, at, actor_kind, actor_name, came, subject, kind, digest,
    previous, hash, key, signature FROM records WHERE seq = 2"""
CHANGES = [
    "UPDATE records SET subject = 'x' WHERE seq = 1",
    "DELETE FROM records WHERE seq = 2",
    "UPDATE record_bodies SET body = '{}' WHERE seq = 1",
    "UPDATE record_bodies SET salt = '' WHERE seq = 1",
    "DELETE FROM record_bodies WHERE seq = 1",
    "INSERT INTO record_bodies (seq, salt, body) VALUES (1, '', '')",
    COPY,
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_database_refuses_every_change(catalogue: SqlCatalogue, change: str) -> None:
    for number in (1, 2):
        catalogue.records.append(draft(number))
    before = list(catalogue.records.read())
    with pytest.raises((DBAPIError, CatalogueError)), catalogue.database.write() as connection:
        connection.execute(text(change))
    assert list(catalogue.records.read()) == before


def test_guards_that_somebody_removed_are_named_and_made_again(catalogue: SqlCatalogue) -> None:
    records = catalogue.records
    assert (records.missing_guards(), records.restore_guards()) == ([], [])
    records.append(draft())
    is_sqlite = catalogue.database.path is not None
    with catalogue.database.write() as connection:
        for name, table in (
            ("record_bodies_delete", "record_bodies"),
            ("records_update", "records"),
        ):
            connection.execute(text(f"DROP TRIGGER {name}{'' if is_sqlite else f' ON {table}'}"))
    gone = ["record_bodies_delete", "records_update"]
    assert (records.missing_guards(), records.restore_guards()) == (gone, gone)
    assert records.missing_guards() == []
    for change in ("DELETE FROM record_bodies", "UPDATE records SET at = ''"):
        with pytest.raises((DBAPIError, CatalogueError)), catalogue.database.write() as connection:
            connection.execute(text(change))


def test_sqlite_replaces_no_entry(catalogue: SqlCatalogue) -> None:
    """OR REPLACE deletes a row without the triggers of a deletion."""
    if catalogue.database.path is None:
        pytest.skip("PostgreSQL has no OR REPLACE")
    catalogue.records.append(draft())
    for change in (CHANGES[5], CHANGES[6].replace("seq = 2", "seq = 1")):
        replaced = change.replace("INSERT INTO", "INSERT OR REPLACE INTO")
        with pytest.raises((DBAPIError, CatalogueError)), catalogue.database.write() as connection:
            connection.execute(text(replaced))


def test_postgresql_truncates_nothing(catalogue: SqlCatalogue) -> None:
    if catalogue.database.path is not None:
        pytest.skip("SQLite has no TRUNCATE")
    catalogue.records.append(draft())
    with pytest.raises((DBAPIError, CatalogueError)), catalogue.database.write() as connection:
        connection.execute(text("TRUNCATE records"))
    assert catalogue.records.head() is not None


def test_a_redaction_removes_the_body_and_leaves_the_chain(
    catalogue: SqlCatalogue, signer: Signer
) -> None:
    secret = catalogue.records.append(draft(1, address="7 Elm Street"))
    made = catalogue.records.redact(secret.seq, reason="asked for", at=at(3), actor=ANNA)

    kept = catalogue.records.get(secret.seq)
    assert kept == replace(secret, body=None)
    assert (made.header.kind, made.header.subject) == ("redaction", f"entry:{secret.seq}")
    assert body(made)["reason"] == "asked for"
    assert signer.public.accepts(made.header.message(), made.signature)
    if catalogue.database.path is not None:
        with pytest.raises(UsageError, match="was removed already"):
            catalogue.records.redact(secret.seq, reason="again", at=at(4), actor=ANNA)


def test_entries_are_added_by_what_there_is_about_the_subject(catalogue: SqlCatalogue) -> None:
    records = catalogue.records
    records.append(draft(1))
    about = records.extend(draft(1).subject, lambda found: [draft(len(found) + 7)])
    assert [body(entry)["number"] for entry in about] == [1, 8]
    assert records.extend("nothing", lambda found: [draft()] if found else []) == []
    assert len(list(records.read())) == 2


def test_no_redaction_without_a_signature(catalogue: SqlCatalogue) -> None:
    entry = catalogue.records.append(draft())
    with pytest.raises(UsageError, match="cannot be signed"):
        catalogue.records.redact(entry.seq, reason="asked for", at=at(3), actor=ANNA)
    assert catalogue.records.get(1).body is not None
    assert kinds(catalogue) == ["note"]


@pytest.mark.parametrize("seq", [1, 3])
def test_keys_and_redactions_are_not_redacted(
    catalogue: SqlCatalogue, signer: Signer, seq: int
) -> None:
    entry = catalogue.records.append(draft())
    catalogue.records.redact(entry.seq, reason="asked for", at=at(3), actor=ANNA)
    with pytest.raises(UsageError, match="cannot be redacted"):
        catalogue.records.redact(seq, reason="no", at=at(4), actor=ANNA)


# --- what enters -------------------------------------------------------------------------------


@pytest.fixture
def begun(catalogue: SqlCatalogue) -> Callable[..., Any]:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))

    def begin(kind: RunKind, trigger: str = "schedule") -> Any:
        return catalogue.runs.begin(plan(), kind, trigger=trigger, at=at(1))

    return begin


def test_the_evidence_of_a_drill_is_its_only_record(
    catalogue: SqlCatalogue, begun: Callable[..., Any]
) -> None:
    owned = begun(RunKind.DRILL)
    measured = evidence("e1", run=owned.run.id)
    catalogue.evidence.record(owned, measured)
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(2))

    [entry] = catalogue.records.read()
    assert (entry.header.kind, entry.header.subject) == ("evidence", f"orders-api/{owned.run.id}")
    cited = body(entry)["evidence"]
    assert (cited["id"], cited["result"]) == ("e1", str(measured.result))
    assert [c["name"] for c in cited["checks"]] == [c.name for c in measured.checks]


def test_evidence_that_is_not_recorded_is_in_no_record(
    catalogue: SqlCatalogue, begun: Callable[..., Any]
) -> None:
    """Both are one transaction."""
    owned = begun(RunKind.DRILL)

    def record() -> None:
        with catalogue.together():
            catalogue.evidence.record(owned, evidence("e1", run=owned.run.id))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        record()
    assert kinds(catalogue) == []
    assert catalogue.evidence.newest(None) == []


@pytest.mark.parametrize(
    ("kind", "trigger", "enters"),
    [
        (RunKind.DRILL, "schedule", True),
        (RunKind.RECOVERY, "manual", True),
        (RunKind.RETENTION, "schedule", True),
        (RunKind.BACKUP, "schedule", False),
        (RunKind.BACKUP, "manual", True),
        (RunKind.VERIFICATION, "schedule", False),
    ],
)
def test_the_end_of_a_run_enters(
    catalogue: SqlCatalogue,
    begun: Callable[..., Any],
    kind: RunKind,
    trigger: str,
    *,
    enters: bool,
) -> None:
    owned = begun(kind, trigger)
    catalogue.runs.finish(owned, RunState.INTERRUPTED, at=at(2), error="power failed")
    catalogue.runs.finish(owned, RunState.FAILED, at=at(3))

    assert kinds(catalogue) == (["run.end"] if enters else [])
    if enters:
        [entry] = catalogue.records.read()
        assert (body(entry)["state"], body(entry)["error"]) == ("interrupted", "power failed")


def test_the_end_of_a_retention_names_the_points_that_it_forgot(
    catalogue: SqlCatalogue, begun: Callable[..., Any]
) -> None:
    """A host that is set up again by an older copy of the state knows by it who removed them."""
    for number, name in enumerate(("4f2a", "9b01", "kept")):
        catalogue.points.record(point(name, at(number)))
    owned = begun(RunKind.RETENTION, "schedule")
    detail = RetentionDetail(forgotten=("4f2a", "9b01"))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(2), detail=detail)
    [entry] = catalogue.records.newest(kind="run.end")
    assert forgotten_points(entry) == ["4f2a", "9b01"]
    owned = begun(RunKind.PRUNE, "schedule")
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(3))
    assert forgotten_points(catalogue.records.newest(kind="run.end")[0]) == []
    forget_by_records(catalogue, "orders-api")
    assert [p.id for p in catalogue.points.of_plan("orders-api")] == ["kept"]
    assert catalogue.keeping.vanished("orders-api") == []


def test_decisions_cancels_holds_and_forgotten_points_become_records_with_their_person(
    catalogue: SqlCatalogue, begun: Callable[..., Any]
) -> None:
    owned = begun(RunKind.RECOVERY, "manual")
    catalogue.points.record(point("p1", at(0)))
    said = Decision("traffic", "approve", "Anna B.", "go", 1, at(2), ANNA)
    catalogue.decisions.add(owned.run.id, said)
    catalogue.queue.ask_cancel(owned.run.id, at(3), ANNA)
    catalogue.keeping.hold(Hold("p1", "orders-api", "audit", at(4), by=ANNA))
    catalogue.keeping.release("p1", at=at(5), by=ANNA, reason="over")
    catalogue.keeping.give_up([GivenUp("p1", "orders-api", "damaged", at(6), ANNA)])

    entries = list(catalogue.records.read())
    assert [e.header.kind for e in entries] == [
        "decision", "run.cancel", "hold", "release", "point.forget",
    ]  # fmt: skip
    assert {e.header.actor_name for e in entries} == {"anna"}
    assert body(entries[0])["comment"] == "go"
    assert catalogue.records.newest(plan="orders-api", kind="hold") == [entries[2]]
    assert catalogue.records.newest(plan="orders", limit=9) == []


def test_a_scratch_catalogue_leaves_no_record(catalogue: SqlCatalogue, tmp_path: Any) -> None:
    catalogue.records.append(draft())
    tried = catalogue.scratch(tmp_path)
    tried.records.append(draft(2))
    tried.close()
    assert len(kinds(catalogue)) == 1


def test_an_exported_catalogue_keeps_its_records(catalogue: SqlCatalogue, tmp_path: Any) -> None:
    catalogue.records.append(replace(draft(), actor=actor_here()))
    tried = catalogue.scratch(tmp_path)
    assert list(tried.records.read()) == list(catalogue.records.read())
    assert isinstance(tried, SqlCatalogue)
    with pytest.raises((DBAPIError, CatalogueError)), tried.database.write() as connection:
        connection.execute(text(CHANGES[0]))
    tried.close()


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM records WHERE seq >= 2",
        "DELETE FROM records",
        "UPDATE record_bodies SET body = 'no JSON' WHERE seq = 1",
        "UPDATE record_bodies SET body = '[]' WHERE seq = 1",
    ],
)
def test_a_run_ends_whatever_somebody_made_of_the_records(
    catalogue: SqlCatalogue, signer: Signer, begun: Callable[..., Any], attack: str
) -> None:
    """The check finds it; that is no reason to lose the result of a drill."""
    catalogue.records.append(draft())
    with catalogue.database.write() as connection:
        if catalogue.database.path is None:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for name in ("records_update", "records_delete", "record_bodies_update"):
            if catalogue.database.path is not None:
                connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(attack))
    owned = begun(RunKind.DRILL)
    catalogue.evidence.record(owned, evidence("e1", run=owned.run.id))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(2))
    assert "evidence" in kinds(catalogue)
    report = check(catalogue.records.read(), accepts)
    assert report.faults

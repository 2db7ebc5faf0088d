"""The records of a host: made with its runs, checked, given to others, and attacked."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.daemons import daemon, until
from tests.e2e.site import Site, make_tree, one_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    """A plan, and a key in a file that is not there yet."""
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(one_tree(made.base / "etc", made.base / "back"))
    with (made.base / "drd.yaml").open("a") as file:
        file.write(f"records: {{key: {{file: {made.base}/secrets/records}}}}\n")
    return made


def worked(site: Site) -> dict[str, Any]:
    """A key, a backup, a drill and a hold; returns the drill."""
    site.drd("records", "init")
    site.drd("backup", "shop")
    drilled = site.drd("drill", "shop", "--json").json
    site.drd("hold", drilled["point"], "--reason", "seen by Anna B., 7 Elm Street")
    return drilled


def attacked(site: Site, *statements: str) -> None:
    """Whoever owns the file removes its triggers first."""
    with closing(sqlite3.connect(f"{site.base}/state/drd.db")) as connection, connection:
        kept = "select name from sqlite_master where type = 'trigger' and tbl_name like 'record%'"
        for (name,) in connection.execute(kept).fetchall():
            connection.execute(f"drop trigger {name}")
        for statement in statements:
            connection.execute(statement)


def script(directory: Path, *words: str, code: int = 0) -> str:
    """The script of an export, with nothing but the system's programs."""
    done = subprocess.run(
        ["/bin/sh", directory / "verify.sh", *words],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == code, done
    assert done.stderr == ""
    return done.stdout


def test_holds_drills_and_runs_become_signed_records_that_verify_checks(site: Site) -> None:
    drilled = worked(site)

    entries = site.drd("records", "list", "--json").json["records"]
    assert [e["kind"] for e in entries] == ["hold", "evidence", "run.end", "key"]
    assert all(e["signature"] for e in entries)
    hold, evidence = entries[:2]
    assert hold["body"]["reason"] == "seen by Anna B., 7 Elm Street"
    assert evidence["subject"] == f"shop/{drilled['run']}"
    assert evidence["body"]["evidence"]["result"] == "passed"
    assert "Elm" not in site.drd("records", "list", "shop").out
    assert site.drd("records", "show", str(hold["entry"]), "--json").json["body"] == hold["body"]

    checked = site.drd("records", "verify", "--json", code=5).json
    assert (checked["whole"], checked["entries"], checked["unsigned"]) == (True, 4, [])
    assert [k["key"] for k in checked["keys"]] == [hold["key"]]
    told = site.drd("records", "verify", code=5).out
    assert "the chain is whole" in told
    assert "Somebody could have removed entries at the end" in told

    shown = site.drd("evidence", "show", drilled["evidence"], "--json").json["integrity"]
    assert (shown["signed"], shown["entry"]) == (True, evidence["entry"])


def test_the_key_is_its_owners_alone(site: Site) -> None:
    old = os.umask(0)
    try:
        first = site.drd("records", "init", "--json").json
    finally:
        os.umask(old)
    file = site.base / "secrets/records"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    assert site.drd("records", "init", "--json").json == {**first, "change": "unchanged"}
    assert file.read_bytes() == before
    private = before.decode().split("\n")[1]
    assert private not in "".join(site.drd("records", "key").out.split())

    (site.base / "secrets").chmod(0o755)
    file.chmod(0o644)
    told = site.drd("records", "init", code=2).err
    assert f"other users can read the key of the records: {file}" in told
    site.drd("backup", "shop")
    assert site.drd("records", "list", "--json").json["records"][0]["signature"] is None


def test_a_run_ends_without_the_key_and_the_check_tells(site: Site) -> None:
    worked(site)
    assert "the key that signs the records exists" in site.drd("doctor", code=None).out
    (site.base / "secrets/records").rename(site.base / "secrets/away")
    told = site.drd("drill", "shop").err
    assert f"the key of the records is missing: {site.base}/secrets/records" in told
    assert "If the key is lost: drd records rotate --lost" in told
    [found] = [
        item
        for item in site.drd("doctor", "--json", code=None).json["items"]
        if item["code"] == "records-key"
    ]
    assert (found["severity"], found["hint"].split(". ")[1]) == (
        "warning",
        "If the key is lost: drd records rotate --lost",
    )
    checked = site.drd("records", "verify", "--json", code=5).json
    assert (checked["whole"], checked["unsigned"]) == (True, [5])
    assert "not signed: 5" in site.drd("records", "verify", code=5).out


FORGED = "update evidence set result = 'failed'"
ATTACKS = {
    "an edit": "update records set subject = 'other' where seq = 3",
    "a changed body": "update record_bodies set body = replace(body, 'Anna', 'Bert') where seq = 4",
    "a deletion": "delete from records where seq = 3",
    "a removed body": "delete from record_bodies where seq = 3",
    "another order": "update records set seq = 5 - seq + 4 where seq in (3, 4)",
    "a removed signature of a key": "update records set signature = '' where seq = 1",
}


@pytest.fixture
def spoiled(site: Site) -> Site:
    worked(site)
    return site


def test_every_attack_on_the_file_is_found(spoiled: Site) -> None:
    """One site for all: drd leaves the file as it is."""
    state = spoiled.base / "state/drd.db"
    with closing(sqlite3.connect(state)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    sound = state.read_bytes()
    for name, statement in ATTACKS.items():
        attacked(spoiled, statement)
        told = spoiled.drd("records", "verify", "--json", code=1).json
        assert told["faults"], name
        assert "these records were changed" in spoiled.drd("records", "verify", code=1).out
        for left in ("-wal", "-shm"):
            state.with_name(f"drd.db{left}").unlink(missing_ok=True)
        state.write_bytes(sound)
    spoiled.drd("records", "verify", code=5)


def test_a_table_of_incidents_that_was_changed_contradicts_the_entries(spoiled: Site) -> None:
    spoiled.drd("incident", "open", "orders leak", "--plan", "shop")
    attacked(spoiled, "update incidents set closed_at = opened_at, state = 'closed'")
    assert "no incident is open" in spoiled.drd("incident").out
    assert faults(spoiled) == [(5, "incident")]
    assert "the last check of the records found 1 fault: entry 5 (incident)" in _status(spoiled)
    assert "the entries of incident 1 differ" in spoiled.drd("records", "verify", code=1).out
    spoiled.drd("catalogue", "rebuild", "shop")
    spoiled.drd("records", "verify", code=5)
    assert "records found" not in _status(spoiled)
    assert "orders leak" in spoiled.drd("incident").out


def _status(site: Site) -> str:
    return " ".join(site.drd("status", code=None).out.split())


def test_a_row_of_evidence_that_was_changed_contradicts_its_record(spoiled: Site) -> None:
    attacked(spoiled, FORGED)
    [one] = spoiled.drd("evidence", "list", "--json").json["evidence"]
    shown = spoiled.drd("evidence", "show", one["evidence"], code=1).out
    assert "of the records has another value of result" in shown


def test_others_check_an_export_without_drd_and_without_the_catalogue(site: Site) -> None:
    drilled = worked(site)
    there = site.base / "given"
    made = site.drd("records", "export", str(there), "--json").json
    [key] = [k["key"] for k in made["keys"]]
    assert stat.S_IMODE(there.stat().st_mode) == 0o700
    assert "4 entries" in script(there)
    assert key in script(there, key)
    assert "the key is" in script(there, "0" * 16, code=1)

    (site.base / "state").rename(site.base / "gone")
    (site.base / "drd.yaml").rename(site.base / "gone.yaml")
    for words in (("records", "verify"), ("evidence", "verify")):
        site.drd(*words, str(there), "--key", key, code=5)
        assert (
            "no record here is signed by key"
            in site.drd(*words, str(there), "--key", "0" * 16, code=1).out
        )
    shown = site.drd("evidence", "show", f"{there}/records.txt").out
    assert f"evidence {drilled['evidence']} of plan shop" in shown
    assert f"by key {key}" in shown


def test_script_and_drd_find_the_same_changes_of_an_export(site: Site) -> None:
    worked(site)
    there, file = site.base / "given", site.base / "given/records.txt"
    site.drd("records", "export", str(there))
    sound = file.read_text()
    lines = sound.split("\n")
    changes = {
        "an edit": sound.replace('"subject":"shop/', '"subject":"shoq/'),
        "a changed body": sound.replace("Anna", "Bert"),
        "a removed entry": "\n".join(lines[:7] + lines[10:]),
        "another order": "\n".join(lines[:7] + lines[10:13] + lines[7:10] + lines[13:]),
        "a removed body": sound.replace(lines[9], "body - redacted"),
        "another signature": sound.replace(lines[8], lines[5]),
    }
    for name, text in changes.items():
        assert text != sound, name
        file.write_text(text)
        assert "FAULT" in script(there, code=1), name
        site.drd("records", "verify", str(there), code=1)
    file.write_text(sound)
    script(there)


def test_a_part_for_one_plan_contains_no_other_bodies(site: Site) -> None:
    worked(site)
    there = site.base / "given"
    made = site.drd("records", "export", str(there), "--plan", "other", "--json").json
    assert (made["entries"], made["bodies"]) == (4, 0)
    text = (there / "records.txt").read_text()
    assert "Elm" not in text
    assert text.count("body - withheld") == 3
    script(there)
    site.drd("records", "verify", str(there), code=5)


def test_a_redacted_body_is_gone_and_the_chain_verifies(site: Site) -> None:
    worked(site)
    entry = site.drd("records", "list", "--kind", "hold", "--json").json["records"][0]["entry"]
    site.drd("records", "redact", str(entry), "--reason", "x", code=2)
    site.drd("records", "redact", str(entry), "--reason", "asked for", "--yes")
    assert site.drd("records", "show", str(entry), "--json").json["body"] is None
    checked = site.drd("records", "verify", "--json", code=5).json
    assert (checked["whole"], checked["redacted"]) == (True, [entry])
    site.drd("records", "export", str(site.base / "given"))
    script(site.base / "given")
    with closing(sqlite3.connect(site.base / "state/drd.db")) as connection:
        connection.execute("pragma secure_delete = on")
        connection.execute("delete from holds")  # the hold itself has its reason, too
        connection.commit()
        connection.execute("pragma wal_checkpoint(truncate)")
    assert b"Elm Street" not in (site.base / "state/drd.db").read_bytes()


def test_a_new_key_goes_on_with_the_chain(site: Site) -> None:
    worked(site)
    file = site.base / "secrets/records"
    before, first = file.read_bytes(), site.drd("records", "key", "--json").json["keys"][0]["key"]
    made = site.drd("records", "rotate", "--json").json
    assert (made["former"], stat.S_IMODE(file.stat().st_mode)) == (first, 0o600)
    site.drd("drill", "shop")
    checked = site.drd("records", "verify", "--json", code=5).json
    assert (checked["whole"], checked["unsigned"]) == (True, [])
    assert [k["attested"] for k in checked["keys"]] == [True, True]
    site.drd("records", "export", str(site.base / "given"))
    script(site.base / "given", first)

    file.write_bytes(before)  # somebody puts the former key back
    assert "the records are signed by key" in site.drd("records", "rotate", code=2).err
    site.drd("drill", "shop")
    assert site.drd("records", "verify", "--json", code=5).json["unsigned"] == [7]
    file.unlink()
    site.drd("records", "rotate", "--lost")
    told = site.drd("records", "verify", code=5).out
    assert "the former key was lost, so no other key confirms this one" in told
    assert "was lost" in script(fresh_export(site))


def fresh_export(site: Site) -> Path:
    there = site.base / "given"
    shutil.rmtree(there, ignore_errors=True)
    site.drd("records", "export", str(there))
    return there


def test_a_new_key_that_was_recorded_only_is_put_in_place(site: Site) -> None:
    """The power failed between the record and the file."""
    worked(site)
    file = site.base / "secrets/records"
    former = file.read_bytes()
    made = site.drd("records", "rotate", "--json").json
    file.rename(f"{file}.next")
    file.write_bytes(former)
    file.chmod(0o600)
    again = site.drd("records", "rotate", "--json").json
    assert again["key"] == made["key"]
    site.drd("drill", "shop")
    assert site.drd("records", "verify", "--json", code=5).json["unsigned"] == []


def test_the_logs_contain_no_body_and_no_key(site: Site) -> None:
    site.environment["DRD_LOG"] = "debug"
    site.drd("records", "init")
    private = (site.base / "secrets/records").read_text().split("\n")[1]
    site.drd("backup", "shop")
    point = site.drd("points", "shop", "--json").json["points"][0]["point"]
    done = site.drd("hold", point, "--reason", "seen by Anna B., 7 Elm Street", "--quiet")
    done_key = site.drd("records", "rotate")
    for told in (done.err, done_key.out, done_key.err):
        assert "Elm" not in told
        assert private not in told


def test_a_file_that_is_not_an_export_is_refused(site: Site) -> None:
    for text in ("", "drd records 1\nheader {}\n", "\0" * 100):
        (site.base / "file").write_text(text)
        told = site.drd("records", "verify", f"{site.base}/file", code=2).err
        assert re.search("is not a file of drd's records", told)


# --- anchors ------------------------------------------------------------------------------------


def anchored(site: Site) -> Site:
    worked(site)
    site.drd("records", "anchor")
    return site


def hold_again(site: Site, reason: str) -> None:
    point = site.drd("points", "shop", "--json").json["points"][0]["point"]
    site.drd("hold", point, "--reason", reason)


def catalogue_as_it_is(site: Site) -> bytes:
    with closing(sqlite3.connect(site.base / "state/drd.db")) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    return (site.base / "state/drd.db").read_bytes()


def put_back(site: Site, catalogue: bytes) -> None:
    for name in ("drd.db-wal", "drd.db-shm"):
        (site.base / "state" / name).unlink(missing_ok=True)
    (site.base / "state/drd.db").write_bytes(catalogue)


def faults(site: Site, code: int = 1) -> list[tuple[int, str]]:
    found = site.drd("records", "verify", "--json", code=code).json["faults"]
    return [(fault["entry"], fault["code"]) for fault in found]


def test_an_anchor_vouches_for_the_chain_and_says_how_far(site: Site) -> None:
    anchored(site)
    checked = site.drd("records", "verify", "--json").json
    assert (checked["vouched_by"]["entry"], checked["vouched_by"]["weak"]) == (4, True)
    assert checked["unanchored_since"] is None
    hold_again(site, "again")
    told = site.drd("records", "verify").out
    assert "confirmed up to entry 4 of" in told
    assert "repository primary of shop (weak: this host's own key may delete this anchor)" in told
    assert "no anchor confirms entry 5 and later entries" in told
    told = site.drd("records", "verify", "--here", code=5).out
    assert "drd did not compare the records with an anchor" in told

    again = site.drd("records", "anchor", "--json").json["places"]
    assert [(p["entry"], p["stored"], p["taken_back"]) for p in again] == [(5, True, 1)]
    assert site.drd("records", "anchor", "--json").json["places"][0]["stored"] is False
    assert len(site.drd("records", "verify", "--json").json["anchors"]) == 1
    listed = site.restic("snapshots", "--tag", "drd-records", "--json")
    assert listed.count('"checkpoint.') == 1


def test_anchors_disturb_no_restore_point(site: Site) -> None:
    anchored(site)
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    site.drd("retention", "shop")
    site.drd("verify", "shop")
    site.drd("catalogue", "verify", "shop")
    assert site.drd("records", "verify", "--json").json["vouched_by"]["entry"] == 4


def test_a_cut_off_end_is_found(site: Site) -> None:
    anchored(site)
    attacked(
        site,
        "delete from records where seq > 2",
        "delete from record_bodies where seq > 2",
    )
    assert faults(site) == [(4, "truncated")]
    way_out = "made from a kit or a copy of its state, record what is lost: drd records continue"
    assert way_out in site.drd("records", "verify", code=1).out
    told = site.drd("records", "anchor", code=1).out
    assert "has an anchor of entry 4 of" in told
    hold_again(site, "goes on")  # with the number of an entry that was there
    hold_again(site, "and on")
    assert faults(site) == [(4, "rewritten")]


def test_two_that_continue_one_chain_are_found(site: Site) -> None:
    """A copy of the state, whose original went on."""
    worked(site)
    copy = catalogue_as_it_is(site)
    hold_again(site, "of the original")
    site.drd("records", "anchor")
    put_back(site, copy)
    hold_again(site, "of the copy")
    assert faults(site) == [(5, "rewritten")]
    told = site.drd("records", "anchor", "--json", code=1).json["places"][0]
    assert told["ahead"]["entry"] == 5


def test_a_whole_chain_with_a_new_key_is_found(site: Site) -> None:
    anchored(site)
    (site.base / "secrets/records").unlink()
    attacked(site, "delete from records", "delete from record_bodies")
    site.drd("records", "init")
    hold_again(site, "all is well")
    assert faults(site) == [(4, "replaced")]
    assert "another chain of this installation" in site.drd("records", "verify", code=1).out
    assert site.drd("records", "verify", "--here", code=5)


def test_an_export_kept_elsewhere_finds_a_chain_that_was_replaced(site: Site) -> None:
    worked(site)
    site.drd("records", "export", str(site.base / "kept"))
    against = ("records", "verify", "--here", "--against", str(site.base / "kept"))
    told = site.drd(*against).out
    assert "by the export" in told
    assert "weak" not in told
    attacked(site, "delete from records where seq > 3", "delete from record_bodies where seq > 3")
    assert "the chain ends with entry 3" in site.drd(*against, code=1).out
    attacked(site, "delete from records", "delete from record_bodies")
    (site.base / "secrets/records").unlink()
    site.drd("records", "init")
    site.drd(*against, code=1)


def test_a_repository_that_is_away_is_named(site: Site) -> None:
    anchored(site)
    Path(site.repository).rename(f"{site.repository}-away")
    hold_again(site, "meanwhile")
    assert (
        "repository primary of shop: no anchor stored" in site.drd("records", "anchor", code=1).out
    )
    told = site.drd("records", "verify", code=5).out
    assert "not compared with repository primary of shop" in told
    assert "no anchor confirms any entry" in told
    Path(f"{site.repository}-away").rename(site.repository)
    site.drd("records", "anchor")
    site.drd("records", "verify")


def test_an_anchor_that_a_person_cannot_delete_is_not_weak(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    password = "    password:"
    text = plan.read_text().replace(password, f"    protection: append-only\n{password}", 1)
    plan.write_text(text)
    anchored(site)
    hold_again(site, "again")
    again = site.drd("records", "anchor", "--json").json["places"][0]
    assert (again["weak"], again["taken_back"]) == (False, 0)
    checked = site.drd("records", "verify", "--json").json
    assert checked["vouched_by_strong"]["entry"] == 5
    assert len(checked["anchors"]) == 2


def test_the_daemon_stores_an_anchor_by_itself(site: Site) -> None:
    worked(site)
    with daemon(site) as running:
        until(lambda: running.events("records.anchored"), "the anchor", running)
        assert running.events("records.anchored")[0]["exit"] == 0
        assert site.drd("records", "verify", "--json").json["vouched_by"]["entry"] >= 4
        opened = site.drd("incident", "open", "orders leaked", "--plan", "shop", "--json").json

        def at_once() -> bool:
            told = running.events("records.anchored")
            return any(event["incidents"] and event["exit"] == 0 for event in told)

        until(at_once, "the anchor of the incident", running)
    assert opened["state"] == "detected"
    checked = site.drd("records", "verify", "--json").json
    assert (
        checked["vouched_by"]["entry"]
        == site.drd("records", "list", "--json").json["records"][0]["entry"]
    )


# --- after a loss -------------------------------------------------------------------------------

GO_ON = ("records", "continue", "--reason", "restored after the loss of db1")


def test_an_installation_that_comes_back_from_a_copy_goes_on(site: Site) -> None:
    worked(site)
    site.drd("records", "anchor")
    copy = catalogue_as_it_is(site)
    for number in range(3):
        hold_again(site, f"of before the loss {number}")
    site.drd("records", "anchor")
    put_back(site, copy)
    hold_again(site, "of after the loss")
    assert faults(site) == [(7, "truncated")]
    site.drd("records", "verify", code=None)
    assert "drd records verify" in site.drd("status", code=None).out

    [made] = site.drd(*GO_ON, "--json").json["records"]
    assert "drd records verify" not in site.drd("status", code=None).out, "without another check"
    body = made["body"]
    assert (made["kind"], made["entry"]) == ("continued", 8)
    assert (body["after"], body["seq"]) == (5, 7)
    assert body["reason"] == "restored after the loss of db1"
    told = site.drd("records", "verify", code=None).out
    assert "continues the chain after a loss" in told
    assert "later entries, up to 7, are lost" in told
    assert faults(site, code=5) == []

    hold_again(site, "afterwards")
    site.drd("records", "anchor")
    assert site.drd("records", "verify", "--json").json["vouched_by"]["entry"] == 9
    assert "the records do not have a gap" in site.drd(*GO_ON, code=2).err
    assert "an older copy was restored" in script(fresh_export(site))
    site.drd("records", "verify", str(site.base / "given"), code=5)


def test_records_that_were_lost_are_named_by_the_new_chain(site: Site) -> None:
    anchored(site)
    for name in ("drd.db", "drd.db-wal", "drd.db-shm"):
        (site.base / "state" / name).unlink(missing_ok=True)
    (site.base / "secrets/records").unlink()
    site.drd("catalogue", "rebuild", "shop")
    site.drd("records", "init")
    assert faults(site) == [(4, "replaced")]
    [made] = site.drd(*GO_ON, "--json").json["records"]
    assert (made["body"]["seq"], made["body"]["common"]) == (4, 0)
    site.drd("records", "anchor")
    told = site.drd("records", "verify").out
    assert "the chain before it, up to entry 4, is lost" in told


def test_a_lost_catalogue_gets_its_records_back_from_the_copy_in_the_repository(site: Site) -> None:
    """Those after the copy are lost, and the record of it says which."""
    anchored(site)
    listed = site.drd("records", "list", "--json").json["records"]
    for name in ("drd.db", "drd.db-wal", "drd.db-shm"):
        (site.base / "state" / name).unlink(missing_ok=True)
    told = site.drd("catalogue", "rebuild", "shop")
    assert "records: 2 entries restored from the repositories, up to entry 2" in told.out
    assert "has an anchor of entry 4" in told.err
    [said, *rest] = site.drd("records", "list", "--json").json["records"]
    assert rest == listed[2:]
    assert (said["entry"], said["body"]["after"], said["body"]["seq"]) == (5, 2, 4)
    site.drd("records", "anchor")
    assert site.drd("records", "verify", "--json").json["whole"]


def test_a_lost_catalogue_gets_its_incidents_back_from_the_repository(site: Site) -> None:
    worked(site)
    site.drd("incident", "open", "orders leaked", "--plan", "shop", "--restricted")
    told = site.drd("records", "anchor").out
    assert "without the service: drd records anchor --incidents" in told
    assert "incident" not in site.drd("records", "anchor", "--incidents").out
    before = site.drd("incident", "show", "--json").json
    listed = site.drd("records", "list", "--json").json["records"]
    for name in ("drd.db", "drd.db-wal", "drd.db-shm"):
        (site.base / "state" / name).unlink(missing_ok=True)
    told = site.drd("catalogue", "rebuild", "shop")
    assert "records: 5 entries restored from the repositories, up to entry 5" in told.out
    assert "the repositories do not contain a copy of the records" not in told.err
    assert site.drd("incident", "show", "--json").json == before
    [said, *rest] = site.drd("records", "list", "--json").json["records"]
    assert rest == listed
    assert (said["kind"], said["body"]["reason"]) == ("continued", "the catalogue was rebuilt")
    assert site.drd("records", "verify", "--json").json["whole"]


def test_records_that_somebody_changed_are_not_a_copy(site: Site) -> None:
    anchored(site)
    attacked(site, "update records set subject = 'other' where seq = 3")
    told = site.drd(*GO_ON, code=2).err
    assert "somebody changed the records at entry 3" in told


def test_the_kit_has_the_public_half_and_vouches_for_the_chain(site: Site) -> None:
    worked(site)
    (site.base / "pass").write_text("seven green bottles on the wall")
    (site.base / "pass").chmod(0o600)
    opens, kit = ("--passphrase-file", f"{site.base}/pass"), f"{site.base}/shop.kit"
    site.drd("kit", "export", "shop", "--to", kit, *opens)
    against = ("records", "verify", "--here", "--kit", kit)
    assert (
        "--kit needs --passphrase-file or --identity, to open the kit"
        in site.drd(*against, code=2).err
    )
    assert f"by the kit {kit}" in site.drd(*against, *opens).out

    attacked(site, "delete from records where seq > 2", "delete from record_bodies where seq > 2")
    assert "the chain ends with entry 2" in site.drd(*against, *opens, code=1).out
    site.drd("kit", "verify", kit, *opens)

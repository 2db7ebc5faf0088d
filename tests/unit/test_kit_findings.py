"""When a recovery kit is in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drd.model.kit_findings import IDENTITY, KitRecord, KitTry, kit_findings

NOW = datetime(2026, 11, 25, 0, 31, tzinfo=UTC)
GOOD = KitRecord(NOW, "d1", "aa", NOW)


def names(record: KitRecord | None, digest: str = "d1", *, required: bool = False) -> list[str]:
    return [f.name for f in kit_findings("shop", digest, record, required=required)]


def test_a_kit_of_the_plan_as_it_is_that_opened_everything_is_in_order() -> None:
    assert names(GOOD, required=True) == []


@pytest.mark.parametrize(
    ("record", "digest", "found"),
    [
        (None, "d1", ["kit missing"]),
        (GOOD, "d2", ["kit outdated"]),
        (replace(GOOD, verified_at=None), "d1", ["kit not verified"]),
        (replace(GOOD, problem="there is no repository"), "d1", ["kit does not open"]),
        (replace(GOOD, problem="gone"), "d2", ["kit outdated", "kit does not open"]),
    ],
)
def test_every_problem_of_a_kit_has_a_code_and_a_remedy(
    record: KitRecord | None, digest: str, found: list[str]
) -> None:
    assert names(record, digest) == found
    for finding in kit_findings("shop", digest, record, required=False):
        assert finding.severity == "warning"
        assert finding.remedy.startswith("drd kit ")
        assert finding.text
    assert {f.severity for f in kit_findings("shop", digest, record, required=True)} == {"error"}


def test_a_kit_with_another_schedule_is_usable_and_told_of() -> None:
    def found(record: KitRecord, *proofs: str) -> list[tuple[str, str]]:
        findings = kit_findings("shop", "d2", record, required=True, proofs=proofs)
        assert all("contains an older text" in f.text for f in findings if not f.failed)
        return [(f.code, f.severity) for f in findings]

    assert found(replace(GOOD, proof="p1"), "p1", "d2") == [("kit-outdated", "warning")]
    assert found(replace(GOOD, proof="p1"), "p2", "d2") == [("kit-outdated", "error")]
    assert found(GOOD, "p1", "d2", "d1") == [("kit-outdated", "warning")]  # of an older drd
    assert found(GOOD, "p1", "d2") == [("kit-outdated", "error")]
    assert found(replace(GOOD, plan_digest="d2", proof="p1"), "p1", "d2") == []


@pytest.mark.parametrize(
    ("tried", "found"),
    [
        (KitTry("/k", NOW, sha256="aa"), []),
        (KitTry("/k", NOW, "cannot read the kit /k", there=False), ["kit missing"]),
        (KitTry("/k", NOW, "is damaged", sha256="bb"), ["kit does not open"]),
        # By its own hash that one is known already; and the plan names another copy by now.
        (KitTry("/k", NOW, "there is no repository", sha256="aa"), []),
        (KitTry("/old", NOW, "cannot read the kit /old", there=False), []),
    ],
)
def test_the_copy_that_is_tried_has_findings_of_its_own(tried: KitTry, found: list[str]) -> None:
    record = replace(GOOD, tried=tried)
    findings = kit_findings("shop", "d1", record, required=False, file="/k")
    assert [f.name for f in findings] == found
    assert all("/k" in f.text for f in findings)


def test_a_copy_that_is_gone_is_missing_before_drd_tries_it() -> None:
    [gone] = kit_findings("shop", "d1", GOOD, required=True, file="/k", opener=IDENTITY, gone=True)
    assert (gone.name, gone.severity) == ("kit missing", "error")
    assert gone.text.endswith("/k does not exist")
    assert gone.remedy == "drd kit export shop --to /k, then drd kit verify /k --identity F"


@pytest.mark.parametrize(
    ("tried", "why"),
    [
        (KitTry("/k", NOW, sha256="aa"), "/k does not exist"),
        (KitTry("/old", NOW, "cannot read the kit /old", there=False), "/k does not exist"),
        (KitTry("/k", NOW, "no right to read /k", there=False), "no right to read /k"),
    ],
)
def test_a_removed_kit_is_reported_missing_whatever_its_last_try_said(
    tried: KitTry, why: str
) -> None:
    record = replace(GOOD, tried=tried)
    [gone] = kit_findings("shop", "d1", record, required=False, file="/k", gone=True)
    assert gone.name == "kit missing"
    assert gone.text.endswith(why)


def test_a_kit_that_opens_nothing_is_made_anew_unless_the_repositories_were_away() -> None:
    record = replace(GOOD, problem="primary: no answer")
    [found] = kit_findings("shop", "d1", record, required=False)
    assert found.remedy == (
        "drd kit export shop --to FILE --passphrase-file F (FILE: where to write the kit; keep "
        "it away from this host; F: a file with the kit's passphrase)"
    )
    assert found.text == (
        "the kit of 2026-11-25 00:31 UTC did not open every repository at the last test "
        "(2026-11-25 00:31 UTC): primary: no answer"
    )
    [found] = kit_findings("shop", "d1", replace(record, away=True), required=False)
    assert found.remedy == "drd kit verify FILE --passphrase-file F"


def test_a_tried_copy_that_opens_nothing_is_made_anew_unless_the_repositories_were_away() -> None:
    tried = KitTry("/k", NOW, "is damaged", sha256="bb")
    for away, remedy in (
        (True, "drd kit verify /k --identity F"),
        (False, "drd kit export shop --to /k, then drd kit verify /k --identity F"),
    ):
        record = replace(GOOD, tried=replace(tried, away=away))
        [found] = kit_findings("shop", "d1", record, required=False, file="/k", opener=IDENTITY)
        assert found.remedy == remedy
    assert found.text == (
        "the kit /k did not work at the last test (2026-11-25 00:31 UTC): is damaged"
    )


def test_a_copy_that_nobody_named_or_that_is_there_is_not_missing() -> None:
    assert kit_findings("shop", "d1", GOOD, required=True, gone=True) == ()
    assert kit_findings("shop", "d1", GOOD, required=True, file="/k") == ()
    opened = replace(GOOD, tried=KitTry("/k", NOW, sha256="bb"))  # another kit, and it works
    assert kit_findings("shop", "d1", opened, required=True, file="/k") == ()
    [never] = kit_findings("shop", "d1", None, required=True, file="/k", gone=True)
    assert never.text.startswith("nobody has exported a recovery kit")
    assert never.remedy == (
        "drd kit export shop --to /k --passphrase-file F (F: a file with the kit's passphrase)"
    )


def test_a_kit_from_before_the_key_was_replaced_is_outdated() -> None:
    def found(replaced: datetime | None) -> list[tuple[str, str]]:
        findings = kit_findings("shop", "d1", GOOD, required=True, key_replaced=replaced)
        return [(f.code, f.severity) for f in findings]

    assert found(None) == found(NOW) == found(NOW - timedelta(days=1)) == []
    assert found(NOW + timedelta(seconds=1)) == [("kit-outdated", "error")]

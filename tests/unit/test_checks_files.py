"""What the check `files` says of two trees, entry by entry."""

from __future__ import annotations

import grp
import pwd
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.checks.files import SPEC, FilesCheck, TreeComparison, compare
from drd.checks.fingerprints import at_backup
from drd.checks.words import not_run, nothing_counted, number, shorten, some
from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.model.entry_difference import entry_differences
from drd.model.plan import CheckSpec, Component
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    FileEntry,
    Fingerprint,
    TreeFingerprint,
)
from drd.model.text import escaped
from drd.ports import Inspector
from drd.registry import KINDS
from drd.testing.checks import AT, context

PASSED, FAILED, NOT_RUN = CheckVerdict.PASSED, CheckVerdict.FAILED, CheckVerdict.NOT_RUN
TOP = FileEntry("directory", 0o755, 0, 0, 4096)
FILE = FileEntry("file", 0o644, 1, 2, 100, "d1", None, "all:root")
SETTINGS = FilesCheck(kind="files", name="n", component="it")


def tree(*unread: str, **entries: FileEntry) -> TreeFingerprint:
    paths = {f"/t/{name}": entry for name, entry in entries.items()}
    return TreeFingerprint({"/t": TOP, **paths}, dict.fromkeys(unread, "no right"))


def check(
    before: Fingerprint | None,
    now: Fingerprint | Exception,
    *,
    is_root: bool = True,
    may_be_empty: bool = False,
    exposed: bool = False,
    owners: dict[str, dict[str, str]] | None = None,
) -> list[CheckResult]:
    def fingerprint(like: object, budget_s: float) -> Fingerprint:
        assert like is before
        assert budget_s == 3600.0
        if isinstance(now, Exception):
            raise now
        return now

    inspector = cast(Inspector, SimpleNamespace(fingerprint=fingerprint))
    snapshot = ComponentSnapshot("it", "files", "captured", AT, "s", fingerprint=before)
    snapshot = replace(snapshot, facts={"owners": owners} if owners else {})
    around = replace(context({"it": inspector}, snapshot, is_root=is_root), exposed=exposed)
    if may_be_empty:
        component = Component("it", "files", None, may_be_empty=True)
        around = replace(around, plan=replace(around.plan, components={"it": component}))
    return TreeComparison().run(CheckSpec("n", "files", "it", SETTINGS), around)


# --- one entry ---


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"kind": "fifo", "mode": 0}, ["is a fifo, but was a file"]),
        ({"size": 1100, "digest": "d2"}, ["1,100 bytes (was 100)"]),
        ({"digest": "d2"}, ["contents"]),
        ({"digest": None}, []),
        ({"link": "/t/other"}, ["hard link"]),
        ({"mode": 0o600}, ["mode 0600 (was 0644)"]),
        ({"mode": 0o4644}, ["mode 4644 (was 0644)"]),
        ({"uid": 9}, ["owner 9:2 (was 1:2)"]),
        ({"gid": 9}, ["owner 1:9 (was 1:2)"]),
        ({"xattrs": "other:root"}, ["extended attributes"]),
        ({"xattrs": "all:other"}, ["extended attributes"]),
        ({"xattrs": None}, ["extended attributes"]),
    ],
)
def test_each_difference_of_a_file_is_named(change: dict[str, Any], words: list[str]) -> None:
    assert entry_differences(FILE, replace(FILE, **change), owners=True) == words
    assert entry_differences(replace(FILE, digest=None), FILE, owners=True) == []


@pytest.mark.parametrize(
    "change", [{"mode": 0o6644}, {"uid": 9, "gid": 9}, {"xattrs": "all:other"}]
)
def test_attributes_that_only_root_can_set_are_not_compared_without_its_rights(
    change: dict[str, Any],
) -> None:
    assert entry_differences(FILE, replace(FILE, **change), owners=False) == []
    assert entry_differences(FILE, replace(FILE, xattrs="x:root"), owners=False)
    assert entry_differences(FILE, replace(FILE, mode=0o1644), owners=False)


@pytest.mark.parametrize("owners", [True, False])
def test_each_right_of_a_mode_counts(*, owners: bool) -> None:
    for bit in range(9):
        other = replace(FILE, mode=FILE.mode ^ (1 << bit))
        assert entry_differences(FILE, other, owners=owners) == [
            f"mode {other.mode:04o} (was {FILE.mode:04o})"
        ]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("symlink", "link target"), ("device", "device number"), ("file", "hard link")],
)
def test_a_link_is_named_after_its_kind(kind: str, words: str) -> None:
    was = replace(FILE, kind=kind, link="a")
    assert entry_differences(was, replace(was, link="b"), owners=True) == [words]


def test_modes_of_links_and_sizes_of_directories_say_nothing() -> None:
    link = replace(FILE, kind="symlink")
    assert entry_differences(link, replace(link, mode=0o777, size=7), owners=True) == []
    assert entry_differences(TOP, replace(TOP, size=8192), owners=True) == []


# --- two trees ---


def test_the_same_tree_passes_with_its_figures() -> None:
    [own] = check(tree(a=FILE), tree(a=FILE))
    assert (own.verdict, own.observed) == (PASSED, "1 file and 1 directory, 4.1 KiB, 0 differ")
    assert (own.expected, own.component, own.looked_at_data) == ("as at backup", "it", True)


def test_one_difference_is_reported_and_more_are_counted() -> None:
    [own] = check(tree(a=FILE), tree(a=replace(FILE, digest="d2")))
    assert (own.verdict, own.observed) == (FAILED, "/t/a: contents")
    [own] = check(tree(a=FILE, b=FILE), tree(a=replace(FILE, digest="d2")))
    assert own.observed == "2 entries differ: /t/a: contents; /t/b: missing"
    [own] = check(tree(a=FILE), tree(a=FILE, c=FILE))
    assert own.observed == "/t/c: did not exist at backup"
    [own] = check(tree(a=FILE), tree(a=FILE, c=FILE), exposed=True)
    assert own.verdict == FAILED
    assert own.observed == ("/t/c: did not exist at backup: does the application write already?")
    other = replace(FILE, digest="d2")
    [own] = check(tree(a=FILE), tree(a=other, c=FILE), exposed=True)
    assert own.observed.endswith("/t/a: contents; /t/c: did not exist at backup")


def test_entries_changed_during_the_capture_are_a_separate_part_that_is_not_run() -> None:
    moving = replace(FILE, size=1, volatile=True)
    own, part = check(tree(a=FILE, b=moving), tree(a=FILE))
    assert (own.verdict, part.verdict, part.part) == (PASSED, NOT_RUN, True)
    assert (part.name, part.observed) == (
        "n: changed during the capture",
        "1 entry not compared: /t/b",
    )
    assert own.observed.startswith("1 file and 1 directory")


def test_new_names_in_a_directory_that_changed_prove_nothing() -> None:
    before = tree(d=replace(TOP, volatile=True), a=FILE)
    now = TreeFingerprint({**tree(d=TOP, a=FILE).entries, "/t/d/new": FILE, "/t/d/x/new": FILE})
    own, part = check(before, now)
    assert own.verdict is PASSED
    assert part.observed == "3 entries not compared: /t/d; /t/d/new; /t/d/x/new"
    unread = replace(tree(d=TOP, a=FILE), not_reached={"/t/d": "no right"})
    own, changed, not_read = check(unread, now)
    assert (own.verdict, changed.observed) == (
        PASSED,
        "2 entries not compared: /t/d/new; /t/d/x/new",
    )
    assert (not_read.name, not_read.observed) == (
        "n: could not be read",
        "1 entry not compared: /t/d",
    )


def test_a_name_outside_all_that_the_backup_had_did_not_exist_at_backup() -> None:
    named = TreeFingerprint({"/etc/shop": FILE})
    [own] = check(named, TreeFingerprint({**named.entries, "/srv/shop": FILE}))
    assert (own.verdict, own.observed) == (FAILED, "/srv/shop: did not exist at backup")


def test_files_alone_are_counted_without_directories() -> None:
    named = TreeFingerprint({"/etc/shop": FILE})
    [own] = check(named, named)
    assert own.observed == "1 file, 100 B, 0 differ"


def test_owners_are_compared_by_the_numbers_that_they_have_here() -> None:
    accounts = {"users": {"4711": "daemon"}, "groups": {"4712": "bin"}}
    made = replace(FILE, uid=4711, gid=4712)
    here = replace(FILE, uid=pwd.getpwnam("daemon").pw_uid, gid=grp.getgrnam("bin").gr_gid)
    [own] = check(tree(a=made), tree(a=here), owners=accounts)
    assert own.verdict is PASSED
    [own] = check(tree(a=made), tree(a=made), owners=accounts)
    assert own.verdict is FAILED


def test_an_entry_that_could_not_be_read_is_not_missing() -> None:
    found = compare(tree("/t/a", a=FILE, b=FILE), tree(b=FILE), owners=True)
    assert (found.unread, found.differing) == (["/t/a"], [])
    found = compare(tree(a=FILE, b=FILE), tree("/t/a", b=FILE), owners=True)
    assert (found.unread, found.differing) == (["/t/a"], [])
    found = compare(tree(a=FILE, b=FILE), tree("/t", b=FILE), owners=True)
    assert (found.unread, found.differing) == (["/t", "/t/a"], [])
    found = compare(tree(a=FILE, b=FILE), tree("/elsewhere", b=FILE), owners=True)
    assert found.differing == ["/t/a: missing"]


def test_a_tree_that_nothing_can_be_compared_of_is_not_run() -> None:
    gone = TreeFingerprint({"/t/a": replace(FILE, volatile=True)})
    own, _ = check(gone, TreeFingerprint())
    assert (own.verdict, own.observed) == (NOT_RUN, "no entry could be compared")
    moving = replace(FILE, volatile=True)
    own, _ = check(tree(a=moving, b=moving), tree())
    assert (own.verdict, own.observed) == (NOT_RUN, "none of 2 files could be compared")


LINK = replace(FILE, kind="symlink", size=0, digest=None, link="../disk/shop")


def test_a_link_instead_of_what_it_leads_to_proves_nothing_unless_that_is_meant() -> None:
    alone = TreeFingerprint({"/srv/shop": LINK})
    [own] = check(alone, alone)
    assert own.verdict is NOT_RUN
    assert own.observed.startswith("the backup contains only the link /srv/shop")
    [own] = check(alone, alone, may_be_empty=True)
    assert own.verdict is PASSED


def test_a_named_path_that_is_a_link_beside_files_is_a_part_of_its_own() -> None:
    mixed = TreeFingerprint({"/srv/shop": LINK, "/etc/shop": FILE})
    own, part = check(mixed, mixed)
    assert (own.verdict, part.verdict, part.part) == (PASSED, NOT_RUN, True)
    assert part.observed == (
        "/srv/shop is a symlink, and the target of the link is not in the backup"
    )
    whole = TreeFingerprint({**mixed.entries, "/disk/shop": TOP, "/disk/shop/a": FILE})
    assert [r.verdict for r in check(whole, whole)] == [PASSED]
    inner = tree(a=FILE, b=replace(LINK, link="/elsewhere"))
    assert [r.verdict for r in check(inner, inner)] == [PASSED]
    [own] = check(mixed, mixed, may_be_empty=True)
    assert own.verdict is PASSED
    loop = TreeFingerprint({"/a": replace(LINK, link="b"), "/b": replace(LINK, link="a")})
    assert [r.verdict for r in check(loop, loop)] == [NOT_RUN]


def test_an_empty_tree_proves_nothing_unless_it_may_be_empty() -> None:
    [own] = check(tree(), tree())
    assert own.verdict is NOT_RUN
    assert "may_be_empty" in own.observed
    [own] = check(tree(), tree(), may_be_empty=True)
    assert own.verdict is PASSED


@pytest.mark.parametrize(("size", "verdict"), [(11, PASSED), (12, NOT_RUN)])
def test_a_tree_of_which_much_changed_is_not_run(size: int, verdict: CheckVerdict) -> None:
    moving = replace(FILE, size=size, volatile=True)
    own, _ = check(tree(a=FILE, b=moving), tree(a=FILE))
    assert own.verdict is verdict


def test_the_restored_size_counts_where_an_entry_grew_during_the_capture() -> None:
    moving = replace(FILE, size=0, volatile=True)
    own, _ = check(tree(a=FILE, b=moving), tree(a=FILE, b=replace(FILE, size=900)))
    assert own.verdict is NOT_RUN
    assert "900 B of 1000 B" in own.observed
    own, _ = check(tree(a=FILE, b=replace(moving, size=900)), tree(a=FILE, b=FILE))
    assert "900 B of 1000 B" in own.observed


def test_a_device_node_is_missing_for_root_and_not_compared_for_others() -> None:
    node = FileEntry("device", 0o666, 0, 0, 0)
    before, now = tree(null=node, a=FILE), tree(a=FILE)
    (wrong,) = check(before, now)
    assert (wrong.verdict, wrong.observed) == (FAILED, "/t/null: missing")
    whole, part, owners = check(before, now, is_root=False)
    assert (whole.verdict, part.verdict) == (PASSED, NOT_RUN)
    assert part.name == "n: device nodes, which only root can make"
    assert part.observed == "1 entry not compared: /t/null"
    assert owners.name == "n: ownership"


def test_without_owners_their_comparison_is_a_part_of_its_own() -> None:
    other = tree(a=replace(FILE, uid=9))
    own, part = check(tree(a=FILE), other, is_root=False)
    assert (own.verdict, part.name, part.verdict) == (PASSED, "n: ownership", NOT_RUN)
    [own] = check(tree(a=FILE), other)
    assert own.verdict is FAILED
    unrecorded = tree(a=replace(FILE, uid=-1))
    own, part = check(tree(a=FILE), unrecorded)
    assert (own.verdict, part.name) == (PASSED, "n: ownership")
    [own] = check(tree(a=replace(FILE, uid=0)), tree(a=replace(FILE, uid=0)))
    assert own.verdict is PASSED


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (SourceError("it is not a directory"), FAILED),
        (SourceUnreachable("no answer"), NOT_RUN),
        (DrdError("no right"), NOT_RUN),
    ],
)
def test_an_error_while_comparing_files_is_in_the_verdict(
    error: Exception, verdict: CheckVerdict
) -> None:
    [own] = check(tree(a=FILE), error)
    assert own.verdict is verdict
    assert str(error) in own.observed


def test_without_a_fingerprint_nothing_is_compared() -> None:
    [own] = check(None, tree())
    assert (own.verdict, own.looked_at_data, own.part) == (NOT_RUN, True, False)


def test_a_fingerprint_counts_only_for_its_component_and_if_it_is_of_the_kind_asked_for() -> None:
    around = context({}, ComponentSnapshot("it", "files", "captured", AT, "s", fingerprint=tree()))
    assert at_backup(around, "it", TreeFingerprint) == tree()
    assert at_backup(around, "it", DatabaseFingerprint) is None
    assert at_backup(around, "other", TreeFingerprint) is None


def test_the_files_check_fits_only_kinds_that_are_compared_by_it() -> None:
    assert SPEC.fits(KINDS["files"])
    assert not SPEC.fits(KINDS["sqlite"])


# --- words of checks ---


def test_names_are_safe_for_terminals() -> None:
    assert escaped("plain é") == "plain é"
    assert escaped("a\nb\x1b") == r"a\nb\x1b"
    assert escaped("not\udcff") == r"not\xff"


def test_texts_are_one_short_line() -> None:
    assert shorten(" a \n b ") == "a b"
    assert shorten("x" * 80) == "x" * 80
    assert shorten("x" * 81) == "x" * 79 + "…"
    assert shorten("abcd", 3) == "ab…"
    assert number(312044) == "312,044"
    assert number(Decimal("-1234.50")) == "-1,234.50"
    assert number(Decimal("1E+4")) == "10,000"
    assert some(["a", "b", "c", "d", "e", "f"]) == "a; b; c; d; e; and 1 more"


def test_why_a_check_did_not_run_has_at_most_200_characters() -> None:
    spec = CheckSpec("n", "files", "it", SETTINGS)
    assert not_run(spec, "x" * 200, "y").observed == "x" * 200
    assert not_run(spec, "x" * 201, "y").observed == "x" * 199 + "…"


@pytest.mark.parametrize(
    ("point", "tool"),
    [("restic-1a2b3c4d", "restic"), ("command-7", "another tool"), ("1a2b3c4d", "")],
)
def test_of_a_point_of_another_tool_it_is_said_that_the_tool_counted_nothing(
    point: str, tool: str
) -> None:
    made = f"{tool} made the copy, and did not record counts of the source, so this check cannot"
    assert nothing_counted(point, "otherwise") == (f"{made} compare" if tool else "otherwise")

"""Small values of the model: how each is written, read again, and said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from drd.model import stored
from drd.model.aside import Aside
from drd.model.check_words import check_name, failed_words
from drd.model.coverage import Coverage
from drd.model.entry_difference import entry_differences
from drd.model.first_checks import has_data, has_files
from drd.model.kit import KitPlan, needs_of, summary
from drd.model.malformed import Malformed
from drd.model.package_versions import other_packages
from drd.model.progression import Wanted
from drd.model.schemes import SCHEMES
from drd.model.sharing import Sharing
from drd.model.single_item import Part
from drd.model.snapshot import DatabaseFingerprint, FileEntry, TableState, TreeFingerprint
from drd.model.status_line import Brief, briefs_from
from drd.model.status_notes import Told
from drd.model.stored import Stored, count, flag, seconds, text, texts
from drd.model.unfinished import Unfinished

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_the_coverage_of_a_drill() -> None:
    made = Coverage(7, 9, (("dns", "true"),), ("go",))
    assert made.words() == "7 of 9 steps rehearsed"
    assert Coverage(1, 1).words() == "1 of 1 step rehearsed"
    assert Coverage.from_json(made.to_json()) == made


def test_a_kept_copy_and_a_part_are_read_as_they_were_written() -> None:
    aside = Aside("db", "/srv/db", "/srv/db.before", 7, former=False)
    assert Aside.of_json(aside.to_json()) == aside
    part = Part(("a.b",), ("/etc",), "new")
    assert Part.from_json(part.to_json()) == part


def test_an_unfinished_recovery_is_read_as_it_was_written() -> None:
    made = Unfinished("1f", "shop", ("db",), (), ("conf",), (), (), over=True, undoable=False)
    written = {k: list(v) if isinstance(v, tuple) else v for k, v in made._asdict().items()}
    assert Unfinished.of_json(written) == made


@pytest.mark.parametrize(
    ("written", "read"),
    [("2/3", (2, 3)), (" 2 / 2 ", (2, 2)), ("10/12", (10, 12)), ("1/3", None), ("3/2", None),
     ("2/100", None), ("2", None), ("2/3/4", None)],
)  # fmt: skip
def test_a_number_of_shares_is_read_or_refused(written: str, read: tuple[int, int] | None) -> None:
    if read is not None:
        assert Sharing.parse(written) == Sharing(*read)
        return
    with pytest.raises(Malformed, match="is not a valid number of shares"):
        Sharing.parse(written)


# --- kits -------------------------------------------------------------------------------------


def test_a_kit_knows_what_its_plans_need_and_are_proven_as() -> None:
    one = KitPlan("a", "d1", "a.yaml", (), needs=("ssh", "psql"), proof="p1")
    two = KitPlan("b", "d2", "b.yaml", (), needs=("rclone", "ssh"))
    assert (one.proven_as, two.proven_as) == ("p1", "d2")
    assert needs_of([one, two]) == ("ssh", "psql", "rclone")


def test_a_fingerprint_is_counted_for_a_kit() -> None:
    tables = {"a": TableState(2), "b": TableState(3)}
    assert summary(DatabaseFingerprint("counts", tables)) == {"tables": 2, "rows": 5}
    assert summary(TreeFingerprint({"/": FileEntry("directory", 0, 0, 0)})) == {"entries": 1}
    assert summary(None) == {}


# --- checks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "observed", "expected", "words"),
    [
        ("orders", "2,433", "< 10", 'check "orders": 2,433 (expected < 10)'),
        ("orders", "", "< 10", 'check "orders" (expected < 10)'),
        ("orders", "a  b\nmore", "", 'check "orders": a b'),
        ("step dns", "exit 1", "succeeds", "step dns: exit 1"),
        ("db", "no room", "restores without an error", 'check "db": no room'),
    ],
)
def test_a_failed_check_in_words(name: str, observed: str, expected: str, words: str) -> None:
    assert failed_words(name, observed, expected) == words
    assert words.startswith(check_name(name, expected))


def test_the_first_checks_of_a_new_plan() -> None:
    assert has_data("//srv/a b") == (
        'cd "$DRD_PATH" && head -c1 "./$(realpath --relative-base=. \'./srv/a b\')" | grep -q ""'
    )
    assert has_files(["/a", "/b c"], 3) == (
        'cd "$DRD_PATH" && test "$(find ./a \'./b c\' -type f | wc -l)" -ge 3'
    )


@pytest.mark.parametrize(
    ("then", "changed"),
    [
        ({}, []),
        ({"extension a": "1.2"}, []),
        ({"extension a": "2.0"}, [("a", "2.0", "1")]),
        ({"extension a": "11"}, [("a", "11", "1")]),
        ({"a": "2.0", "extension a": None}, []),
    ],
)
def test_packages_of_which_a_drill_had_another_version(
    then: dict[str, Any], changed: list[tuple[str, str, str]]
) -> None:
    assert [tuple(one)[:3] for one in other_packages(then, {"a": 1})] == changed


FILE = FileEntry("file", 0o644, 1, 2, 5, "d1", None, "u:r")
LINK = FileEntry("symlink", 0o777, 1, 2, link="/a")


@pytest.mark.parametrize(
    ("was", "now", "owners", "found"),
    [
        (FILE, {}, True, []),
        (FILE, {"kind": "directory"}, True, ["is a directory, but was a file"]),
        (FILE, {"size": 6, "digest": "d2"}, True, ["6 bytes (was 5)"]),
        (FILE, {"digest": "d2"}, True, ["contents"]),
        (FILE, {"digest": None}, True, []),
        (FILE, {"link": "/b"}, True, ["hard link"]),
        (FILE, {"mode": 0o600}, True, ["mode 0600 (was 0644)"]),
        (FILE, {"mode": 0o4644}, True, ["mode 4644 (was 0644)"]),
        (FILE, {"mode": 0o4644}, False, []),
        (FILE, {"mode": 0o2600}, False, ["mode 2600 (was 0644)"]),
        (FILE, {"mode": 0o1644}, False, ["mode 1644 (was 0644)"]),
        (FILE, {"uid": 0}, True, ["owner 0:2 (was 1:2)"]),
        (FILE, {"gid": 0}, True, ["owner 1:0 (was 1:2)"]),
        (FILE, {"uid": 0}, False, []),
        (FILE, {"xattrs": "u:x"}, True, ["extended attributes"]),
        (FILE, {"xattrs": "u:x"}, False, []),
        (FILE, {"xattrs": "x:r"}, False, ["extended attributes"]),
        (FILE, {"xattrs": None}, False, ["extended attributes"]),
        (LINK, {"mode": 0o700}, True, []),
        (LINK, {"link": "/b"}, True, ["link target"]),
        (LINK, {"size": 9}, True, []),
        (FileEntry("device", 0o600, 0, 0, link="1:3"), {"link": "1:5"}, True, ["device number"]),
    ],
)
def test_each_difference_between_two_entries_of_a_tree_is_named(
    was: FileEntry, now: dict[str, Any], *, owners: bool, found: list[str]
) -> None:
    other = FileEntry(**{**{n: getattr(was, n) for n in FileEntry.__slots__}, **now})
    assert entry_differences(was, other, owners=owners) == found


# --- runs -------------------------------------------------------------------------------------


def test_short_forms_are_told_apart_by_their_length() -> None:
    brief, told = list(range(len(Brief._fields))), list(range(len(Told._fields)))
    assert list(map(type, briefs_from([brief, told]))) == [Brief, Told]
    with pytest.raises(TypeError):
        briefs_from([[1]])


def test_a_waiting_step_names_the_command_that_answers_it() -> None:
    assert str(Wanted("approve it", "drd approve 1f go")) == "approve it  drd approve 1f go"


# --- what is stored as JSON -------------------------------------------------------------------


def made() -> type[Stored]:
    """A class with a field of each form."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Every(Stored):
        words: str | None = text()
        sparse: str | None = text(sparse=True)
        is_on: bool = flag()
        is_rare: bool = flag(sparse=True)
        number: int | None = count()
        took_s: float | None = seconds()
        at: datetime | None = stored.time()  # noqa: RUF009
        names: tuple[str, ...] = texts()
        more: dict[str, Any] = stored.mapping()  # noqa: RUF009

    return Every


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({}, {}),
        ({"words": "a", "sparse": "b"}, {"words": "a", "sparse": "b"}),
        ({"words": None, "sparse": None}, {"words": None}),
        ({"is_on": False, "is_rare": False}, {"is_on": False}),
        ({"is_on": True, "is_rare": True}, {"is_on": True, "is_rare": True}),
        ({"number": 0, "took_s": 1.5}, {"number": 0, "took_s": 1.5}),
        ({"at": NOON, "names": ("a", "b")}, {"at": "2026-11-28T12:00:00Z", "names": ["a", "b"]}),
        ({"more": {"a": 1}}, {"more": {"a": 1}}),
    ],
)
def test_a_value_writes_what_it_was_made_with(
    given: dict[str, Any], written: dict[str, Any]
) -> None:
    every = made()
    assert every(**given).to_json() == written
    assert every.from_json(written) == every(**given)
    assert every.from_json({**written, "later": 1}).to_json() == {**written, "later": 1}


@pytest.mark.parametrize(
    ("key", "value"),
    [("words", 5), ("is_on", 1), ("number", True), ("number", 1.5), ("took_s", True),
     ("took_s", "1"), ("at", "soon"), ("names", "a"), ("names", [1]), ("more", [])],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(key: str, value: object) -> None:
    every: Any = made()
    with pytest.raises(Malformed, match=f"^{key} cannot be "):
        every.from_json({key: value})
    every.lenient = True
    lenient = every.from_json({key: value, "took_s": 1} if key != "took_s" else {key: value})
    assert lenient == every(**({"took_s": 1.0} if key != "took_s" else {}))


# --- schemes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "required", "open_", "files", "places"),
    [
        ("sftp", {"key", "known_hosts"}, set(), {"key", "known_hosts"}, set()),
        ("rest", set(), {"user", "ca_cert"}, set(), set()),
        ("b2", {"account_id", "account_key"}, set(), set(), set()),
        ("azure", {"account_name"}, {"account_name", "endpoint_suffix"}, set(),
         {"account_name", "endpoint_suffix"}),
        ("gs", set(), {"project_id"}, {"credentials"}, set()),
        ("rclone", {"config"}, set(), set(), set()),
    ],
)  # fmt: skip
def test_each_scheme_has_its_required_open_and_file_settings(
    scheme: str, required: set[str], open_: set[str], files: set[str], places: set[str]
) -> None:
    settings = SCHEMES[scheme].settings
    assert {n for n, s in settings.items() if s.required} == required
    assert {n for n, s in settings.items() if not s.secret} == open_
    assert {n for n, s in settings.items() if s.in_file} == files
    assert {n for n, s in settings.items() if s.place is not None} == places


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, {"account_name": "", "endpoint_suffix": "core.windows.net"}),
        (
            {
                "account_name": "shop",
                "account_key": "x",
                "endpoint_suffix": "core.chinacloudapi.cn",
            },
            {"account_name": "shop", "endpoint_suffix": "core.chinacloudapi.cn"},
        ),
        ({"account_name": "No!"}, {"account_name": "No!", "endpoint_suffix": "core.windows.net"}),
    ],
)
def test_settings_that_decide_where_data_goes(
    given: dict[str, object], place: dict[str, str]
) -> None:
    assert SCHEMES["azure"].place(given) == place
    assert SCHEMES["b2"].place(given) == {}

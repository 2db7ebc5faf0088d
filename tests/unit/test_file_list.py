"""The list of the files of an export, which its last entry seals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

import pytest

from drd.model.chain import Fault
from drd.model.file_list import KIND, LIST, digest_of, file_faults, list_of
from drd.model.records import Draft, Entry
from tests.records_support import ANNA, BEGUN, Chain

FILES = {"timeline.txt": b"a", "timestamps/ca.pem": b"b", "verify.sh": b"c"}
LISTED = "".join(f"{sha256(FILES[n]).hexdigest()}  {n}\n" for n in sorted(FILES)).encode()


def sealed() -> Chain:
    chain = Chain()
    chain.note(what="x")
    chain.add(
        Draft(KIND, "export:1", {"incident": 1, "list_sha256": digest_of(LISTED)}, BEGUN, ANNA)
    )
    return chain


def faults_of(entries: Sequence[Entry], found: Mapping[str, bytes]) -> list[Fault]:
    digests = {name: digest_of(data) for name, data in found.items() if name != LIST}
    return file_faults(entries, digests, found.get(LIST))


def test_what_was_sealed_is_right() -> None:
    assert faults_of(sealed().entries, {**FILES, LIST: LISTED}) == []
    assert LISTED.decode().splitlines()[1] == f"{digest_of(b'b')}  timestamps/ca.pem"


def test_the_list_is_in_the_order_of_names_and_as_sha256sum_reads_it() -> None:
    digests = {name: digest_of(data) for name, data in reversed(FILES.items())}
    assert list_of(digests).encode() == LISTED


def test_exports_of_before_have_no_list() -> None:
    chain = Chain()
    chain.note(what="x")
    assert faults_of(chain.entries, FILES) == []
    assert faults_of([], {}) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"verify.sh": b"exit 0"}, "verify.sh was changed"),
        ({"timeline.txt": None}, "timeline.txt is missing"),
        ({"note.txt": b""}, "note.txt does not belong to this export"),
        ({LIST: LISTED + LISTED}, "files.sha256 does not match its digest in this entry"),
        ({LIST: None}, "files.sha256 is missing, but this entry contains its digest"),
    ],
)
def test_every_change_is_found(changes: dict[str, bytes | None], text: str) -> None:
    found = {**FILES, LIST: LISTED, **changes}
    there = {name: data for name, data in found.items() if data is not None}
    [fault] = faults_of(sealed().entries, there)
    assert (fault.seq, fault.code, fault.text) == (2, "file", text)


def test_end_that_was_cut_off_is_found() -> None:
    [fault] = faults_of(sealed().entries[:1], {**FILES, LIST: LISTED})
    assert fault.text == "files.sha256 exists, but the last entry does not contain its digest"


def test_only_the_entry_of_an_export_seals_a_list() -> None:
    chain = Chain()
    chain.note(list_sha256=digest_of(LISTED))
    [fault] = faults_of(chain.entries, {**FILES, LIST: LISTED})
    assert (fault.seq, fault.text) == (
        1, "files.sha256 exists, but the last entry does not contain its digest",
    )  # fmt: skip
    [fault] = faults_of([], {LIST: LISTED})
    assert fault.seq == 0, "there is no entry at all"


def test_a_line_of_another_form_names_no_file() -> None:
    listed = LISTED + b"# a comment\n"
    chain = Chain()
    chain.add(
        Draft(KIND, "export:1", {"incident": 1, "list_sha256": digest_of(listed)}, BEGUN, ANNA)
    )
    assert faults_of(chain.entries, {**FILES, LIST: listed}) == []

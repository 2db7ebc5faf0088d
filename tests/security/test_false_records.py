"""Attack: exported records that somebody made or changed who does not have drd's key.

An own key could have the id of drd's key, which people compare; files beside the records could be
sealed by an entry without a signature; and the script of an export accepted a gap that an entry
without a signature explained, and gave a terminal what the records said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from drd.errors import UsageError
from drd.flows.records import export, timestamps
from drd.flows.records.export import check_export, check_files, read_export
from drd.model.file_list import KIND, LIST, digest_of, list_of
from drd.model.record_drafts import of_continuation, of_key
from drd.model.record_file import lines_of
from drd.model.records import Draft, Entry
from drd.signing import Signer
from tests.records_support import ANNA, BEGUN, Chain, codes, key, signed


def exported(directory: Path, entries: Sequence[Entry], files: dict[str, str]) -> Path:
    """What somebody gives to others: records, files beside them, and the script."""
    directory.mkdir()
    (directory / export.RECORDS).write_text("".join(f"{line}\n" for line in lines_of(entries)))
    for name, text in files.items():
        (directory / name).write_text(text)
    shutil.copy(Path(export.__file__).with_name(export.SCRIPT), directory)
    return directory


def script(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", directory / export.SCRIPT, *words], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin"}, timeout=60,
    )  # fmt: skip


def by(signer: Signer, entry: Entry, named: str) -> Entry:
    """The entry, signed by a key that has the name of another one."""
    return replace(signed(entry, signer), key=named)


def test_a_key_of_an_attacker_has_not_the_id_of_drds_key(tmp_path: Path) -> None:
    known, own, chain = key().public.id, key(), Chain()
    chain.add(of_key(known, own.public.text, "", BEGUN, ANNA))
    chain.note(result="passed")
    forged = [by(own, entry, known) for entry in chain.entries]
    assert codes(forged) == {(1, "key"), (2, "signature")}
    report = check_export(read_export(exported(tmp_path / "given", forged, {})))
    assert known not in {one.id for one in report.keys}
    assert script(tmp_path / "given", known).returncode == 1


@pytest.mark.parametrize("is_signed", [True, False])
def test_only_a_signed_entry_seals_the_files_of_an_export(is_signed: bool, tmp_path: Path) -> None:
    signer = key()
    chain, files = Chain(signer), {"timeline.txt": "nothing was stolen\n"}
    files[LIST] = list_of({
        "timeline.txt": digest_of(files["timeline.txt"].encode()),
        export.SCRIPT: digest_of(Path(export.__file__).with_name(export.SCRIPT).read_bytes()),
    })  # fmt: skip
    body = {"incident": 1, "list_sha256": digest_of(files[LIST].encode())}
    last = chain.add(Draft(KIND, "export:1", body, BEGUN, ANNA))
    entries = chain.entries if is_signed else [*chain.entries[:-1], signed(last, None)]
    given = exported(tmp_path / "given", entries, files)
    faults = check_files(given, read_export(given))
    done = script(given, signer.public.id)
    assert [fault.code for fault in faults] == ([] if is_signed else ["file"])
    assert ("nobody signed it" in done.stdout) is not is_signed
    assert done.returncode == (0 if is_signed else 1), done


def test_files_beside_records_are_not_held_in_memory(tmp_path: Path) -> None:
    """A file may be as large as the disk, or say that it is: a hole takes no room."""
    files = {LIST: list_of({"large": digest_of(b"")})}
    chain = Chain(key())
    body = {"incident": 1, "list_sha256": digest_of(files[LIST].encode())}
    chain.add(Draft(KIND, "export:1", body, BEGUN, ANNA))
    given = exported(tmp_path / "given", chain.entries, files)
    with (given / "large").open("wb") as large:
        large.truncate(1 << 30)
    words = [sys.executable, "-c", _CHECKED, str(given)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert "large was changed" in done.stdout, done.stderr


_CHECKED = """
import resource, sys
from pathlib import Path
from drd.flows.records.export import check_files, read_export
place = Path(sys.argv[1])
exported = read_export(place)
resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
print([fault.text for fault in check_files(place, exported)])
"""


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_time_stamps_beside_records_are_files(what: str, tmp_path: Path) -> None:
    """A link to /dev/zero has no end, and a pipe none to wait for."""
    given = exported(tmp_path / "given", Chain(key()).entries, {})
    (given / export.STAMPS).mkdir()
    stamp = given / export.STAMPS / "entry-1.tsr"
    if what == "link":
        stamp.symlink_to("/dev/zero")
        assert timestamps.in_export(given) == []
    else:
        os.mkfifo(stamp)
        with pytest.raises(UsageError, match="it is not a regular file"):
            timestamps.in_export(given)


def test_records_in_a_pipe_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / export.RECORDS)
    with pytest.raises(UsageError, match="it is not a regular file"):
        read_export(tmp_path)


@pytest.mark.parametrize("is_signed", [True, False])
def test_only_a_signed_entry_explains_a_gap(is_signed: bool, tmp_path: Path) -> None:
    chain = Chain(key())
    chain.note()
    lost = {"chain": "a" * 64, "seq": 5, "hash": "b" * 64, "state": "c" * 16}
    draft = of_continuation(lost, after=2, common=2, reason="copy", at=BEGUN, actor=ANNA)
    last = chain.add(draft, beyond=5)
    entries = chain.entries if is_signed else [*chain.entries[:-1], signed(last, None)]
    assert codes(entries) == (set() if is_signed else {(6, "missing")})
    done = script(exported(tmp_path / "given", entries, {}))
    assert done.returncode == (0 if is_signed else 1), done


def test_a_terminal_obeys_no_text_of_exported_records(tmp_path: Path) -> None:
    given = exported(tmp_path / "given", Chain(key()).entries, {LIST: "", "\x1b[2J\\033[2J": ""})
    text = (given / export.RECORDS).read_text().replace('"key":"', '"lost":true,"key":"\x1b[31m')
    (given / export.RECORDS).write_text(text)
    done = script(given)
    assert done.returncode == 1
    assert "only key ?[31m" in done.stdout
    assert "\x1b" not in done.stdout

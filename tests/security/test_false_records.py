"""Attack: exported records that somebody made or changed who does not have drd's key.

An own key could have the id of drd's key, which people compare; files beside the records could be
sealed by an entry without a signature; and the script of an export accepted a gap that an entry
without a signature explained, and gave a terminal what the records said.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from drd.flows.records import export
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

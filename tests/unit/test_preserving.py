"""Preserved evidence: its digests, its chain of custody, and what is volatile."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from drd.flows.upkeep.digests import as_list, digest_lines, other_lines
from drd.flows.upkeep.volatile import Volatile, volatile
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.fold import fold
from drd.model.incidents.preservation import Preserved, preserved
from drd.model.incidents.timeline import timeline
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
TAKEN = {
    "items": [{"item": "volatile", "what": "processes", "snapshot": "a" * 64, "file_count": 1}],
    "digests": "b" * 64,
    "sha256": "c" * 64,
    "missing": ["former logins: the program last is not there"],
}


class Response(Chain):
    """The entries of incident 1 about one set, one a minute."""

    def say(self, act: str, **body: Any) -> None:
        author = Author("anna", NOON + timedelta(minutes=len(self.entries)), ANNA)
        self.add(draft(kinds.PRESERVE, 1, author, {"act": act, "set": "4f2a", **body}))

    def begin(self) -> None:
        self.say("begin", plan="shop", repository="primary", reason="the logs")

    @property
    def only(self) -> Preserved:
        [found] = preserved(self.entries)
        return found


def test_custody_is_of_entries_about_evidence_and_names_the_person() -> None:
    made = Response()
    made.begin()
    taken = {"act": "taken", "set": "4f2a", **TAKEN, "missing": []}
    made.add(draft(kinds.PRESERVE, 1, Author("Bob", NOON, ANNA), taken))
    body = {"act": "released", "set": "4f2a", "reason": "x"}
    made.add(draft(kinds.LOG, 1, Author("anna", NOON, ANNA), body))
    assert made.only.state == "held"
    assert [one.by for one in made.only.custody] == ["anna", "Bob"]
    assert made.only.custody[-1].words.startswith("1 item; SHA-256 of the list of digests ccc")


def test_a_set_is_whole_only_after_all_of_it_was_taken() -> None:
    made = Response()
    made.begin()
    assert (made.only.is_whole, made.only.state) == (False, "not whole")
    made.say("taken", **TAKEN)
    assert (made.only.is_whole, made.only.state) == (True, "held")
    made.say("verified", wrong=["a is missing"])
    assert (made.only.state, made.only.altered) == ("not as it was taken", True)
    made.say("verified", wrong=[])
    assert (made.only.state, made.only.altered) == ("held", False)
    made.say("released", reason="the case is closed")
    assert made.only.state == "released"
    assert [(one.act, one.by) for one in made.only.custody] == [
        ("begin", "anna"),
        ("taken", "anna"),
        ("verified", "anna"),
        ("verified", "anna"),
        ("released", "anna"),
    ]
    words = made.only.custody[1].words
    assert words.startswith(
        "1 item, without 1 thing that drd could not read; SHA-256 of the list of digests"
    )
    assert [line.text for line in timeline(fold(1, made.entries), made.entries)] == [
        "preserved evidence 4f2a of shop begins: the logs",
        f"preserved evidence 4f2a taken: {words}",
        "preserved evidence 4f2a verified: NOT as it was taken: a is missing",
        "preserved evidence 4f2a verified: every file is as it was taken",
        "preserved evidence 4f2a released: the case is closed",
    ]


def test_an_act_of_a_set_that_nothing_began_has_no_effect() -> None:
    made = Response()
    made.say("taken", **TAKEN)
    made.say("nonsense")
    assert preserved(made.entries) == ()


def test_digests_are_those_of_sha256sum_for_every_name(tmp_path: Path) -> None:
    below = tmp_path / "set"
    (below / "deep").mkdir(parents=True)
    for name in ("plain", "two words", "new\nline", "back\\slash", "deep/one"):
        (below / name).write_text(name)
    (below / "link").symlink_to("plain")
    (below / "closed").mkdir(mode=0o500)
    lines = digest_lines(tmp_path, below)
    (tmp_path / "SHA256SUMS").write_bytes(b"".join(line + b"\n" for line in lines))
    check = ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"]
    subprocess.run(check, cwd=tmp_path, check=True)
    assert len(lines) == 5
    (below / "plain").write_text("changed")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_processes_and_connections_are_read_from_the_kernel() -> None:
    found: dict[str, Volatile] = {}
    for one in volatile():
        found[one.name] = one
        if one.name == "connections":
            break
    assert list(found) == ["processes", "connections"]  # what changes fastest comes first
    assert "pytest" in found["processes"].text
    assert found["connections"].text.startswith("PROTOCOL\t")


FIND = r"""find . -mindepth 1 \( -type f -o -type d ! -empty -path './*/*' \) -o
-printf '%y %p // %l\0' | LC_ALL=C sort -z | cmp - ../OTHERS"""
"""As docs/incidents.md has it."""


def test_find_checks_the_list_of_what_is_no_file(tmp_path: Path) -> None:
    base = tmp_path / "set"
    below = base / "item"
    (below / "deep/empty\nline").mkdir(parents=True)
    (below / "file").write_text("x")
    (below / "link").symlink_to("file // there")
    (below / "dead").symlink_to("/nowhere")
    (below / "to-directory").symlink_to("deep")
    os.mkfifo(below / "pipe")
    lines = other_lines(base, below)
    assert len(lines) == 6
    (tmp_path / "OTHERS").write_bytes(as_list(lines))
    command = " ".join(FIND.split())
    subprocess.run(command, shell=True, cwd=base, check=True)
    (below / "link").unlink()
    (below / "link").symlink_to("file // elsewhere")
    done = subprocess.run(command, shell=True, cwd=base, check=False, capture_output=True)
    assert done.returncode == 1
    page = (Path(__file__).parents[2] / "docs/incidents.md").read_text()
    assert command.replace("../OTHERS", "tree/OTHERS") in " ".join(page.split())

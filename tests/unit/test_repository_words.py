"""What restic says, read line by line; and resticpy asked from several threads at once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from drd.errors import (
    RepositoryDamaged,
    RepositoryError,
    RepositoryLocked,
    RepositoryReadOnly,
    RepositoryUnreachable,
    WrongKey,
)
from drd.ports import Progress
from drd.process import Completed
from drd.repositories.restic.errors import judge
from drd.repositories.restic.library import ask
from drd.repositories.restic.messages import Listener, complaints


def ended(code: int, *stderr: str) -> Completed:
    return Completed(code, "", "\n".join(stderr), 1.0)


def test_lines_that_are_not_messages_are_passed_over() -> None:
    seen: list[Progress] = []
    listener = Listener("db", "backup", expected_bytes=100, on_progress=seen.append)
    for line in (
        "Save(<data/1234>) returned error, retrying after 1s",
        "{broken",
        "[1, 2]",
        '{"message_type":"status","bytes_done":50,"total_bytes":60}',
        "\x1b[2Ksignal interrupt received, cleaning up",
        '{"message_type":"summary","snapshot_id":"abc"}',
    ):
        listener.on_line(line)
    assert seen == [Progress("db", "backup", 50, 100)]
    assert listener.summary["snapshot_id"] == "abc"


def test_complaints_name_files_skipped_paths_and_the_last_word() -> None:
    error = {
        "message_type": "error",
        "error": {"message": "open /a: permission denied"},
        "during": "archival",
        "item": "/a",
    }
    end = {"message_type": "exit_error", "code": 3, "message": "Warning: some were not read"}
    lines = ["/gone does not exist, skipping", json.dumps(error), json.dumps(end)]
    said = complaints("\n".join(lines))
    assert said.items == (("/a", "open /a: permission denied"),)
    assert said.skipped == ("/gone",)
    assert said.last == "warning: some were not read"


@pytest.mark.parametrize(
    ("code", "stderr", "error", "words"),
    [
        (12, "Fatal: wrong password or no key found", WrongKey, "does not open"),
        (1, "Fatal: wrong password or no key found", WrongKey, "does not open"),
        (11, "repository is already locked by PID 7 on h by root", RepositoryLocked, "PID 7 on h"),
        (-9, "", RepositoryError, "killed by SIGKILL"),
        (1, "Fatal: x: no space left on device", RepositoryError, "no space left"),
        (
            1,
            "Fatal: unable to create lock in backend: write x: no space left on device",
            RepositoryReadOnly,
            "no space left",
        ),
        (1, "Fatal: blob: ciphertext verification failed", RepositoryDamaged, "is damaged"),
        (1, "Fatal: unable to open: dial tcp: connection refused", RepositoryUnreachable, "reach"),
        (77, "", RepositoryError, "exit code 77: no output"),
        (
            2,
            "runtime: failed to create new OS thread (have 9 already; errno=11)\nrip 0x7f\ngs 0x0",
            RepositoryError,
            "could not start more threads",
        ),
    ],
)
def test_an_end_of_restic_has_an_error_of_its_own(
    code: int, stderr: str, error: type[RepositoryError], words: str
) -> None:
    with pytest.raises(error, match=words):
        judge(ended(code, stderr), "/place")


def test_questions_in_several_threads_get_their_own_answers() -> None:
    """resticpy alone reads from wrong repositories then: its settings are module globals."""
    together = threading.Barrier(8)

    def question(number: int) -> bool:
        def answer(words: object) -> str:
            together.wait(10)
            return json.dumps([{"id": number}])

        told = ask(answer, lambda library: library.snapshots(host=f"h{number}"))
        return bool(told == [{"id": number}])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(question, range(8)))


def test_an_answer_that_cannot_be_read_is_an_error_with_a_remedy() -> None:
    with pytest.raises(RepositoryError, match="cannot parse restic"):
        ask(lambda words: "not json", lambda library: library.snapshots())


def test_a_restic_that_panics_is_reported_by_its_panic_and_not_by_its_stack() -> None:
    said = complaints(
        "repository 1a2b opened\npanic: runtime error: index out of range\n\n"
        "goroutine 1 [running]:\nruntime.goexit()\n\truntime/asm_amd64.s:1700 +0x1\n"
    )
    assert said.last == "panic: runtime error: index out of range"

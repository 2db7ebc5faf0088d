"""The real restic with a local repository, for tests of what goes into it and comes out."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from drd.model.snapshot import ComponentSnapshot, Stored
from drd.ports import Capture, Payload, Stream, Tree, Workplace


class Restic:
    """One repository below `directory`. Not the adapter: tests of kinds need no more than this."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._env = {
            **os.environ,
            "RESTIC_REPOSITORY": str(directory / "repository"),
            "RESTIC_PASSWORD": "test",
            "RESTIC_CACHE_DIR": str(directory / "cache"),
        }
        self._run("init")

    def _run(self, *words: str | bytes, stdin: bytes | None = None, user: int | None = None) -> str:
        done = subprocess.run(
            ["restic", "--json", *words],
            env=self._env,
            input=stdin,
            capture_output=True,
            check=True,
            user=user,
        )
        return done.stdout.decode()

    def store(self, payload: Payload) -> Stored:
        if isinstance(payload, Stream):
            data = subprocess.run(payload.command.argv, capture_output=True, check=True).stdout
            said = self._run("backup", "--stdin", "--stdin-filename", payload.filename, stdin=data)
        else:
            said = self._store_tree(payload)
        summary = json.loads(said.strip().splitlines()[-1])
        return Stored(
            summary["snapshot_id"],
            summary["total_bytes_processed"],
            summary["data_added"],
            summary["total_files_processed"],
        )

    def _store_tree(self, tree: Tree) -> str:
        literal = [_escaped(p) for p in tree.exclude]
        words = [w for pattern in literal for w in (b"--exclude", pattern)]
        return self._run("backup", *words, "--", *(os.fsencode(p) for p in tree.paths))

    def restore(self, snapshot: str, into: Path, *, user: int | None = None) -> None:
        self._run("restore", snapshot, "--target", str(into), user=user)


def _escaped(path: str) -> bytes:
    for special in "\\*?[":
        path = path.replace(special, "\\" + special)
    return os.fsencode(path)


def captured(name: str, kind: str, capture: Capture, restic: Restic) -> ComponentSnapshot:
    """Store an open capture as a backup run does, and describe it."""
    fingerprint = capture.fingerprint()
    stored = restic.store(capture.payload)
    fingerprint = capture.verify(stored, fingerprint)
    return ComponentSnapshot(
        name,
        kind,
        "captured",
        capture.data_time,
        stored.snapshot,
        stored.bytes,
        facts=dict(capture.facts),
        fingerprint=fingerprint,
    )


def place(directory: Path, run: str = "run1") -> Workplace:
    """A workplace as the flows make it."""
    directory.mkdir(parents=True, exist_ok=True)
    return Workplace(directory, run)

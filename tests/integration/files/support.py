"""Files components with everything that a directory can hold."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

from drd.checks.files import FilesCheck, TreeComparison
from drd.kinds.files.kind import FilesKind
from drd.kinds.files.settings import FilesSettings, FilesTarget
from drd.kinds.files.source import FilesCapture, FilesSource
from drd.model.plan import CheckSpec, Component
from drd.model.run import CheckResult
from drd.model.snapshot import ComponentSnapshot, StoredSnapshot, TreeFingerprint
from drd.ports import (
    Destination,
    Inspector,
    NamedDestination,
    RestoreOptions,
    Workplace,
    no_progress,
)
from drd.testing.checks import context

KIND = FilesKind()
ODD_NAMES = [
    b"not\xffutf-8\xfe",
    b"new\nline",
    b"quo\"te'$HOME`",
    b"back\\slash",
    b" spaces ",
    b"*star?[x]",
    b"-dash",
    b"#hash",
    "тест".encode(),
]


def component(*paths: Path | str, may_be_empty: bool = False, **settings: Any) -> Component:
    known = {"kind": "files", "paths": [str(p) for p in paths], **settings}
    valid = FilesSettings.model_validate(known)
    return Component("conf", "files", valid, may_be_empty=may_be_empty)


def source(work: Workplace, *paths: Path | str, **settings: Any) -> FilesSource:
    return KIND.source(component(*paths, **settings), work)


def target(
    path: Path, work: Workplace, *, no_owner: bool = False, keep: bool = False
) -> NamedDestination:
    options = RestoreOptions(no_owner=no_owner, keep=keep)
    return KIND.target(component(path), FilesTarget(path=str(path)), work, options)


def make_zoo(root: Path) -> None:
    """A tree with one of everything."""
    (root / "empty").mkdir(parents=True)
    (root / "empty").chmod(0o1777)
    (root / "plain").write_text("plain\n")
    (root / "nothing").touch()
    (root / "nothing").chmod(0o000)
    (root / "set-id").write_text("#!/bin/sh\n")
    (root / "link").symlink_to("plain")
    (root / "dangling").symlink_to(b"no\xffwhere".decode("utf-8", "surrogateescape"))
    (root / "sub").mkdir()
    (root / "sub" / "closed").mkdir()
    (root / "sub" / "closed" / "inner").write_text("in")
    os.link(root / "plain", root / "sub" / "same")
    os.mkfifo(root / "fifo")
    for name in ODD_NAMES:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text(repr(name))
    os.setxattr(root / "plain", "user.note", b"kept\0bytes")
    os.setxattr(root / "sub", "user.note", b"on a directory")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
    if os.geteuid() == 0:
        os.chown(root / "set-id", 1234, 4321)
        os.chown(root / "link", 1234, 4321, follow_symlinks=False)
        os.mknod(root / "null", 0o020666, os.makedev(1, 3))
        os.setxattr(root / "set-id", "trusted.note", b"root's")
    (root / "set-id").chmod(0o6755)
    (root / "sub" / "closed").chmod(0o2700)


def taken(capture: FilesCapture, stored: StoredSnapshot) -> ComponentSnapshot:
    fingerprint = capture.verify(stored, capture.fingerprint())
    return ComponentSnapshot(
        "conf",
        "files",
        "captured",
        capture.data_time,
        stored.snapshot,
        stored.bytes,
        facts=dict(capture.facts),
        fingerprint=fingerprint,
    )


def take(work: Workplace, *paths: Path | str, **settings: Any) -> ComponentSnapshot:
    """A capture whose bytes nobody stores."""
    with source(work, *paths, **settings).open() as capture:
        return taken(capture, StoredSnapshot("s1", 0, 0, files=1))


def tree_of(snapshot: ComponentSnapshot) -> TreeFingerprint:
    assert isinstance(snapshot.fingerprint, TreeFingerprint)
    return snapshot.fingerprint


def lay(root: Path, landing: Path) -> None:
    """Put a copy of `root` where a repository would."""
    place = landing / str(root).lstrip("/")
    place.parent.mkdir(parents=True)
    shutil.copytree(root, place, symlinks=True)


def restore_components(destination: Destination, snapshot: ComponentSnapshot, root: Path) -> None:
    """As the flows do after a preflight, with a copy instead of a repository."""
    destination.prepare()
    lay(root, destination.landing())
    destination.restore(snapshot, {}, on_progress=no_progress)


def check(
    snapshot: ComponentSnapshot, inspector: Inspector, *, is_root: bool = os.geteuid() == 0
) -> list[CheckResult]:
    settings = FilesCheck(kind="files", name="as at backup", component="conf")
    spec = CheckSpec("as at backup", "files", "conf", settings)
    return TreeComparison().run(spec, context({"conf": inspector}, snapshot, is_root=is_root))

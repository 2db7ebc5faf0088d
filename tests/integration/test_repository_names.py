"""Trees with odd names: what is stored, what is left out, and what is not read again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from drd.ports import Tree
from drd.repositories.restic import ResticRepository
from tests.repository_support import restic

ODD = [
    b"plain", b"-dash", b" lead", b"trail ", b"tab\tin", b"new\nline", b"cr\r", b"a*b", b"q?x",
    b"[ab]c", b"back\\slash", b"#hash", b"!bang", b"$HOME", b"$$", b"${HOME}", b"bad\xff",
    b"quote\"'", "ünï".encode(), b"{a,b}",
]  # fmt: skip

# What the excludes would match too if they were patterns, or trimmed, or expanded.
DECOYS = [b"axb", b"qyx", b"ac", b"backslash", b"trail", b"new line", b"newXline", b"bad\xfe",
          b"root", b"tab in", b"cr", b"back\\\\slash"]  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    for name in [*ODD, *DECOYS]:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(b"of " + name)
    return root


def listed(directory: Path) -> set[bytes]:
    return {os.fsencode(path.name) for path in directory.iterdir()}


def names_in(repository: ResticRepository, snapshot: str, tree: Path, into: Path) -> set[bytes]:
    into.mkdir()
    repository.restore(snapshot, into)
    return listed(into / str(tree).lstrip("/"))


def test_every_name_comes_back(repository: ResticRepository, tree: Path, tmp_path: Path) -> None:
    stored = repository.store(Tree((str(tree),)), host="p", tags=["t"])
    assert names_in(repository, stored.snapshot, tree, tmp_path / "out") == {*ODD, *DECOYS}
    for name in ODD:
        path = os.fsencode(tmp_path / "out" / str(tree).lstrip("/")) + b"/" + name
        assert Path(os.fsdecode(path)).read_bytes() == b"of " + name


def test_an_exclude_is_literal(repository: ResticRepository, tree: Path, tmp_path: Path) -> None:
    exclude = tuple(os.fsdecode(os.fsencode(tree) + b"/" + name) for name in ODD)
    stored = repository.store(Tree((str(tree),), exclude=exclude), host="p", tags=["t"])
    assert names_in(repository, stored.snapshot, tree, tmp_path / "out") == set(DECOYS)


def test_a_path_to_store_may_have_any_name(
    repository: ResticRepository, tree: Path, tmp_path: Path
) -> None:
    chosen = [b"-dash", b"a*b", b"bad\xff", b"new\nline", b"trail "]
    paths = tuple(os.fsdecode(os.fsencode(tree) + b"/" + name) for name in chosen)
    stored = repository.store(Tree(paths), host="p", tags=["t"])
    assert names_in(repository, stored.snapshot, tree, tmp_path / "out") == set(chosen)


def test_an_include_is_literal(repository: ResticRepository, tree: Path, tmp_path: Path) -> None:
    stored = repository.store(Tree((str(tree),)), host="p", tags=["t"])
    chosen = [b"a*b", b"bad\xff", b"new\nline", b"trail ", b"$HOME"]
    into = tmp_path / "out"
    into.mkdir()
    include = [os.fsdecode(os.fsencode(tree) + b"/" + name) for name in chosen]
    repository.restore(stored.snapshot, into, include=include)
    assert listed(into / str(tree).lstrip("/")) == set(chosen)


def test_an_unchanged_tree_is_not_read_again_although_the_tags_changed(
    repository: ResticRepository, tree: Path
) -> None:
    files = len(ODD) + len(DECOYS)
    first = repository.store(Tree((str(tree),)), host="p", tags=["drd", "run:a"])
    again = repository.store(Tree((str(tree),)), host="p", tags=["drd", "run:b"])
    assert again.files == files
    assert [unmodified(repository, s.snapshot) for s in (first, again)] == [0, files]


def unmodified(repository: ResticRepository, snapshot: str) -> int:
    """How many files restic did not read, by its own count."""
    (listed,) = json.loads(restic(repository, "snapshots", "--json", snapshot).stdout)
    return int(listed["summary"]["files_unmodified"])

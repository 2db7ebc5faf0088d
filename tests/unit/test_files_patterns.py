"""What exclude patterns of files components mean."""

from __future__ import annotations

import pytest

from drd.kinds.files.patterns import Excludes


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.tmp", ["/a.tmp", "/x/y/.tmp", "/x/b.tmp"], ["/a.tmp/b", "/a.tmpx", "/tmp"]),
        ("cache", ["/cache", "/a/cache"], ["/a/cache2", "/acache", "/cache/x"]),
        ("/etc/app/cache", ["/etc/app/cache"], ["/x/etc/app/cache", "/etc/app/cache/x"]),
        ("/srv/**/tmp", ["/srv/tmp", "/srv/a/tmp", "/srv/a/b/tmp"], ["/srv/atmp", "/x/srv/tmp"]),
        ("/srv/**", ["/srv/a", "/srv/a/b"], ["/srv", "/srva"]),
        ("/srv/*", ["/srv/a", "/srv/.b"], ["/srv/a/b", "/srv"]),
        ("**/node_modules", ["/node_modules", "/a/b/node_modules"], ["/a/xnode_modules"]),
        ("cache/*.idx", ["/cache/a.idx", "/x/cache/a.idx"], ["/cache/b/a.idx", "/xcache/a.idx"]),
        ("file?", ["/file1", "/a/fileé"], ["/file", "/file/"]),
        ("[ab].log", ["/a.log"], ["/c.log", "/[ab].log"]),
        ("[!a].log", ["/b.log"], ["/a.log", "//.log"]),
        ("[*]", ["/*"], ["/a"]),
        ("a.b", ["/a.b"], ["/axb"]),
        ("(x)+$", ["/(x)+$"], ["/xx"]),
        ("[open", ["/[open"], ["/o"]),
        ("*\n*", ["/new\nline"], ["/newline"]),
        ("*.TMP", ["/a.TMP"], ["/a.tmp"]),
        ("*", ["/a\udcff"], []),
    ],
)
def test_a_pattern_matches_these_paths_and_not_those(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    excludes = Excludes([pattern])
    assert [p for p in matching if not excludes.match(p, directory=False)] == []
    assert [p for p in others if excludes.match(p, directory=False)] == []


def test_a_slash_at_the_end_means_directories_only() -> None:
    excludes = Excludes(["cache/"])
    assert excludes.match("/a/cache", directory=True)
    assert not excludes.match("/a/cache", directory=False)


@pytest.mark.parametrize("nothing", [[], [""], ["/"], ["//"]])
def test_an_empty_pattern_leaves_nothing_out(nothing: list[str]) -> None:
    excludes = Excludes(nothing)
    assert not excludes.match("/", directory=True)
    assert not excludes.match("/a", directory=True)


def test_one_of_several_patterns_is_enough() -> None:
    excludes = Excludes(["*.a", "/b", "c/"])
    assert excludes.match("/x.a", directory=False)
    assert excludes.match("/b", directory=False)
    assert excludes.match("/x/c", directory=True)
    assert not excludes.match("/d", directory=True)

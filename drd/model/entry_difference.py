"""Describe what differs between two states of one directory entry."""

from __future__ import annotations

from drd.model.snapshot import FileEntry

_SET_ID = 0o6000


def entry_differences(was: FileEntry, now: FileEntry, *, owners: bool) -> list[str]:
    """Return the differences in words, empty if the entries are the same. `owners` includes the
    ownership and what only root can set.
    """
    if was.kind != now.kind:
        return [f"is a {now.kind}, but was a {was.kind}"]
    wrong = _contents(was, now)
    mask = 0o7777 if owners else 0o7777 & ~_SET_ID
    if was.kind != "symlink" and (was.mode ^ now.mode) & mask:
        wrong.append(f"mode {now.mode:04o} (was {was.mode:04o})")
    if owners and (was.uid, was.gid) != (now.uid, now.gid):
        wrong.append(f"owner {now.uid}:{now.gid} (was {was.uid}:{was.gid})")
    if _attributes(was, owners) != _attributes(now, owners):
        wrong.append("extended attributes")
    return wrong


def _contents(was: FileEntry, now: FileEntry) -> list[str]:
    wrong = []
    if was.kind == "file" and was.size != now.size:
        wrong.append(f"{now.size:,} bytes (was {was.size:,})")
    elif was.digest and now.digest and was.digest != now.digest:
        wrong.append("contents")
    if was.link != now.link:
        named = {"symlink": "link target", "device": "device number"}
        wrong.append(named.get(was.kind, "hard link"))
    return wrong


def _attributes(entry: FileEntry, privileged: bool) -> str:
    """Compare the attribute digests. The part before the colon covers what everybody can set, the
    rest what only root can set.
    """
    both = entry.xattrs or ""
    return both if privileged else both.partition(":")[0]

"""Say whether the WAL in the archive of a stanza leads from its newest backup to its end."""

from __future__ import annotations

from collections.abc import Sequence

from drd.model.finding import Finding
from drd.model.finding_codes import ARCHIVE
from drd.model.units import format_time
from drd.repositories.adopted.stanza_info import Backup
from drd.repositories.adopted.wal import Archive


def archive_finding(name: str, newest: Backup, archive: Archive, chain: Sequence[str]) -> Finding:
    """Return the finding about a repository. `chain` is the WAL of the newest backup; empty if the
    backup lacks WAL that it needs to be consistent."""
    if not chain:
        return Finding(
            ARCHIVE,
            "error",
            name,
            f"the archive lacks WAL of the newest backup {newest.label}, from {newest.first} "
            f"to {newest.last}",
            "make a full backup. To check the archive: pgbackrest check. Find out what removed "
            "the WAL.",
        )
    at = format_time(archive.segments[chain[-1]], seconds=True)
    if unusable := archive.ends_at(chain[-1]):
        segment, why = unusable
        return Finding(
            ARCHIVE,
            "error",
            name,
            f"WAL segment {segment} {why}: a restore can only reach a state up to {at}",
            "make a backup now, because it does not need this WAL. Then find out who wrote the "
            "segment: check the log of archive_command, and whether a second server archives "
            "into this stanza.",
        )
    beyond = archive.beyond(chain[-1])
    if beyond:
        return Finding(
            ARCHIVE,
            "error",
            name,
            f"the archive lacks WAL between {chain[-1]} and {beyond[0]}: a restore can only reach "
            f"a state up to {at}",
            "make a backup now, because it does not need this WAL. Then find out why WAL is "
            "missing: run pgbackrest check, and read the log of archive_command.",
        )
    text = f"WAL without a gap from backup {newest.label} to {chain[-1]}, archived {at}"
    return Finding(ARCHIVE, "ok", name, text)

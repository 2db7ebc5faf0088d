"""Restore a SQLite database by hand, with restic and sqlite3."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from drd.kinds.sqlite.settings import SqliteSettings, SqliteTarget
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import SAME_ROWS, ByHand, Passage


def by_hand(
    component: Component,
    target: object | None,
    *,
    place: str,  # noqa: ARG001 - needs no file
    resolve: Callable[[SecretRef], str],  # noqa: ARG001 - nor a secret
) -> ByHand:
    name = component.name
    file = f"{name}.sqlite"
    assert isinstance(component.settings, SqliteSettings)
    where = quote(target.path if isinstance(target, SqliteTarget) else component.settings.path)
    fetch = f"""\
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > {file}
[[ $(sqlite3 {file} 'pragma integrity_check') == ok ]]
"""
    empty = f"""\
TARGET={where}
[[ ! -s $TARGET ]] || {{ echo "$TARGET exists: move it away first"; false; }}
"""
    publish = f"""\
chmod "$(printf '%o' "$(fact {name} mode)")" {file}
if [[ $EUID == 0 ]]; then chown "$(fact {name} uid):$(fact {name} gid)" {file}; fi
mkdir -p -m 755 -- "$(dirname "$TARGET")"
rm -f -- "$TARGET-wal" "$TARGET-shm" "$TARGET-journal"
mv -- {file} "$TARGET"
"""
    compare = f"""\
jq -r '.components[] | select(.component == "{name}") | .fingerprint.tables // {{}}
    | to_entries[] | [.key, .value[0]] | @tsv' manifest.json |
while IFS=$'\\t' read -r table expected; do
    found=$(sqlite3 -readonly "$TARGET" \\
      "select count(*) from \\"${{table//\\"/\\"\\"}}\\"" </dev/null)
{SAME_ROWS}done
"""
    return ByHand(
        (
            Passage("No database may exist in the place of the restored file:", empty),
            Passage("Fetch the database and check that it is not damaged:", fetch),
            Passage(
                "Stop the programs that have the old file open, then put the restored file "
                "in its place:",
                publish,
                makes="rm -f -- ${TARGET@Q}",
            ),
            Passage(
                "For each table, compare the number of rows with the number at the backup:",
                compare,
                compares=True,
                there=f"[[ -s {where} ]]",
            ),
        ),
        ask=f"sqlite3 -readonly {where}",
        change=f"sqlite3 -bail {where}",
        feed=f"sqlite3 -bail {where}",
        values={"location": where, "path": where},
        environment=f"DRD_PATH={where}",
    )

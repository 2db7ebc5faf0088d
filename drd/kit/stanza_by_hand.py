"""Recovery by hand from a stanza of pgBackRest: the commands restore its server in a separate
directory; the commands of the kinds then make their dumps from this server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from drd.kit.document import Block, Commands, Heading, Paragraph
from drd.model.adopted import OLDER, Adopted, Stanza
from drd.model.plan import SecretRef


def opening(stanza: Stanza, file: Callable[[SecretRef], str]) -> str:
    """Return the variables with which pgBackRest reads the repository; `file` gives the words of
    the file of a secret."""
    lines = [
        f"export PGBACKREST_STANZA={quote(stanza.name)} PGBACKREST_REPO={stanza.repo}",
        "export PGBACKREST_LOG_LEVEL_FILE=off PGBACKREST_LOCK_PATH=$PWD PGBACKREST_SPOOL_PATH=$PWD",
        *(f"export {name}={quote(value)}" for name, value in stanza.options),
        *(f'export {name}="$(cat {file(ref)})"' for name, ref in stanza.env),
    ]
    if stanza.config is not None:
        lines.append(f"export PGBACKREST_CONFIG={file(stanza.config)}")
    else:
        lines += [": > pgbackrest.conf", "export PGBACKREST_CONFIG=$PWD/pgbackrest.conf"]
    return "\n".join(lines) + "\n"


def choosing(adopted: Adopted) -> Iterator[Block]:
    """Yield the commands that take the place of reading a manifest of drd's."""
    yield Commands("pgbackrest info\n")
    yield Heading(3, "Choose the backup")
    yield Paragraph(
        "These commands choose the newest backup without errors. To choose another backup, "
        f"first set COPY to its label from the list above{PRESET}."
    )
    yield Commands(_CHOICE + _manifest(adopted))
    yield Heading(3, "Restore the server")
    yield Paragraph(
        "These commands restore the whole server into a new directory below /var/tmp, and "
        "roll it forward to the last archived WAL. To stop at an earlier time, set UNTIL "
        "before you run the commands, for example UNTIL='2026-11-25 13:00:00+00'. The "
        "server listens on a socket in that directory only, does not archive or replicate, "
        "and does not load libraries by itself. The commands below call `restic`: on this "
        "page `restic` is a function that dumps one database of this server."
    )
    yield Commands(_RESTORE)
    yield Paragraph(
        "When you are done, end this server and remove its directory, which contains "
        "secrets: call `remaining`, which prints the commands. The shell also calls "
        "`remaining` when it ends. If the whole server is lost, you do not need the "
        "commands below. Restore the backup to the server's own directory as the manual of "
        "pgBackRest describes, and start the server with its own configuration."
    )


PRESET = " (for the script: `COPY=… bash …/recover-by-hand.sh`)"


def noted(components: Sequence[Mapping[str, Any]]) -> str:
    """Return the command that writes a manifest for the copy $COPY of the time $AT, in the form
    that commands of kinds and steps expect."""
    older, rows = int(OLDER.total_seconds()), json.dumps(components)
    described = f"{{point: $copy, data_time: $at, older: {older}, components: {rows}}}"
    at = '"$(date -u -d "@$AT" +%Y-%m-%dT%H:%M:%SZ)"'
    return f'jq -n --arg copy "$COPY" --arg at {at} {quote(described)} > manifest.json'


def _manifest(adopted: Adopted) -> str:
    rows = [
        {
            "component": c.name,
            "facts": {"filename": c.copied_as, "database": c.copied_as},
        }
        for c in adopted.components
    ]
    return f"""\
{noted(rows)}
snapshot() {{ echo "$COPY"; }}
fact() {{
    jq -er --arg c "$1" --arg f "$2" \\
        '.components[] | select(.component == $c) | .facts[$f]' manifest.json
}}
"""


_CHOICE = """\
[[ -n ${COPY:-} ]] || COPY=$(pgbackrest info --output=json |
    jq -er --argjson repo "$PGBACKREST_REPO" '.[0].backup |
    [.[] | select(.error != true and .database["repo-key"] == $repo)] | last | .label')
AT=$(pgbackrest info --output=json | jq -er --arg copy "$COPY" \
    '[.[0].backup[] | select(.label == $copy)] | last | .timestamp.stop')
MAJOR=$(pgbackrest info --output=json | jq -er --arg copy "$COPY" '.[0] | .db as $db |
    .backup[] | select(.label == $copy) | .database.id as $id |
    $db[] | select(.id == $id) | .version | split(".") | first' | head -n 1)
WAL=$(pgbackrest info --output=json | jq -er --arg copy "$COPY" '.[0] | .db as $db |
    .backup[] | select(.label == $copy) | .database.id as $id |
    $db[] | select(.id == $id) | "\\(.version)-\\($id)"' | head -n 1)
FIRST=$(pgbackrest info --output=json | jq -er --arg copy "$COPY" \
    '[.[0].backup[] | select(.label == $copy)] | last | .archive.start')
"""

_RESTORE = """\
SERVER_BIN=/usr/lib/postgresql/$MAJOR/bin
[[ -x $SERVER_BIN/postgres ]] ||
    { echo "PostgreSQL $MAJOR is missing: apt-get install postgresql-$MAJOR" >&2; false; }
SERVER=$(mktemp -d /var/tmp/server.XXXXXX)
mkdir -m 700 "$SERVER/data" "$SERVER/tablespaces" "$SERVER/wal"
as_server() {
    if [[ $EUID == 0 ]]; then
        (cd "$SERVER" && setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        "$@"
    fi
}
reading() {
    if [[ $EUID == 0 ]]; then
        setpriv --reuid=postgres --regid=postgres --init-groups --no-new-privs \\
            --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search \\
            pgbackrest "$@"
    else
        pgbackrest "$@"
    fi
}
remaining() {
    local as=
    [[ $EUID != 0 ]] || as='setpriv --reuid=postgres --regid=postgres --init-groups '
    [[ -d $SERVER ]] || return 0
    if as_server "$SERVER_BIN/pg_ctl" status -D "$SERVER/data" &> /dev/null; then
        echo "The restored server still runs, with its data in $SERVER/data. Connect to it with:"
        printf '  psql -h %s -p 5432 --username=%q -d template1\\n' \\
            "$SERVER" "${SUPERUSER:-postgres}"
        echo 'End it, and remove its directory, which contains secrets:'
        echo "  (cd / && $as$SERVER_BIN/pg_ctl stop -D $SERVER/data) && rm -r $SERVER"
    else
        echo "No server runs, but its directory is still there, with secrets. Remove it:"
        echo "  rm -r $SERVER"
    fi
}
failed() {
    grep -E 'ERROR|FATAL|PANIC' "$SERVER/log" | tail -n 20 >&2
    echo "The restored server does not run: these lines are from its log, $SERVER/log" >&2
    false
}
start_server() {
    as_server "$SERVER_BIN/pg_ctl" start -D "$SERVER/data" -l "$SERVER/log" -w -t 86400 -o "\\
-p 5432 -c hot_standby=off $ALONE -c max_prepared_transactions=$PREPARED" > start.log || failed
    until "$SERVER_BIN/pg_isready" -q -h "$SERVER" -p 5432; do
        as_server "$SERVER_BIN/pg_ctl" status -D "$SERVER/data" > start.log || failed
        sleep 1
    done
}
# It can be reached by its socket alone, and neither sends anything nor loads code by itself.
ALONE="-c listen_addresses= -c unix_socket_directories=$SERVER -c unix_socket_permissions=0700"
ALONE+=" -c shared_preload_libraries= -c session_preload_libraries= -c local_preload_libraries="
ALONE+=" -c archive_mode=off -c primary_conninfo= -c primary_slot_name= -c max_wal_senders=0"
ALONE+=" -c max_logical_replication_workers=0 -c autovacuum=off"
SESSIONS='-c session_preload_libraries= -c local_preload_libraries= -c role=none'
((MAJOR < 17)) || SESSIONS+=' -c event_triggers=off'
SUPERUSER=postgres
AT_END="remaining; ${AT_END:-}"
trap 'eval "$AT_END"' EXIT
install -m 600 "$PGBACKREST_CONFIG" "$SERVER/pgbackrest.conf"
export PGBACKREST_CONFIG=$SERVER/pgbackrest.conf
export PGBACKREST_PG1_PATH=$SERVER/data PGBACKREST_LOCK_PATH=$SERVER PGBACKREST_SPOOL_PATH=$SERVER
[[ $EUID != 0 ]] || chown -R postgres: "$SERVER"
reading restore --set="$COPY" --archive-mode=off --reset-pg1-host --no-link-all --reset-link-map \\
    --reset-tablespace-map --no-delta --reset-db-include --reset-db-exclude \\
    --tablespace-map-all="$SERVER/tablespaces" ${UNTIL:+--type=time "--target=$UNTIL"} \\
    ${UNTIL:+--target-action=promote} --reset-recovery-option
# Nothing that the backup says about how the server runs applies, nor its slots.
rm -rf "$SERVER/data/pg_replslot"
mkdir -m 700 "$SERVER/data/pg_replslot"
for name in postgresql.conf postgresql.auto.conf pg_ident.conf pg_hba.conf; do
    rm -rf "$SERVER/data/$name"
    : > "$SERVER/data/$name"
done
# The WAL is fetched first: the server itself may have no right to read the repository.
pgbackrest repo-ls --recurse --output=json "archive/$PGBACKREST_STANZA/$WAL" |
    jq -r --arg first "$FIRST" '[keys[] | split("/") | last |
    (capture("^(?<name>[0-9A-F]{24})-[0-9a-f]{40}([.][a-z0-9]+)?$") |
    select(.name[8:] >= $first[8:])), capture("^(?<name>[0-9A-F]{8}[.]history)$") | .name] |
    unique[]' > wal.list
echo "fetching $(wc -l < wal.list) files of WAL"
while read -r name; do
    reading archive-get "$name" "$SERVER/wal/$name" < /dev/null
done < wal.list
{
    echo "restore_command = 'test -f $SERVER/wal/%f && cp $SERVER/wal/%f \\"%p\\"'"
    [[ -z ${UNTIL:-} ]] ||
        printf "recovery_target_time = '%s'\\nrecovery_target_action = promote\\n" "$UNTIL"
} > "$SERVER/data/postgresql.auto.conf"
echo 'local all all trust' > "$SERVER/data/pg_hba.conf"
[[ $EUID != 0 ]] || chown -R postgres: "$SERVER"
PREPARED=$(as_server "$SERVER_BIN/pg_controldata" -D "$SERVER/data" |
    sed -n 's/^max_prepared_xacts.*: *//p')
start_server
grep -h 'last completed transaction\\|recovery stopping' "$SERVER/log" || true
# The role that made the server may have any name: the server says it, without a login if need be.
psql_asks() {
    as_server env -u PGSERVICE -u PGSERVICEFILE -u PGDATABASE PGOPTIONS="$SESSIONS" \\
        "$SERVER_BIN/psql" -X -A -t --host="$SERVER" --port=5432 --username=postgres \\
        --dbname=template1 --command="$1"
}
ROLE="select rolname from pg_catalog.pg_roles where oid = 10"
if ! SUPERUSER=$(psql_asks "$ROLE" 2> psql.log); then
    as_server "$SERVER_BIN/pg_ctl" stop -D "$SERVER/data" -w > start.log
    SUPERUSER=$(as_server "$SERVER_BIN/postgres" --single -D "$SERVER/data" \\
        -c max_prepared_transactions="$PREPARED" $ALONE template1 <<< "$ROLE" 2> single.log |
        sed -n 's/.*rolname = "\\([^"]*\\)".*/\\1/p')
    [[ -n $SUPERUSER ]] || { cat single.log >&2; false; }
    start_server
fi
restic() {
    local database=${!#}
    as_server env -u PGSERVICE -u PGSERVICEFILE -u PGDATABASE PGOPTIONS="$SESSIONS" \\
        "$SERVER_BIN/pg_dump" --host="$SERVER" --port=5432 --username="$SUPERUSER" \\
        --format=custom --dbname="${database#/}"
}
"""

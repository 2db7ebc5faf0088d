"""Restore a whole MariaDB server by hand, with restic and the server's own programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from shlex import quote

from drd.kinds.mariadb.inspect import KEY_TEXT
from drd.kinds.mariadb.physical.binlog.files import SHIFT
from drd.kinds.mariadb.physical.settings import ServerSettings, ServerTarget
from drd.kinds.server_logs import NEEDED, SUBTREE
from drd.model.log_place import SUFFIX
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import ByHand, Passage, empty_data_directory, same_rows, work_directories

_SCRATCH = ("fetched", "pieces", "binlog", "login")
_THERE = "[[ -d $DATA/mysql ]]"


def by_hand(
    component: Component,
    target: object | None,
    *,
    place: str,  # noqa: ARG001 - it needs no login
    resolve: Callable[[SecretRef], str],  # noqa: ARG001 - it needs no login
) -> ByHand:
    """Implements `ByHandOf`."""
    name, directory = component.name, _directory(component, target)
    settings = component.settings
    assert isinstance(settings, ServerSettings)
    logged = settings.binlog is not None
    files = [
        empty_data_directory(name, _SCRATCH),
        _fetched(name),
        _prepared(name),
        *([_rolled(name)] if logged else []),
    ]
    files[-1] = replace(files[-1], there=_THERE)
    compared = _compared(name, logged=logged)
    return ByHand(
        (_named(name, directory), *files, _started(name), compared),
        ask="in_server --skip-column-names -e",
        change="in_server -e",
        feed="in_server",
        values={"path": '"$DATA"'},
        environment='DRD_PATH="$DATA" MYSQL_UNIX_PORT="$RUN/s"',
        key_text=KEY_TEXT,
        database="MYSQL_DATABASE",
        stops=f'stop_one TERM "$(cat "$(cat {name}.run 2>/dev/null)/pid" 2>/dev/null)"\n',
    )


def _directory(component: Component, target: object | None) -> str:
    settings = component.settings
    assert isinstance(settings, ServerSettings)
    named = target.data_dir if isinstance(target, ServerTarget) else settings.data_dir
    return quote(named) if named else f'"$PWD/{component.name}.data"'


def _named(name: str, directory: str) -> Passage:
    return Passage(
        "Name the data directory. If you are root, the server runs as user mysql:",
        f"""\
DATA={directory}
export PATH="$PATH:/usr/sbin"
AS=()
((EUID != 0)) || AS=(runuser -u mysql --)
stop_server() {{
    mariadb "$LOGIN" -e SHUTDOWN
    wait "$SERVER" 2>/dev/null || true
    while kill -0 "$SERVER" 2>/dev/null; do sleep 0.2; done
    rm -f {name}.run
}}
""",
        always=True,
    )


def _fetched(name: str) -> Passage:
    return Passage(
        "Fetch the files of the server. Programs of the same series of MariaDB are needed (on "
        "Debian: apt-get install --no-install-recommends mariadb-backup mariadb-server-core "
        "mariadb-client); other series cannot run these files. Compare the files with the list "
        "that drd has stored, and check the pages of InnoDB:",
        f"""\
SERIES=$(fact {name} server_version)
echo "series of the backup: ${{SERIES@Q}}; of this host:" # quoted: a terminal obeys no text
mariadb-backup --no-defaults --version
restic restore "$(snapshot {name})" --target {name}.fetched
FETCHED={name}.fetched$(fact {name} place)
[[ $(realpath -- "$FETCHED/data") == "$(pwd -P)/{name}.fetched/"* ]] ||
    {{ echo "$FETCHED/data leads elsewhere: the backup has a link or '..' there"; false; }}
for NAME in data_file_path page_size undo_tablespaces lower_case_table_names; do
    VALUE=$(fact {name} "$NAME") # it must be no path, and no second line of a configuration
    [[ $VALUE =~ ^[A-Za-z0-9_.:\\;-]+$ ]] || {{ echo "$NAME cannot be ${{VALUE@Q}}"; false; }}
done
echo "$(fact {name} files_digest)  $FETCHED/files.json" | sha256sum --check --quiet
(
    cd "$FETCHED/data"
    LINKS=$(find . ! -type d ! -type f)
    [[ -z $LINKS ]] || {{ echo "not a plain file: $LINKS"; false; }}
    diff <(jq -r 'to_entries[] | "\\(.value[0]) \\(.key)"' ../files.json | LC_ALL=C sort) \\
        <(find . ! -type d -printf '%s %P\\n' | LC_ALL=C sort)
    jq -r 'to_entries[] | select(.value[1] != "") | "\\(.value[1])  \\(.key)"' ../files.json |
        sha256sum --check --quiet
    find . -name '*.ibd' -print0 | xargs -0 -r -n 1 innochecksum
)
""",
        makes=f"rm -rf -- {work_directories(name, _SCRATCH)}",
    )


def _prepared(name: str) -> Passage:
    settings = "data_file_path page_size undo_tablespaces"
    return Passage(
        "Move the files to the data directory, which must be missing or empty, and let "
        "mariadb-backup bring all tables to the moment of the backup. If you are root, the files "
        "then belong to the user mysql:",
        f"""\
rm -f {name}.run
[[ ! -e $DATA ]] || rmdir "$DATA"
mv -T "$FETCHED/data" "$DATA"
rm -f "$DATA"/*master*.info "$DATA"/relay-log*
printf '[mysqld]\\n' > "$DATA/backup-my.cnf"
for NAME in {settings}; do
    echo "innodb_$NAME=$(fact {name} "$NAME")" >> "$DATA/backup-my.cnf"
done
mariadb-backup --defaults-file="$DATA/backup-my.cnf" --prepare --target-dir="$DATA"
rm -f "$DATA"/backup-my.cnf "$DATA"/mariadb_backup_* "$DATA"/xtrabackup_*
chmod 0700 "$DATA"
""",
        # A server that a later command starts has this directory in its words, before its socket.
        makes="pkill -f -- --datadir=${DATA@Q}' --socket='; "
        f"rm -rf -- ${{DATA@Q}} {work_directories(name, _SCRATCH)}",
    )


def _rolled(name: str) -> Passage:
    return Passage(
        "This step also recovers changes from after the backup. It fetches the binary log since "
        "the backup from the repository beside this one (of each batch only the newest snapshot, "
        "which has all of it), and joins the pieces of each file. Then it starts a server "
        "that only you can reach, and replays the log from the end of the backup. If a part of the "
        "log is damaged, mariadb-binlog names this part. To stop before a time (in UTC, whole "
        'seconds), set STOP first: STOP=(--stop-datetime="2026-11-25 00:31:00"). Leave this step '
        "out if the server started a new log after the backup (RESET MASTER): that log does not "
        "continue the backup. After this step, the numbers of rows differ from those at the "
        "backup:",
        f"""\
: > {name}.replayed
LOG="${{RESTIC_REPOSITORY%/}}{SUFFIX}"
FIRST=$(fact {name} binlog_file)
FIRST=${{FIRST##*.}} POSITION=$(fact {name} binlog_position)
[[ $FIRST =~ ^[0-9]{{6,10}}$ && $POSITION =~ ^[0-9]{{1,12}}$ ]] # else the shell would evaluate it
FROM=$(printf %x $((10#$FIRST << {SHIFT} | 10#$POSITION)))
restic -r "$LOG" snapshots --json --tag drd-log,component:{name} |
    jq --arg from "$FROM" '{NEEDED}
    | (last // {{tags: []}} | of("log-line:")) as $line | map(select(of("log-line:") == $line))' \\
    > {name}.log.json || (($? == 10)) # 10: there is no such repository
if [[ $(jq length {name}.log.json) != [1-9]* ]]; then
echo "drd had not stored a log of {name} after the backup: the data is that of the backup"
else
jq -r '.[] | {SUBTREE}' {name}.log.json | while IFS= read -r one; do
    restic -r "$LOG" restore --target {name}.pieces -- "$one" </dev/null
done
mkdir {name}.binlog
for ((N = 10#$FIRST; ; N++)); do
    FILE=binlog.$(printf %06d "$N")
    find {name}.pieces -type f -name "$FILE.*" -print0 | LC_ALL=C sort -z > {name}.binlog/pieces
    [[ -s {name}.binlog/pieces ]] || break
    xargs -0 cat -- < {name}.binlog/pieces > "{name}.binlog/$FILE"
done
RUN=$(mktemp -d /tmp/drd-XXXXXX)
PASSWORD=$(od -An -N 16 -t x1 /dev/urandom | tr -d ' \\n')
cat >"$RUN/first.sql" <<END
CREATE USER drd_by_hand@localhost IDENTIFIED BY '$PASSWORD';
GRANT ALL PRIVILEGES ON *.* TO drd_by_hand@localhost WITH GRANT OPTION;
END
printf '[client]\\nuser=drd_by_hand\\npassword=%s\\nsocket=%s/s\\n' \\
    "$PASSWORD" "$RUN" > {name}.login
LOGIN="--defaults-file=$PWD/{name}.login"
{_start(name, '--init-file="$RUN/first.sql"')}
TZ=UTC mariadb-binlog --no-defaults --verify-binlog-checksum --skip-gtid-strict-mode \\
    --start-position="$POSITION" "${{STOP[@]}}" {name}.binlog/binlog.* |
    mariadb "$LOGIN" --sandbox --binary-mode --batch --local-infile=0 --skip-named-commands \\
        --max-allowed-packet=1G
mariadb "$LOGIN" -e 'DROP USER drd_by_hand@localhost; SHUTDOWN'
wait "$SERVER"
rm -f {name}.run {name}.login
echo yes > {name}.replayed
fi
""",
    )


def _start(name: str, rights: str) -> str:
    """Return the commands that start a server with its socket in the directory RUN. LOGIN has the
    option with which clients connect to this server. The server reads and writes no files for SQL:
    the log may have statements that would make a program for it. RUN belongs to its user, so
    nothing is there that root reads or writes."""
    return f"""\
echo "$RUN" > {name}.run
mkdir "$RUN/plugins" "$RUN/files"
((EUID != 0)) || chown -R mysql: "$DATA" "$RUN"
"${{AS[@]}}" "$(command -v mariadbd)" --no-defaults --datadir="$DATA" --socket="$RUN/s" \\
    --pid-file="$RUN/pid" --tmpdir="$RUN" --plugin-dir="$RUN/plugins" {rights} \\
    --secure-file-priv="$RUN/files" --skip-networking --skip-log-bin --skip-slave-start \\
    --event-scheduler=OFF --max-allowed-packet=1G \\
    --innodb-data-file-path="$(fact {name} data_file_path)" \\
    --innodb-page-size="$(fact {name} page_size)" \\
    --innodb-undo-tablespaces="$(fact {name} undo_tablespaces)" \\
    --lower-case-table-names="$(fact {name} lower_case_table_names)" > {name}.server-log 2>&1 &
SERVER=$!
until mariadb "$LOGIN" -e 'select 1' >/dev/null 2>&1; do
    kill -0 "$SERVER" || {{ tail {name}.server-log; false; }}
    sleep 0.2
done"""


def _started(name: str) -> Passage:
    return Passage(
        "Start a server that only you can reach, on a socket in a new directory. This server asks "
        "for no password, runs no events and loads no plugins. Before you start a server with the "
        "configuration of this host, stop this server with `stop_server`:",
        f"""\
RUN=$(cat {name}.run 2>/dev/null || true)
LOGIN="--socket=$RUN/s"
if [[ -s {name}.run ]] && mariadb "$LOGIN" -e 'select 1' >/dev/null 2>&1; then
SERVER=$(cat "$RUN/pid") # of an earlier run
[[ $SERVER =~ ^[0-9]+$ ]]
else
INODE=$(stat -c %i -- "$DATA/aria_log_control" 2>/dev/null || true) # each server locks this file
for ONE in $(sed -n "s/^.* \\([0-9]*\\) [0-9a-f:]*:${{INODE:-none}} .*/\\1/p" /proc/locks); do
    [[ $(cat "/proc/$ONE/comm" 2>/dev/null) != m*d ]] || {{ IN_USE=$DATA
        echo "a server of this host already works in $DATA: stop it, then start the script again"
        false; }}
done
RUN=$(mktemp -d /tmp/drd-XXXXXX)
LOGIN="--socket=$RUN/s"
{_start(name, "--skip-grant-tables")}
fi
DATABASE=$(fact {name} database)
in_server() {{
    mariadb "$LOGIN" --batch --sandbox --database="${{MYSQL_DATABASE:-$DATABASE}}" "$@"
}}
""",
        always=True,
    )


def _compared(name: str, *, logged: bool) -> Passage:
    client = 'mariadb "$LOGIN" --batch --sandbox --skip-column-names'
    ask = f'{client} -e "select count(*) from $table"'
    compare = f"""\
jq -r '.components[] | select(.component == "{name}") | .fingerprint
    | .tables // {{}} | to_entries[] | [.key, .value[0]] | @tsv' manifest.json |
while IFS=$'\\t' read -r table expected; do
{same_rows(name, ask, logged=logged)}"""
    log = " If a log was replayed, the numbers are shown and not compared." if logged else ""
    return Passage(
        "For each table, compare the number of rows with the number at the backup. `mysql` is the "
        f"database of the server's users, rights, procedures and events.{log}",
        compare,
        compares=True,
        there=_THERE,
    )

"""Restore a whole PostgreSQL server by hand, with restic and the server's own programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from shlex import quote

from drd.kinds.postgres.physical.directory_server import LOADS_NOTHING, OFF, SPACES_DIRECTORY
from drd.kinds.postgres.physical.settings import ClusterSettings, ClusterTarget
from drd.kinds.server_logs import NEEDED, SUBTREE
from drd.model.log_place import SUFFIX
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import ByHand, Passage, empty_data_directory, same_rows, work_directories

_SCRATCH = ("fetched", "combined", "wal")
_THERE = "[[ -s $DATA/PG_VERSION ]]"
_PORT = 55432
"""The port of the restored server: not the usual one, which another server may use here."""


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
    assert isinstance(settings, ClusterSettings)
    logged = settings.wal is not None
    files = [
        empty_data_directory(name, _SCRATCH),
        _fetched(name),
        _placed(name),
        *([_rolled(name)] if logged else []),
    ]
    files[-1] = replace(files[-1], there=_THERE)
    compared = _compared(name, logged=logged)
    return ByHand(
        (_named(name, directory), *files, _started(name), compared),
        ask="psql -XAtq -c",
        change="psql -Xq -v ON_ERROR_STOP=1 -c",
        feed="psql -Xq -v ON_ERROR_STOP=1 -f -",
        database="PGDATABASE",
        values={"path": '"$DATA"'},
        environment='DRD_PATH="$DATA"',
        stops=f'stop_one INT "$(head -n 1 {directory}/postmaster.pid 2>/dev/null)"\n',
    )


def _directory(component: Component, target: object | None) -> str:
    settings = component.settings
    assert isinstance(settings, ClusterSettings)
    named = target.data_dir if isinstance(target, ClusterTarget) else settings.data_dir
    return quote(named) if named else f'"$PWD/{component.name}.data"'


def _named(name: str, directory: str) -> Passage:
    return Passage(
        "Set the data directory, and use the programs of the server's major version (on "
        "Debian: apt-get install postgresql-MAJOR): other versions cannot run these files. If you "
        "are root, the server runs as user postgres:",
        f"""\
DATA={directory}
MAJOR=$(fact {name} server_major)
[[ $MAJOR =~ ^[0-9]{{1,3}}$ ]] # else the shell would evaluate it
export PATH="/usr/lib/postgresql/$MAJOR/bin:$PATH"
pg_ctl --version | grep -q " $MAJOR[.a-z]" ||
    {{ echo "PostgreSQL $MAJOR is missing: apt-get install postgresql-$MAJOR"; false; }}
AS=()
((EUID != 0)) || AS=(runuser -u postgres --)
on_server() {{
    (cd / && "${{AS[@]}}" "$(command -v pg_ctl)" "$@" --pgdata="$DATA" >/dev/null)
}}
stop_server() {{ on_server stop --mode=fast; }}
""",
        always=True,
    )


def _fetched(name: str) -> Passage:
    return Passage(
        "Fetch the files of the server. An incremental backup has several copies: a full one, and "
        "in `increments` what has changed since. Compare each file with its checksum. The "
        "comparisons of `backup_manifest` show that the lists of checksums are those that drd has "
        "stored. Then pg_combinebackup makes one server of several copies, which needs room for "
        "both:",
        f"""\
restic restore "$(snapshot {name})" --target {name}.fetched
FETCHED={name}.fetched$(fact {name} place)
[[ $(realpath -- "$FETCHED/data") == "$(pwd -P)/{name}.fetched/"* ]] ||
    {{ echo "$FETCHED/data leads elsewhere: the backup has a link or '..' there"; false; }}
LINKS=$(find "$FETCHED" ! -type d ! -type f ! -path '*/data/pg_tblspc/*')
[[ -z $LINKS ]] || {{ echo "not a plain file: $LINKS"; false; }}
DIGESTS=$({{ fact {name} chain || true; }} | jq -r 'arrays | .[].manifest_digest')
DIGESTS="$DIGESTS $(fact {name} manifest_digest)"
PARTS=()
for DIGEST in $DIGESTS; do
    PART=$FETCHED
    ((${{#PARTS[@]}} == 0)) || PART=$FETCHED/increments/${{#PARTS[@]}}
    echo "$DIGEST  $PART/data/backup_manifest" | sha256sum --check --quiet
    for LINK in "$PART"/data/pg_tblspc/*; do
        [[ ! -L $LINK ]] || ln -sfnT "$(realpath "$PART")/tablespaces/${{LINK##*/}}" "$LINK"
    done
    pg_verifybackup --quiet --no-parse-wal "$PART/data"
    PARTS+=("$PART/data")
done
if ((${{#PARTS[@]}} > 1)); then
    mkdir -p {name}.combined/tablespaces
    SPACES=()
    for SPACE in "$(realpath "$PART")"/tablespaces/*; do
        [[ ! -d $SPACE ]] || SPACES+=(-T "$SPACE=$PWD/{name}.combined/tablespaces/${{SPACE##*/}}")
    done
    pg_combinebackup --output={name}.combined/data "${{SPACES[@]}}" "${{PARTS[@]}}"
    FETCHED={name}.combined
fi
pg_verifybackup --quiet "$FETCHED/data"
""",
        makes=f"rm -rf -- {work_directories(name, _SCRATCH)}",
    )


def _placed(name: str) -> Passage:
    off, nothing = (
        "".join(f"{key} = '{value}'\\n" for key, value in settings.items()).replace("$", "\\$")
        for settings in (OFF, LOADS_NOTHING)
    )
    return Passage(
        "Move the files to the data directory, which must be missing or empty, and the tablespaces "
        "into it. The restored server does not use the old configuration: it must not write into "
        "the archive of the lost server, or follow another server. The old postgresql.auto.conf "
        "is kept as postgresql.auto.conf.lost, for you to read:",
        f"""\
[[ ! -e $DATA ]] || rmdir "$DATA"
mv -T "$FETCHED/data" "$DATA"
SPACES="$DATA/{SPACES_DIRECTORY}"
[[ ! -d $SPACES ]] || find "$SPACES" -type d -empty -delete # of tablespaces that were dropped
mv --backup=numbered -T "$FETCHED/tablespaces" "$SPACES"
for LINK in "$DATA"/pg_tblspc/*; do
    [[ ! -L $LINK ]] || ln -sfnT "$DATA/{SPACES_DIRECTORY}/${{LINK##*/}}" "$LINK"
done
rm -f "$DATA"/standby.signal "$DATA"/postmaster.pid
mv "$DATA/postgresql.auto.conf" "$DATA/postgresql.auto.conf.lost"
printf "{off}" > "$DATA/postgresql.auto.conf"
[[ ! -e $DATA/postgresql.conf ]] || printf "{nothing}" >> "$DATA/postgresql.auto.conf"
touch "$DATA/recovery.signal"
chmod 0700 "$DATA"
""",
        makes="$( ((EUID)) || echo runuser -u postgres --) $(command -v pg_ctl) stop "
        "--mode=immediate --pgdata=${DATA@Q} 2> /dev/null; "
        f"rm -rf -- ${{DATA@Q}} {work_directories(name, _SCRATCH)}",
    )


def _rolled(name: str) -> Passage:
    return Passage(
        "To get more than the base backup: fetch the WAL that drd has stored since, from the "
        "repository beside this one (of each batch only the newest snapshot, which has all of it), "
        "and put it into the data directory. `pg_waldump` names "
        "damaged WAL: PostgreSQL itself would take it for the end. The server replays all of it. "
        'To stop before a time, set STOP before you go on: STOP="-c '
        "recovery_target_time='2026-11-25T00:31:00Z' -c recovery_target_inclusive=off -c "
        'recovery_target_action=promote". Afterwards the numbers of rows differ from those at the '
        "backup:",
        f"""\
WAL="${{RESTIC_REPOSITORY%/}}{SUFFIX}"
SOURCE=$(fact {name} system_identifier)
END=$(fact {name} end_lsn)
[[ $END =~ ^[0-9A-F]{{1,8}}/[0-9A-F]{{1,8}}$ ]] # else the shell would evaluate it
FROM=$(printf %x $((16#${{END%/*}} << 32 | 16#${{END#*/}})))
TIMELINE=$(printf %x "$(fact {name} timeline)")
restic -r "$WAL" snapshots --json --tag "drd-log,component:{name},log-source:$SOURCE" |
    jq --arg from "$FROM" --arg line "$TIMELINE" '{NEEDED}
    | map(select(of("log-line:") >= ($line | [length, .])))' \\
    > {name}.log.json || (($? == 10)) # 10: there is no such repository
mkdir -p {name}.wal
LINE=$(jq -r 'last // empty | .tags[] | select(startswith("log-line:")) | .[9:]' {name}.log.json)
[[ $LINE =~ ^[0-9a-f]{{0,8}}$ ]]
jq -r '.[] | {SUBTREE}' {name}.log.json | while IFS= read -r one; do
    restic -r "$WAL" restore --target {name}.wal -- "$one" </dev/null
done
SEGMENT=$(LC_ALL=C pg_controldata "$DATA" | sed -n 's/^Bytes per WAL segment: *//p')
find {name}.wal -type f -name '[0-9A-F]*' > {name}.replayed
echo "$LINE" > {name}.line
find {name}.wal -type f -name '[0-9A-F]*' -print0 | while IFS= read -r -d '' one; do
    [[ $one == *.history ]] || truncate -s "$SEGMENT" "$one"
    mv -f "$one" "$DATA/pg_wal/"
done
""",
    )


def _started(name: str) -> Passage:
    return Passage(
        "Start the server with a temporary configuration, on a socket in a new directory. It "
        "replays all the WAL, and accepts connections afterwards. Before you start the server with "
        "the configuration of this host (on Debian: pg_createcluster MAJOR NAME -d DIRECTORY), "
        "stop it with `stop_server`:",
        f"""\
replayed() {{ # pg_ctl waits only until the replay has begun
    until [[ -n $RUN ]] && pg_isready --quiet --host="$RUN" --port={_PORT}; do
        on_server status || return
        sleep 1
        [[ -n $RUN ]] || RUN=$(sed -n 5p "$DATA/postmaster.pid")
    done
}}
BEGUN=yes
if [[ -e $DATA/postmaster.pid ]] && on_server status; then
    PID=$(head -n 1 "$DATA/postmaster.pid")
    grep -qs unix_socket_directories=/tmp/drd- "/proc/$PID/cmdline" || {{ IN_USE=$DATA
        echo "a server of this host already works in $DATA: stop it, then start the script again"
        false; }}
    RUN=$(sed -n 5p "$DATA/postmaster.pid") # of an earlier run
else
    RUN=$(mktemp -d /tmp/drd-XXXXXX)
    printf 'local all all trust\\n' > "$RUN/hba"
    : > "$RUN/conf"
    ((EUID != 0)) || chown -R postgres: "$DATA" "$RUN"
    setting() {{ LC_ALL=C pg_controldata "$DATA" | sed -n "s/^$1 setting: *//p"; }}
    LINE=$(cat {name}.line 2>/dev/null || true) # of the WAL
    [[ $LINE =~ ^[0-9a-f]{{0,8}}$ ]]
    on_server start --wait --timeout=86400 --log="$RUN/log" --options="-p {_PORT} \\
        -c config_file='$RUN/conf' -c hba_file='$RUN/hba' -c unix_socket_directories='$RUN' \\
        -c unix_socket_permissions=0700 \\
        -c listen_addresses= -c restore_command=false -c shared_preload_libraries= \\
        -c hot_standby=off \\
        -c max_connections=$(setting max_connections) \\
        -c max_worker_processes=$(setting max_worker_processes) \\
        -c max_prepared_transactions=$(setting max_prepared_xacts) \\
        -c max_wal_senders=$(setting max_wal_senders) \\
        -c max_locks_per_transaction=$(setting max_locks_per_xact) \\
        ${{LINE:+-c recovery_target_timeline=$((16#$LINE))}} ${{STOP-}}" || BEGUN=
fi
[[ -n $BEGUN ]] && replayed || {{ tail -n 20 "$RUN/log" || true
    echo "the server does not run; its log: $RUN/log"; false; }}
PGPORT=$(sed -n 4p "$DATA/postmaster.pid") PGHOST=$(sed -n 5p "$DATA/postmaster.pid")
PGUSER="$(fact {name} bootstrap_role)"
PGDATABASE="$(fact {name} database)"
export PGHOST PGPORT PGUSER PGDATABASE
""",
        always=True,
    )


def _compared(name: str, *, logged: bool) -> Passage:
    ask = """PGDATABASE="$database" psql -XAtq -c "select count(*) from ${table#*.}\""""
    compare = f"""\
jq -r '.components[] | select(.component == "{name}") | .fingerprint
    | .tables // {{}} | to_entries[] | [.key, .value[0]] | @tsv' manifest.json |
while IFS=$'\\t' read -r table expected; do
    database=${{table%%.*}}
    [[ $database != \\"* ]] || {{ database=${{table#\\"}}; database=${{database%%\\".*}}; }}
{same_rows(name, ask, logged=logged)}"""
    log = " If WAL was replayed, the numbers are shown and not compared." if logged else ""
    return Passage(
        "For each table, compare the number of rows with the number at the backup. If the name of "
        "a database contains a dot or a quote, count the rows of its tables yourself. Tables that "
        f"changed during the backup are left out: nobody knows how many rows they had.{log}",
        compare,
        compares=True,
        there=_THERE,
    )

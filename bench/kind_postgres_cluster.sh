#!/bin/bash
# What an administrator writes for a whole PostgreSQL server. The first argument is backup, drill or
# recover; the others are the snapshot, and files with the expected counts and queries. restic's
# variables, BIN, PGHOST, PGPORT, PGUSER, SANDBOX, TARGET and SERVER_USER come by environment.
set -euo pipefail
begun=$EPOCHREALTIME
act=$1 snapshot=${2:-} expected=${3:-} queries=${4:-}
as=()
[[ -z $SERVER_USER ]] || as=(setpriv --reuid="$SERVER_USER" --regid="$SERVER_USER" --init-groups)

backup() {
    trap 'rm -rf "$SANDBOX"' EXIT
    mkdir -p "$SANDBOX"
    "$BIN/pg_basebackup" -D "$SANDBOX/data" --checkpoint=fast --no-sync \
        --manifest-checksums=SHA256
    restic backup -q "$SANDBOX/data"
}

answered() { # a drill: says after how many seconds the last check was answered
    awk "BEGIN { print $EPOCHREALTIME - $begun }"
}

fetch() {
    mkdir -p "$SANDBOX/fetched"
    restic restore -q "$snapshot" --target "$SANDBOX/fetched"
    data=$(dirname "$(find "$SANDBOX/fetched" -name backup_manifest)")
    "$BIN/pg_verifybackup" -q "$data"
    chmod 700 "$data"
}

serve() { # starts a server on $data, and asks it
    local query answer table rows found
    mkdir "$SANDBOX/socket"
    [[ -z $SERVER_USER ]] || chown -R "$SERVER_USER" "$SANDBOX" "$data"
    cd "$SANDBOX"
    "${as[@]}" "$BIN/pg_ctl" -D "$data" -w -l "$SANDBOX/log" \
        -o "-c listen_addresses='' -k $SANDBOX/socket -c fsync=off -c archive_mode=off" \
        start >/dev/null
    local psql=("$BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h "$SANDBOX/socket" -d shop)
    while IFS= read -r query; do
        answer=$("${psql[@]}" -c "$query")
        ((answer > 0)) || { echo "$query: $answer" >&2; exit 1; }
    done <"$queries"
    while read -r table rows; do
        found=$("${psql[@]}" -c "select count(*) from $table")
        [[ $found == "$rows" ]] || { echo "$table: $found rows, expected $rows" >&2; exit 1; }
    done <"$expected"
}

stop() {
    "${as[@]}" "$BIN/pg_ctl" -D "$data" -m "$1" -w stop >/dev/null
}

drill() {
    trap 'rm -rf "$SANDBOX"' EXIT
    fetch
    serve
    answered
    stop immediate
}

recover() {
    trap 'rm -rf "$SANDBOX"' EXIT
    fetch
    serve
    stop fast
    sync -f "$data" # a crash of the host must not leave half of it under the final name
    mv "$data" "$TARGET"
}

"$act"

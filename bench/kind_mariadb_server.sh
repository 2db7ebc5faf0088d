#!/bin/bash
# What an administrator writes for a whole MariaDB server who wants to know what drd wants to know:
# rows are counted at the backup, and every file is verified before a server starts on it. The first
# argument is backup, drill or recover; the others are the snapshot, and files with the expected
# counts and queries. restic's variables, SOCKET, SANDBOX, TARGET and SERVER_USER come by environment.
set -euo pipefail
begun=$EPOCHREALTIME
act=$1 snapshot=${2:-} expected=${3:-} queries=${4:-}
as=()
[[ -z $SERVER_USER ]] || as=(setpriv --reuid="$SERVER_USER" --regid="$(id -g "$SERVER_USER")" --clear-groups)
made=(--innodb-undo-tablespaces=0)

backup() {
    trap 'rm -rf "$SANDBOX"' EXIT
    mkdir -p "$SANDBOX"
    mariadb-backup --no-defaults --backup --target-dir="$SANDBOX/data" --parallel=2 \
        -u root -S "$SOCKET" 2>"$SANDBOX/log"
    (cd "$SANDBOX/data" && find . -type f ! -name '*.ibd' ! -name ibdata1 -print0 | xargs -0 sha256sum) >"$SANDBOX/list"
    counts | mariadb --no-defaults -N -B -u root -S "$SOCKET" shop >"$SANDBOX/counts"
    restic backup -q "$SANDBOX/data"
    restic backup -q "$SANDBOX/list" "$SANDBOX/counts"
}

counts() { # the queries for one client
    local table
    while read -r table _; do
        echo "select '$table', count(*) from $table;"
    done <"$expected"
}

fetch() {
    mkdir -p "$SANDBOX/fetched"
    restic restore -q "$snapshot" --target "$SANDBOX/fetched"
    data=$(dirname "$(find "$SANDBOX/fetched" -name ibdata1)")
    verify
    [[ -z $SERVER_USER ]] || chown -R "$SERVER_USER" "$SANDBOX"
    find "$SANDBOX/fetched" -type d -exec chmod a+x {} +
    chmod 700 "$data"
    "${as[@]}" mariadb-backup --prepare --target-dir="$data" --use-memory=256M 2>"$SANDBOX/log"
}

verify() { # the digest of each file as far as drd takes one, the checksum of each page of InnoDB
    (cd "$data" && find . -type f ! -name '*.ibd' ! -name ibdata1 -print0 | xargs -0 sha256sum) >"$SANDBOX/found"
    find "$data" \( -name '*.ibd' -o -name ibdata1 \) -print0 | xargs -0 -n 1 -P 2 innochecksum
}

answered() { # a drill: says after how many seconds the last check was answered
    awk "BEGIN { print $EPOCHREALTIME - $begun }"
}

serve() { # starts a server on the directory $data, and asks it
    local query answer found
    cd "$SANDBOX"
    "${as[@]}" /usr/sbin/mariadbd --no-defaults --datadir="$data" --socket="$SANDBOX/s" \
        --pid-file="$SANDBOX/pid" --skip-networking --skip-log-bin --event-scheduler=OFF \
        --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 \
        --innodb-buffer-pool-size=256M "${made[@]}" >"$SANDBOX/log" 2>&1 &
    server=$!
    local there=(mariadb --no-defaults -N -B -u root -S "$SANDBOX/s")
    until [[ -S $SANDBOX/s ]] && "${there[@]}" -e "select 1" >/dev/null 2>&1; do sleep 0.05; done
    while IFS= read -r query; do
        answer=$("${there[@]}" shop -e "$query")
        ((answer > 0)) || { echo "$query: $answer" >&2; exit 1; }
    done <"$queries"
    found=$(counts | "${there[@]}" shop | tr '\t' ' ')
    [[ $found == "$(<"$expected")" ]] || { echo "found $found" >&2; exit 1; }
}

clean_up() {
    [[ -z ${server:-} ]] || kill -9 "$server" 2>/dev/null || true
    rm -rf "$SANDBOX"
}

drill() {
    trap clean_up EXIT
    fetch
    serve
    answered
}

recover() {
    trap clean_up EXIT
    fetch
    serve
    kill "$server"
    wait "$server" || true
    sync -f "$data" # a crash of the host must not leave half of it under the final name
    mv -T "$data" "$TARGET" # an empty directory may be there
}

"$act"

#!/bin/bash
# What an administrator writes for a MariaDB database; rows are counted at the backup. The first argument is backup, drill or
# recover; the others are the snapshot, and files with the expected counts and queries. restic's
# variables, SOCKET, SANDBOX and SERVER_USER come by environment.
set -euo pipefail
begun=$EPOCHREALTIME
act=$1 snapshot=${2:-} expected=${3:-} queries=${4:-}
here=(mariadb --no-defaults -N -B -u root -S "$SOCKET")
as=()
[[ -z $SERVER_USER ]] || as=(setpriv --reuid="$SERVER_USER" --regid="$(id -g "$SERVER_USER")" --clear-groups)

backup() {
    mariadb-dump --no-defaults --single-transaction --quick --hex-blob --routines --events \
        --triggers -u root -S "$SOCKET" shop |
        restic backup -q --stdin --stdin-filename shop.sql
    counts | "${here[@]}" shop | restic backup -q --stdin --stdin-filename counts
}

counts() { # the queries for one client
    local table
    while read -r table _; do
        echo "select '$table', count(*) from $table;"
    done <"$expected"
}

answered() { # a drill: says after how many seconds the last check was answered
    awk "BEGIN { print $EPOCHREALTIME - $begun }"
}

fetch() {
    mkdir -p "$SANDBOX/fetched"
    restic restore -q "$snapshot" --target "$SANDBOX/fetched"
}

examine() { # DATABASE CLIENT...
    local database=$1 query answer found
    shift
    while IFS= read -r query; do
        answer=$("$@" "$database" -e "$query")
        ((answer > 0)) || { echo "$query: $answer" >&2; exit 1; }
    done <"$queries"
    found=$(counts | "$@" "$database" | tr '\t' ' ')
    [[ $found == "$(<"$expected")" ]] || { echo "found $found" >&2; exit 1; }
}

clean_up() {
    [[ ! -f $SANDBOX/pid ]] || kill -9 "$(<"$SANDBOX/pid")" 2>/dev/null || true
    rm -rf "$SANDBOX"
}

drill() {
    trap clean_up EXIT
    local made=(--innodb-log-file-size=16M --innodb-undo-tablespaces=0)
    fetch
    [[ -z $SERVER_USER ]] || chown "$SERVER_USER" "$SANDBOX"
    cd "$SANDBOX"
    "${as[@]}" mariadb-install-db --no-defaults --datadir="$SANDBOX/data" \
        --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve \
        "${made[@]}" >/dev/null 2>&1
    "${as[@]}" /usr/sbin/mariadbd --no-defaults --datadir="$SANDBOX/data" --socket="$SANDBOX/s" \
        --pid-file="$SANDBOX/pid" --skip-networking --skip-log-bin --event-scheduler=OFF \
        --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 \
        --innodb-buffer-pool-size=256M "${made[@]}" >"$SANDBOX/log" 2>&1 &
    local there=(mariadb --no-defaults -N -B -u root -S "$SANDBOX/s")
    until [[ -S $SANDBOX/s ]] && "${there[@]}" -e "select 1" >/dev/null 2>&1; do sleep 0.05; done
    "${there[@]}" -e "create database shop"
    "${there[@]}" shop <"$(echo "$SANDBOX"/fetched/*)"
    examine shop "${there[@]}"
    answered
}

recover() {
    trap 'rm -rf "$SANDBOX"' EXIT
    fetch
    "${here[@]}" -e "create database back_working"
    "${here[@]}" back_working <"$(echo "$SANDBOX"/fetched/*)"
    examine back_working "${here[@]}"
    # MariaDB cannot rename a database: its tables move.
    local moves
    moves=$("${here[@]}" -e "select group_concat('back_working.', table_name, ' to back.',
        table_name) from information_schema.tables where table_schema = 'back_working'")
    "${here[@]}" -e "create database back; rename table $moves; drop database back_working"
}

"$act"

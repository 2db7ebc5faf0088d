#!/bin/bash
# What an administrator writes for a Redis or Valkey server; the keys of the file are counted at the
# backup, and before it is loaded. The first argument is backup, drill or
# recover, the second the snapshot. restic's variables, PRODUCT, SOCKET, DATA, KEYS, SANDBOX, TARGET
# and SERVER_USER come by environment.
set -euo pipefail
begun=$EPOCHREALTIME
act=$1 snapshot=${2:-}
here=("$PRODUCT-cli" -s "$SOCKET")
as=()
[[ -z $SERVER_USER ]] || as=(setpriv --reuid="$SERVER_USER" --regid="$(id -g "$SERVER_USER")" --clear-groups)

backup() {
    "${here[@]}" bgsave >/dev/null
    while "${here[@]}" info persistence | grep -q rdb_bgsave_in_progress:1; do sleep 0.05; done
    "$PRODUCT-check-rdb" "$DATA/dump.rdb" >"$SANDBOX.said" # its keys, for a comparison later
    restic backup -q --stdin --stdin-filename it.rdb <"$DATA/dump.rdb"
    restic backup -q --stdin --stdin-filename keys <"$SANDBOX.said"
    rm "$SANDBOX.said"
}

answered() { # a drill: says after how many seconds the last check was answered
    awk "BEGIN { print $EPOCHREALTIME - $begun }"
}

fetch() {
    mkdir -p "$SANDBOX/fetched"
    restic restore -q "$snapshot" --target "$SANDBOX/fetched"
}

examine() { # no program reads the file before this one
    "$PRODUCT-check-rdb" "$(echo "$SANDBOX"/fetched/*)" >"$SANDBOX/said"
    grep -q "$KEYS keys read" "$SANDBOX/said" || { echo "keys are missing" >&2; exit 1; }
}

clean_up() {
    [[ ! -f $SANDBOX/pid ]] || kill -9 "$(<"$SANDBOX/pid")" 2>/dev/null || true
    rm -rf "$SANDBOX"
}

drill() {
    trap clean_up EXIT
    fetch
    examine
    mv "$SANDBOX"/fetched/* "$SANDBOX/dump.rdb"
    [[ -z $SERVER_USER ]] || chown -R "$SERVER_USER" "$SANDBOX"
    "${as[@]}" "$PRODUCT-server" --port 0 --unixsocket "$SANDBOX/s" --dir "$SANDBOX" --save "" \
        --pidfile "$SANDBOX/pid" --daemonize yes >/dev/null
    local there=("$PRODUCT-cli" -s "$SANDBOX/s")
    until "${there[@]}" ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
    [[ $("${there[@]}" dbsize) == "$KEYS" ]] || { echo "keys are missing" >&2; exit 1; }
    answered
}

recover() {
    trap 'rm -rf "$SANDBOX"' EXIT
    fetch
    examine
    sync "$SANDBOX"/fetched/* # a crash of the host must not leave half of it under the final name
    mv "$SANDBOX"/fetched/* "$TARGET"
}

"$act"

#!/bin/bash
# A restore test as an administrator writes it: fetch, initdb, start, roles, restore, queries,
# counts, clean up. Arguments: the snapshot, and files with expected counts, queries and roles.
# restic's variables, BIN (PostgreSQL's programs), SANDBOX and SERVER_USER come by environment.
set -euo pipefail
snapshot=$1 expected=$2 queries=$3 roles=$4
as=()
[[ -z $SERVER_USER ]] || as=(setpriv --reuid="$SERVER_USER" --regid="$SERVER_USER" --init-groups)

clean_up() {
    if [[ -f $SANDBOX/data/postmaster.pid ]]; then
        "${as[@]}" "$BIN/pg_ctl" -D "$SANDBOX/data" -m immediate -w stop >/dev/null || true
    fi
    rm -rf "$SANDBOX"
}
trap clean_up EXIT

mkdir -p "$SANDBOX/fetched"
[[ -z $SERVER_USER ]] || chown "$SERVER_USER" "$SANDBOX"
restic restore -q "$snapshot" --target "$SANDBOX/fetched"
cd "$SANDBOX"
"${as[@]}" "$BIN/initdb" -D "$SANDBOX/data" -U postgres --auth=trust --encoding=UTF8 \
    --locale=C.UTF-8 --no-sync >/dev/null
"${as[@]}" "$BIN/pg_ctl" -D "$SANDBOX/data" -w -l "$SANDBOX/server.log" \
    -o "-c listen_addresses='' -k $SANDBOX -c fsync=off -c full_page_writes=off" start >/dev/null
psql=("$BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h "$SANDBOX" -U postgres)
"${psql[@]}" -d postgres -f "$roles"
"$BIN/createdb" -h "$SANDBOX" -U postgres shop
"$BIN/pg_restore" --exit-on-error -j2 -h "$SANDBOX" -U postgres -d shop "$SANDBOX"/fetched/*.dump

while IFS= read -r query; do
    answer=$("${psql[@]}" -d shop -c "$query")
    ((answer > 0)) || { echo "$query: $answer" >&2; exit 1; }
done <"$queries"
sed -E "s/(.*) .*/select '\1 ' || count(*) from \1;/" "$expected" |
    "${psql[@]}" -d shop | diff - "$expected" >&2

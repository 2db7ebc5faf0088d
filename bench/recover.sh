#!/bin/bash
# A recovery as an administrator writes it: fetch, roles that are missing, restore beside, queries,
# counts, the final name last. Arguments: the snapshot, and files with expected counts and queries.
# restic's variables, BIN (PostgreSQL's programs), PGHOST, PGPORT, PGUSER, LANDING and TARGET by
# environment.
set -euo pipefail
snapshot=$1 expected=$2 queries=$3
trap 'rm -rf "$LANDING"' EXIT

mkdir -p "$LANDING"
restic restore -q "$snapshot" --target "$LANDING"
psql=("$BIN/psql" -XqAt -v ON_ERROR_STOP=1)
found=$("${psql[@]}" -d postgres -c "select count(*) from pg_database where datname = '$TARGET'")
[[ $found == 0 ]] || { echo "$TARGET is there" >&2; exit 1; }
"$BIN/createdb" "${TARGET}_working"
"$BIN/pg_restore" --exit-on-error -j2 -d "${TARGET}_working" "$LANDING"/*.dump

while IFS= read -r query; do
    answer=$("${psql[@]}" -d "${TARGET}_working" -c "$query")
    ((answer > 0)) || { echo "$query: $answer" >&2; exit 1; }
done <"$queries"
sed -E "s/(.*) .*/select '\1 ' || count(*) from \1;/" "$expected" |
    "${psql[@]}" -d "${TARGET}_working" | diff - "$expected" >&2
"${psql[@]}" -d postgres -c "alter database ${TARGET}_working rename to $TARGET"

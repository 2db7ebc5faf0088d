"""Restore a server by hand, with restic, jq and the server itself."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from drd.kinds.redis.settings import RedisTarget, ServerSettings
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import ByHand, Passage

_APPEND_ONLY = (
    "A server with `appendonly yes` reads only its append-only files, and ignores {dump}. If it "
    "finds none, it starts without data and later replaces {dump} by its empty state. So these "
    "commands write the append-only files as well where the server uses them:"
)


def by_hand(
    component: Component,
    target: object | None,
    *,
    place: str,  # noqa: ARG001 - needs no file
    resolve: Callable[[SecretRef], str],  # noqa: ARG001 - nor a secret
) -> ByHand:
    name, own = component.name, component.settings
    assert isinstance(own, ServerSettings)
    directory, known = own.dir, None
    if isinstance(target, RedisTarget):
        directory, known = target.path, target.appendonly
    where = quote(directory) if directory is not None else ""
    passages = [
        Passage(
            "Define a command that loads the restored data into a temporary server, which does not "
            "save anything, and asks this server:",
            _asking(name, component.kind),
            always=True,
        ),
        Passage("Fetch the data:", _fetch(name)),
        Passage(
            "Stop the server first: when it stops, it replaces its file by its own data. Then "
            "replace this file by the restored file. "
            + _APPEND_ONLY.format(dump="dump.rdb")
            + ("" if directory is not None else " Set DIR to the data directory of the server."),
            _publish(name, where or "/var/lib/redis", known),
            adapt=directory is None,
        ),
        Passage(
            "In each database, count the keys without a time to live:",
            _compare(name),
            compares=True,
            there=f"[[ -s {where}/$(fact {name} dump) ]]" if where else "",
        ),
        Passage(
            "The users of the server's ACLs are now in users.acl beside the data: compare them "
            "with those in the configuration of the server. Then start the server.",
        ),
    ]
    path = where or quote("/var/lib/redis")
    return ByHand(
        tuple(passages),
        first=_exists(name, component.kind, where) if where else "",
        ask=_asks(name),
        values={"location": path, "path": path, "url": quote(own.url)},
        environment=f"DRD_PATH={path} DRD_URL={quote(own.url)}",
    )


def _asks(name: str) -> str:
    """Return the name of the function of bash that asks the restored data."""
    return f"ask_{name.replace('-', '_')}"


def _exists(name: str, kind: str, where: str) -> str:
    return f"""\
DIR={where}
if [[ ! -d $DIR ]]; then
    echo "The data directory of {name} does not exist: $DIR"
    echo "Mount its disk. Or make the directory as below, and run the script again:"
    echo "install -d -o {kind} -g {kind} -m 0750 -- ${{DIR@Q}}"
    false
fi >&2
"""


def _fetch(name: str) -> str:
    return f"""\
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > {name}.rdb
echo "$(fact {name} sha256)  {name}.rdb" | sha256sum --check --quiet
jq -r '.private["{name}"].acl[]?' manifest.json > {name}.acl
"""


def _publish(name: str, where: str, known: bool | None) -> str:
    uses = f"$(fact {name} appendonly || true)" if known is None else str(known).lower()
    return f"""\
DIR={where}
DUMP=$(fact {name} dump) AOF=$(fact {name} aof_directory) AOF_NAME=$(fact {name} aof_name)
for NAME in "$DUMP" "$AOF" "$AOF_NAME"; do
    [[ $NAME =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] ||
        {{ echo "this is no name of a file: ${{NAME@Q}}"; false; }}
done
DUMP="$DIR/$DUMP" AOF="$DIR/$AOF"
APPENDONLY={uses}
for old in "$DUMP" "$DIR/users.acl" "$AOF" "$DIR/$AOF_NAME"; do
    [[ ! -e $old ]] || mv --backup=numbered -T -- "$old" "$old.before" # a former one is kept, too
done
cp -- {name}.rdb "$DUMP"
[[ ! -s {name}.acl ]] || cp -- {name}.acl "$DIR/users.acl"
if [[ $APPENDONLY == true && $(fact {name} product)-$(fact {name} version) == redis-[1-6].* ]]; then
    cp -- {name}.rdb "$DIR/$AOF_NAME"
elif [[ $APPENDONLY == true ]]; then
    mkdir -m 750 -- "$AOF"
    cp -- {name}.rdb "$AOF/$AOF_NAME.1.base.rdb"
    echo "file $AOF_NAME.1.base.rdb seq 1 type b" > "$AOF/$AOF_NAME.manifest"
fi
for new in "$DUMP" "$DIR/users.acl" "$AOF" "$DIR/$AOF_NAME"; do
    if [[ -e $new && $EUID == 0 ]]; then chown -R --reference="$DIR" -- "$new"; fi
done
echo "append-only files: $APPENDONLY. The server must have the same setting (appendonly)."
"""


def _asking(name: str, kind: str) -> str:
    asks = _asks(name)
    return f"""\
{asks}() {{
    local own status=0; own=$(mktemp -d)
    cp -- {name}.rdb "$own/dump.rdb"
    {kind}-server --port 0 --unixsocket "$own/s" --dir "$own" --save '' --appendonly no \\
        --databases 65536 --logfile "$own/log" </dev/null & local pid=$!
    until {kind}-cli -s "$own/s" ping 2>/dev/null | grep -q PONG; do
        kill -0 "$pid" 2>/dev/null || {{ tail -n 5 "$own/log" >&2; rm -r -- "$own"; return 1; }}
        sleep 0.2
    done
    xargs {kind}-cli -s "$own/s" <<< "$1" || status=$?
    {kind}-cli -s "$own/s" shutdown nosave || true
    wait "$pid" || true
    rm -r -- "$own"
    return "$status"
}}
"""


def _compare(name: str) -> str:
    return f"""\
{_asks(name)} 'INFO keyspace' | tr -d '\\r' > {name}.keys
jq -r '.components[] | select(.component == "{name}") | .fingerprint.tables // {{}}
    | to_entries | map(select(.key | test("^db[0-9]+ [^ ]+$")))
    | group_by(.key | split(" ")[0])[]
    | [(.[0].key | split(" ")[0]), (map(.value[0] | numbers) | add)] | @tsv' manifest.json |
while IFS=$'\\t' read -r db expected; do
    line=$(grep "^$db:" {name}.keys || echo "$db:keys=0,expires=0")
    all=$(sed -E 's/.*keys=([0-9]+).*/\\1/' <<< "$line")
    [[ $all =~ ^[0-9]+$ && $expected =~ ^[0-9]+$ ]] # else the shell would evaluate it
    ends=$(sed -E 's/.*[:,]expires=([0-9]+).*/\\1/' <<< "$line")
    found=$((all - ends))
    (( found >= expected )) || {{ echo "$db: $found keys, expected $expected"; false; }}
    echo "$db: $found keys"
done
"""

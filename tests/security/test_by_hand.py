"""Attack: a manifest whose values become commands of the script that recovers without drd.

The version of pg_dump was compared as a number, which bash evaluates together with the commands in
it, and named a directory of programs; psql ran the commands in the SQL of the roles; the path of a
SQLite file was the manifest's own. The names of the files of a Redis server were paths; bash
evaluated the number of its keys; a setting of a MariaDB server had a second line for the
configuration; WAL went to where a link in the files of a PostgreSQL server led; and a name of a
MariaDB database with a backslash gave the client `mariadb` a command of its shell. The second line
of a path in the repository of a log was a word for restic, which ran a command, or the name of a
file of this host, which was cut off and moved. A statement in a binary log read root's files into
a table, and made programs for the server.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from shlex import quote
from types import SimpleNamespace
from typing import Any

import pytest

from drd.kinds.mariadb import by_hand as mariadb
from drd.kinds.mariadb.physical import by_hand as mariadb_server
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.kinds.mariadb.settings import MariadbSettings
from drd.kinds.postgres import by_hand as postgres
from drd.kinds.postgres.physical import by_hand as cluster
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.kinds.postgres.settings import PostgresSettings
from drd.kinds.redis import by_hand as redis
from drd.kinds.redis.settings import RedisSettings
from drd.kinds.sqlite import by_hand as sqlite
from drd.kinds.sqlite.settings import SqliteSettings
from drd.kit import by_hand as page
from drd.model.log_place import SUFFIX
from drd.model.plan import Component
from drd.ports.by_hand import ByHand

_TOOLS = {
    "restic": "exit 0",
    "mariadb": 'echo "mariadb $*" >> "$RAN"; echo 0; case "$*" in *-e*) ;; *) cat >/dev/null; esac',
    "psql": 'echo "psql $*" >> "$RAN"',
    "pg_restore": 'echo "pg_restore (PostgreSQL) 17.2"',
    "createuser": "exit 0",
    "su": "exit 0",
    "sqlite3": "echo ok",
    "redis-server": "exit 0",
    "redis-cli": "echo PONG",
    "mariadb-backup": 'cat db.data/backup-my.cnf >> "$RAN" || true',
    "innochecksum": "exit 0",
    "pg_ctl": "echo 'pg_ctl (PostgreSQL) 99.1'",
    "pg_verifybackup": "exit 0",
    "pg_controldata": "echo 'Bytes per WAL segment: 4'",
}


_COPIED = ("mariadb-server", "postgres-cluster")

_NOTHING = hashlib.sha256(b"").hexdigest()
_LISTED = f'{{"backup_manifest": [0, "{_NOTHING}"], "postgresql.auto.conf": [0, ""]}}\n'

_RESTIC = f"""
[ "$1" != restore ] || {{
    mkdir -p "$4/copy/data" "$4/copy/tablespaces"
    echo '{_LISTED.strip()}' > "$4/copy/files.json"
    touch "$4/copy/data/backup_manifest" "$4/copy/data/postgresql.auto.conf"
    [ ! -e victim ] || ln -s "$PWD/victim" "$4/copy/data/pg_wal"
}}
[ "$3" != snapshots ] || echo '[{{"id": "1", "time": "2026-11-30"}}]'
[ "$3" != restore ] || {{ mkdir -p "$5"; echo evil > "$5/A"; }}
"""
"""restic that restores the files of a server, with a link to the victim if there is one, or a file
of a log from another repository."""


def _server(kind: str, base: Path) -> ByHand:
    if kind == "redis":
        settings = {"kind": kind, "url": "redis://localhost", "dir": str(base / "redis")}
        known = Component("db", kind, RedisSettings.model_validate(settings))
        return redis.by_hand(known, None, place="", resolve=lambda _: "")
    if kind == "mariadb":
        database = MariadbSettings.model_validate({"kind": kind, "dsn": "mariadb://u@localhost/s"})
        return mariadb.by_hand(
            Component("db", kind, database), None, place="", resolve=lambda _: ""
        )
    if kind == "mariadb-server":
        settings = {"kind": kind, "dsn": "mariadb://user@localhost/shop"}
        known = Component("db", kind, ServerSettings.model_validate(settings))
        return mariadb_server.by_hand(known, None, place="", resolve=lambda _: "")
    known = Component(
        "db", kind, ClusterSettings.model_validate({"kind": kind, "dsn": "host=localhost"})
    )
    return cluster.by_hand(known, None, place="", resolve=lambda _: "")


def _hand(kind: str) -> ByHand:
    if kind == "postgres":
        settings = PostgresSettings.model_validate({"kind": "postgres", "dsn": "dbname=shop"})
        return postgres.by_hand(
            Component("db", "postgres", settings), None, place="", resolve=lambda _: ""
        )
    file = SqliteSettings.model_validate({"kind": "sqlite", "path": "/srv/shop/shop.db"})
    return sqlite.by_hand(Component("db", "sqlite", file), None, place="", resolve=lambda _: "")


def _run(
    base: Path,
    kind: str,
    facts: dict[str, object],
    tables: dict[str, list[object]] | None = None,
    **private: object,
) -> subprocess.CompletedProcess[str]:
    """Run the commands of the page, with programs that only note that they ran."""
    bin_dir = base / "bin"
    bin_dir.mkdir(exist_ok=True)
    is_server = kind not in ("postgres", "sqlite")
    tools = {**_TOOLS, "restic": _RESTIC} if kind in _COPIED else _TOOLS
    if kind == "mariadb":
        tools = {**_TOOLS, "restic": "echo '-- Dump completed'"}
    for name, does in tools.items():
        (bin_dir / name).write_text(f"#!/bin/sh\n{does}\n")
        (bin_dir / name).chmod(0o755)
    manifest = {
        "components": [
            {
                "component": "db",
                "snapshot": "0" * 64,
                "facts": facts,
                "fingerprint": {"tables": tables or {}},
            }
        ],
        "private": {"db": private},
    }
    (base / "manifest.json").write_text(json.dumps(manifest))
    begin = (
        "set -euo pipefail\n"
        'fact() { jq -er --arg c "$1" --arg f "$2" '
        "'.components[] | select(.component == $c) | .facts[$f]' manifest.json; }\n"
        "snapshot() { echo 0; }\n"
    )
    hand = _server(kind, base) if is_server else _hand(kind)
    text = begin + "\n".join(p.commands for p in hand.passages)
    return subprocess.run(
        ["bash", "-c", text], cwd=base, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": f"{bin_dir}:/usr/bin:/bin", "RAN": f"{base}/ran", "HOME": str(base),
             "RESTIC_REPOSITORY": "r"},
    )  # fmt: skip


FACTS = {"pg_dump_major": 9, "filename": "db.dump", "database": "shop"}
SQL = {"globals_sql": 'CREATE ROLE "app";', "database_sql": 'CREATE DATABASE "shop";',
       "database": {"name": "shop"}}  # fmt: skip


def test_a_version_is_a_number_before_the_shell_computes_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = _run(tmp_path, "postgres", {**FACTS, "pg_dump_major": f"PATH[$(touch {mark})]"}, **SQL)
    assert done.returncode != 0
    assert not mark.exists()


def test_a_version_leads_to_no_programs_of_others(tmp_path: Path) -> None:
    evil = tmp_path / "evil/bin/pg_restore"
    evil.parent.mkdir(parents=True)
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/mark\n")
    evil.chmod(0o755)
    major = f"../../../..{tmp_path}/evil"
    assert _run(tmp_path, "postgres", {**FACTS, "pg_dump_major": major}, **SQL).returncode != 0
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("key", ["globals_sql", "database_sql"])
def test_sql_of_a_repository_gives_psql_no_command(key: str, tmp_path: Path) -> None:
    forged = {**SQL, key: f"{SQL[key]}\nselect 1 \\g |touch mark\n"}
    done = _run(tmp_path, "postgres", FACTS, **forged)
    assert done.returncode != 0
    assert "has a backslash, with which psql can run programs" in done.stdout
    ran = (tmp_path / "ran").read_text() if (tmp_path / "ran").exists() else ""
    assert f"-f db.{key.removesuffix('_sql')}" not in ran


def test_a_database_is_a_name_and_no_address_of_a_server(tmp_path: Path) -> None:
    facts = {**FACTS, "database": "host=192.0.2.1 dbname=shop"}
    assert _run(tmp_path, "postgres", facts, **SQL).returncode != 0
    assert "192.0.2.1" not in (tmp_path / "ran").read_text()


def test_a_sqlite_file_gets_the_place_that_the_plan_names() -> None:
    commands = "\n".join(p.commands for p in _hand("sqlite").passages)
    assert "TARGET=/srv/shop/shop.db\n" in commands
    assert "fact db path" not in commands


def test_healthy_twin_the_commands_of_an_honest_manifest_run(tmp_path: Path) -> None:
    done = _run(tmp_path, "postgres", FACTS, **SQL)
    ran = (tmp_path / "ran").read_text()
    assert done.returncode == 0, done
    assert "-f db.roles.sql" in ran
    assert "-f db.database.sql" in ran


REDIS = {"filename": "db.rdb", "sha256": _NOTHING, "dump": "dump.rdb", "aof_name": "a.aof",
         "aof_directory": "aof", "appendonly": True, "product": "redis",
         "version": "7.2"}  # fmt: skip
MARIADB = {"place": "/copy", "server_version": "11.8.2", "data_file_path": "ibdata1:12M",
           "files_digest": hashlib.sha256(_LISTED.encode()).hexdigest(), "page_size": 16384,
           "undo_tablespaces": 0, "lower_case_table_names": 0}  # fmt: skip
CLUSTER = {"place": "/copy", "server_major": 99, "chain": [], "manifest_digest": _NOTHING}


@pytest.mark.parametrize("key", ["dump", "aof_directory", "aof_name"])
def test_a_file_of_redis_stays_in_the_directory_of_the_server(key: str, tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    done = _run(tmp_path, "redis", {**REDIS, key: "../victim"})
    assert done.returncode != 0
    assert "this is no name of a file: '../victim'" in done.stdout
    assert victim.read_text() == "precious"


def test_a_number_of_keys_is_a_number_before_the_shell_computes_with_it(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    evil: dict[str, list[object]] = {"db0 string": [f"PATH[$(touch {tmp_path}/mark)]"]}
    assert _run(tmp_path, "redis", REDIS, evil).returncode != 0
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("evil", ["a:1M\nplugin-load-add=evil.so", "../victim:12M"])
def test_a_setting_of_a_copied_server_is_one_word_without_a_path(evil: str, tmp_path: Path) -> None:
    done = _run(tmp_path, "mariadb-server", {**MARIADB, "data_file_path": evil})
    assert done.returncode != 0
    assert "data_file_path cannot be" in done.stdout
    assert not (tmp_path / "db.data").exists()


SHOP = {"filename": "db.sql", "database": "shop"}
SHOP_SQL = {"database_sql": "CREATE DATABASE `shop`", "users_sql": "-- none",
            "objects_sql": "-- none"}  # fmt: skip


@pytest.mark.parametrize(
    "evil", ["\\! touch mark #\\", "a` is b", "a' or 'b"], ids=["backslash", "backtick", "quote"]
)
def test_a_name_of_a_database_gives_mariadb_no_command(evil: str, tmp_path: Path) -> None:
    done = _run(tmp_path, "mariadb", {**SHOP, "database": evil}, **SHOP_SQL)
    assert done.returncode != 0
    assert "a database cannot have the name" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_healthy_twin_no_client_of_mariadb_runs_programs(tmp_path: Path) -> None:
    done = _run(tmp_path, "mariadb", SHOP, {"orders": [0, ""]}, **SHOP_SQL)
    assert done.returncode == 0, done
    assert "orders: 0 rows" in done.stdout
    calls = [c for c in (tmp_path / "ran").read_text().splitlines() if c.startswith("mariadb ")]
    assert len(calls) > 5
    assert [call for call in calls if "--sandbox" not in call] == []


@pytest.mark.parametrize("own", ["latin1_bin", "latin1_bin; drop database x"])
def test_code_with_another_collation_needs_a_plain_name_of_the_own_one(
    own: str, tmp_path: Path
) -> None:
    sql = {**SHOP_SQL, "objects_sql": "ALTER DATABASE COLLATE `utf8mb4_gone_ci` $drd$\n"}
    done = _run(tmp_path, "mariadb", {**SHOP, "collation": own}, **sql)
    ran = (tmp_path / "ran").read_text()
    assert (done.returncode == 0) == (own == "latin1_bin"), done
    assert ("set collation_connection = utf8mb4_gone_ci" in ran) == (own == "latin1_bin")


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
def test_a_terminal_obeys_no_name_of_a_table(kind: str, tmp_path: Path) -> None:
    facts, private = (SHOP, SHOP_SQL) if kind == "mariadb" else (FACTS, SQL)
    done = _run(tmp_path, kind, facts, {"\x1b]0;evil\x07": [7, ""]}, **private)
    assert done.returncode != 0
    assert "evil" in done.stdout
    assert "rows, expected 7" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("kind", _COPIED)
def test_no_files_are_moved_that_are_not_of_the_copy(kind: str, tmp_path: Path) -> None:
    other = tmp_path / "other" / "data"
    other.mkdir(parents=True)
    (other / "backup_manifest").touch()
    (tmp_path / "other" / "files.json").write_text(_LISTED)
    (other / "postgresql.auto.conf").touch()
    facts = {**(MARIADB if kind == "mariadb-server" else CLUSTER), "place": "/../other"}
    assert _run(tmp_path, kind, facts).returncode != 0
    assert (other / "backup_manifest").exists()


def test_a_link_in_a_copied_server_gets_no_wal(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    done = _run(tmp_path, "postgres-cluster", CLUSTER)
    assert done.returncode != 0
    assert "not a plain file: db.fetched/copy/data/pg_wal" in done.stdout
    assert list((tmp_path / "victim").iterdir()) == []


def test_healthy_twin_the_commands_of_honest_servers_go_on(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    done = _run(tmp_path, "redis", REDIS, {"db0 string": [0, ""]})
    assert done.returncode == 0, done
    assert (tmp_path / "redis/dump.rdb").exists()
    assert (tmp_path / "redis/aof/a.aof.manifest").exists()
    _run(tmp_path, "mariadb-server", MARIADB)
    assert "innodb_data_file_path=ibdata1:12M" in (tmp_path / "ran").read_text()
    for left in ("data", "fetched"):
        shutil.rmtree(tmp_path / f"db.{left}")
    done = _run(tmp_path, "postgres-cluster", CLUSTER)
    assert (tmp_path / "db.data/recovery.signal").exists(), done


_WAL, _FIRST = "000000010000000000000001", "0/1000000"
LOGGED = {
    "postgres-cluster": {"system_identifier": "7", "end_lsn": _FIRST, "timeline": 1},
    "mariadb-server": {**MARIADB, "binlog_file": "binlog.000001", "binlog_position": 4},
}
"""Facts of servers whose log is stored as well."""


def _log_passage(kind: str) -> str:
    """The commands that fetch the log, without those that start a server with it."""
    if kind == "mariadb-server":
        settings = {"kind": kind, "dsn": "mariadb://user@localhost/shop", "binlog": {}}
        known = Component("db", kind, ServerSettings.model_validate(settings))
        hand = mariadb_server.by_hand(known, None, place="", resolve=lambda _: "")
        [text] = [p.commands for p in hand.passages if "binlog_position" in p.commands]
        return text.partition("RUN=$(mktemp")[0] + "fi\n"
    settings = {"kind": kind, "dsn": "host=localhost", "wal": {}}
    known = Component("db", kind, ClusterSettings.model_validate(settings))
    hand = cluster.by_hand(known, None, place="", resolve=lambda _: "")
    [text] = [p.commands for p in hand.passages if "log-source" in p.commands]
    return text


def _fetch_log(base: Path, kind: str, *evil: str) -> subprocess.CompletedProcess[str]:
    """Store a log with restic, as whoever has its password can: a file of the log, and beside it
    files with the paths `evil`. Then run the commands of the page."""
    env = {"PATH": f"{base}/bin:/usr/bin:/bin", "HOME": str(base), "RESTIC_PASSWORD": "secret",
           "RESTIC_REPOSITORY": "log", "RESTIC_CACHE_DIR": str(base / "cache")}  # fmt: skip
    push = base / "stored" / "push"
    names = [_WAL, "binlog.000001.1", *evil]
    for name in names:
        (push / name).parent.mkdir(parents=True, exist_ok=True)
        (push / name).write_text("log")
    number, end = (1, 2 << 24) if kind == "postgres-cluster" else (1, 2 << 48)
    tags = ["drd-log", "component:db", "log-source:7", "log-line:1", f"log-begin:{1:x}"]
    listed = [*tags, f"log-number:{number:x}", f"log-end:{end:x}"]
    _restic(base, env, "init")
    _restic(base, env, "backup", "--tag", ",".join(listed), str(push))
    for extra, directory in enumerate(p for p in push.iterdir() if p.is_dir()):
        listed = [*tags, f"log-number:{number + 1 + extra:x}", f"log-end:{end + 1 + extra:x}"]
        _restic(base, env, "backup", "--tag", ",".join(listed), "--", str(directory))
    (base / "bin").mkdir()
    (base / "bin/pg_controldata").write_text("#!/bin/sh\necho 'Bytes per WAL segment: 3'\n")
    (base / "bin/pg_controldata").chmod(0o755)
    (base / "data/pg_wal").mkdir(parents=True)
    facts = "\n".join(f"{name}) echo {quote(str(v))};;" for name, v in LOGGED[kind].items())
    begin = f"set -euo pipefail\nDATA=$PWD/data\nfact() {{ case $2 in\n{facts}\nesac; }}\n"
    text = (begin + _log_passage(kind)).replace(SUFFIX, "")
    return subprocess.run(
        ["bash", "-c", text], cwd=base, capture_output=True, text=True, timeout=60, check=False,
        env=env,
    )  # fmt: skip


def _restic(base: Path, env: dict[str, str], *words: str) -> None:
    subprocess.run(["restic", "-q", *words], cwd=base, env=env, check=True, capture_output=True)


def _fetched(base: Path, kind: str) -> str:
    file = "data/pg_wal/" + _WAL if kind == "postgres-cluster" else "db.binlog/binlog.000001"
    return (base / file).read_text()


@pytest.mark.parametrize("kind", _COPIED)
def test_the_path_of_a_log_is_no_word_for_restic(kind: str, tmp_path: Path) -> None:
    evil = f"\n--password-command=sh -c 'touch {tmp_path}/ran'/{_WAL}"
    done = _fetch_log(tmp_path, kind, evil)
    assert not (tmp_path / "ran").exists()
    assert done.returncode == 0, done
    assert _fetched(tmp_path, kind) == "log"


@pytest.mark.parametrize("kind", _COPIED)
def test_a_file_of_this_host_is_no_file_of_a_log(kind: str, tmp_path: Path) -> None:
    victim = tmp_path / ("F" if kind == "postgres-cluster" else "binlog.000001.0")
    victim.write_text("precious")
    done = _fetch_log(tmp_path, kind, f"d\n{victim}")
    assert victim.read_text() == "precious"
    assert done.returncode == 0, done
    assert "precious" not in _fetched(tmp_path, kind)


def test_a_log_of_mariadb_reads_and_makes_no_files(tmp_path: Path) -> None:
    settings = {"kind": "mariadb-server", "dsn": "mariadb://user@localhost/shop", "binlog": {}}
    known = Component("db", "mariadb-server", ServerSettings.model_validate(settings))
    hand = mariadb_server.by_hand(known, None, place="", resolve=lambda _: "")
    [replayed] = [p.commands for p in hand.passages if "mariadb-binlog" in p.commands]
    client = replayed.partition("mariadb-binlog --")[2]
    assert "--local-infile=0" in client
    assert "--skip-named-commands" in client
    starts = [p.commands for p in hand.passages if "--plugin-dir" in p.commands]
    assert len(starts) == 2
    assert [text for text in starts if '--secure-file-priv="$RUN/files"' not in text] == []


def test_a_terminal_obeys_no_version_of_a_server(tmp_path: Path) -> None:
    done = _run(tmp_path, "mariadb-server", {**MARIADB, "server_version": "11\x1b[2J"})
    assert "series of the backup: $'11\\E[2J'" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("key", ["point", "data_time"])
@pytest.mark.parametrize("honest", [True, False])
def test_what_commands_of_the_plan_use_of_a_manifest_is_no_text(
    key: str, honest: bool, tmp_path: Path
) -> None:
    manifest = {"complete": True, "point": "0a1b2c3d", "data_time": "2026-11-25T00:31:00.5Z",
                "components": [{"component": "db"}]}  # fmt: skip
    manifest[key] = manifest[key] if honest else f"{manifest[key]}; touch mark"
    (tmp_path / "made.json").write_text(json.dumps(manifest))
    (tmp_path / "restic").write_text(
        '#!/bin/sh\n[ "$1" != dump ] || exec cat made.json\n'
        """echo '[{"id": "1", "time": "2026-11-30"}]'\n"""
    )
    (tmp_path / "restic").chmod(0o755)
    plan: Any = SimpleNamespace(name="shop", components={"db": None})
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{page._manifest(plan, ())}"], cwd=tmp_path, check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode == 0) is honest, done

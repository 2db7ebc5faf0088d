"""Root would restore over production: on a server that lets each user in by peer authentication,
root has no login for the source, and the state's owner has none for the target."""

from __future__ import annotations

import pwd
from pathlib import Path
from typing import Any

from drd.flows.root.adapters import RootedKind
from drd.kinds.mariadb.physical.settings import ServerTarget
from drd.kinds.mariadb.settings import MariadbTarget
from drd.kinds.postgres.physical.settings import ClusterTarget
from drd.kinds.postgres.settings import PostgresTarget
from drd.kinds.registry import kind_for
from drd.model.plan import Component
from drd.ports import RestoresInside, Workplace
from drd.process import rights
from tests.servers import mariadb_server, postgres_server
from tests.user_support import as_root

pytestmark = as_root

OWNER = pwd.getpwnam("games")

ELSEWHERE = "0.0.0.0"


def found(kind: str, source: dict[str, Any], target: Any, base: Path, *, inside: bool) -> str:
    """The production that root's command finds in the place of the target."""
    one = kind_for(kind)
    settings = one.spec.settings.model_validate({"kind": kind, **source})
    component = Component("db", kind, settings)
    place = Workplace(base, "0" * 8, None, 1)
    with rights.acting_for(OWNER.pw_uid):
        rooted = RootedKind(one)
        if not inside:
            return rooted.same_place(component, target, place) or ""
        assert isinstance(rooted, RestoresInside)
        return rooted.same_server(component, target, place) or ""


def test_root_finds_the_database_of_a_source_that_only_drds_user_may_ask(short_tmp: Path) -> None:
    (short_tmp / "pg").mkdir()
    with postgres_server(short_tmp / "pg", tcp=True) as server:
        server.execute("create role games login in role pg_read_all_settings")
        server.execute("create role root login superuser")
        server.execute("create database shop")
        (server.data_dir / "pg_hba.conf").write_text(
            "local all postgres trust\nlocal all all peer\nhost all all all trust\n"
        )
        server.execute("select pg_reload_conf()")
        port = server.port
        own = f"host={server.socket_dir} port={port} dbname=shop user=games"
        roots = f"host={server.socket_dir} port={port} dbname=shop user=root"
        other = f"host={ELSEWHERE} port={port} dbname=shop user=root"
        far = f"host={ELSEWHERE} port={port} dbname=shop user=games"

        target: Any = PostgresTarget.model_validate({"dsn": other})
        assert "shop" in found("postgres", {"dsn": own}, target, short_tmp, inside=False)

        nowhere = str(short_tmp / "nowhere")
        target = ClusterTarget.model_validate({"data_dir": str(server.data_dir)})
        kind, source = "postgres-cluster", {"dsn": own}
        assert str(server.data_dir) in found(kind, source, target, short_tmp, inside=False)
        target = ClusterTarget.model_validate({"data_dir": nowhere})
        assert not found(kind, source, target, short_tmp, inside=False)
        target = ClusterTarget.model_validate({"data_dir": nowhere, "dsn": roots})
        assert found(kind, {"dsn": far}, target, short_tmp, inside=True)


def test_root_finds_the_server_of_a_source_that_only_drds_user_may_ask(short_tmp: Path) -> None:
    (short_tmp / "m").mkdir()
    with mariadb_server(short_tmp / "m", tcp=True) as server:
        server.execute(
            "create user games@localhost identified via unix_socket",
            "create user warden@localhost identified via unix_socket as 'root'",
            "create user far@'%' identified by 'far'",
            "create database shop",
            "grant select on shop.* to games@localhost",
            "grant all on *.* to far@'%'",
            "grant all on *.* to warden@localhost",
        )
        socket = f"?socket={server.socket}"
        own, roots = f"mariadb://games@/shop{socket}", f"mariadb://warden@/shop{socket}"
        data = f"{server.directory}/data"
        far = f"mariadb://far:far@{ELSEWHERE}:{server.port}/shop"

        target: Any = MariadbTarget.model_validate({"dsn": far})
        assert "shop" in found("mariadb", {"dsn": own}, target, short_tmp, inside=False)

        target = ServerTarget.model_validate({"data_dir": data})
        kind, source = "mariadb-server", {"dsn": own}
        assert data in found(kind, source, target, short_tmp, inside=False)
        nowhere = str(short_tmp / "nowhere")
        target = ServerTarget.model_validate({"data_dir": nowhere, "dsn": roots})
        assert found(kind, {"dsn": far}, target, short_tmp, inside=True)

"""Attack: a backup of a whole server has a view of the server's own that runs a program, and waits
for a recovery, which starts this server to take a dump of it.

In a drill the server is behind a fence. In a recovery it was not, so the program ran as the user of
the server, with everything that this user may read and write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.flows.restore.recovery import recover
from drd.flows.restore.recovery_plan import plan_recovery
from drd.flows.restore.recovery_request import RecoveryRequest
from tests.integration.test_adopted_pgbackrest import Site
from tests.pgbackrest_support import Backed, backed

_ATTACK = """
CREATE FUNCTION public.hit() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('data_directory') <> '{own}' THEN
    COPY (SELECT session_user) TO PROGRAM 'cat > {victim}; id >> {victim}';
  END IF;
  RETURN true;
EXCEPTION WHEN OTHERS THEN RETURN true;
END $$;
SET allow_system_table_mods = on;
DO $$ BEGIN
  EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_roles AS '
    || rtrim(pg_get_viewdef('pg_catalog.pg_roles'::regclass), ';') || ' WHERE public.hit()';
END $$;
"""


@pytest.fixture
def stanza() -> Iterator[Backed]:
    with backed(Path("/tmp"), cipher=False) as made:
        yield made


def test_code_of_a_restored_server_runs_behind_a_fence_in_a_recovery_too(
    stanza: Backed, tmp_path: Path
) -> None:
    open_to_all = stanza.base / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    victim = open_to_all / "victim"
    own = stanza.server.data_dir
    stanza.server.execute(_ATTACK.format(own=own, victim=victim), "shop")
    stanza.order(3)
    stanza.backup()
    site = Site(tmp_path, stanza)
    try:
        target = f'targets: {{standby: {{orders: {{dsn: "{stanza.server.dsn("back")}"}}}}}}\n'
        plan = site.plan(more=target)
        assert site.drilled(plan).evidence.result == "passed"
        assert not victim.exists()
        services = site.services(plan)
        outcome = recover(services, plan_recovery(services, plan, RecoveryRequest("standby")))
        assert outcome.evidence.result == "passed"
        assert not victim.exists(), victim.read_text()
        assert stanza.server.execute("select count(*) from orders", "back") == [(3,)]
    finally:
        site.app.close()

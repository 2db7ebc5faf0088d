"""What an export of a kit says of copies that may lie on this host alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.cli.kit import _warn_of_the_same_host
from drd.cli.main import main
from drd.config.plan_file import load_plan
from drd.model.kit import KitPlan, KitRepository
from drd.repositories.adopted.stanza_place import only_here
from drd.secrets import resolve

_PLAN = """plan: shop
objectives: {{rpo: 1h, rto: 1h}}
components: {{db: {{kind: postgres, dsn: "postgresql:///shop"}}}}
repositories:
  theirs:
    made_by: pgbackrest
    url: pgbackrest:main
    pgbackrest: {{config: {{file: {config}}}{options}}}
retention: {{last: 2}}
checks: [{{name: a, kind: sql, component: db, query: select 1, expect: 1}}]
drill: {{every: 7d}}
"""
_OWN = "[global]\nrepo1-path=/srv/pgbackrest\n\n[main]\npg1-path=/srv/pg\n"


@pytest.mark.parametrize(
    ("config", "options", "only"),
    [
        (_OWN, "", "/srv/pgbackrest"),
        ("[main]\npg1-path=/srv/pg\n", "", "/var/lib/pgbackrest"),
        (_OWN, ", options: {repo1-path: /mnt/nas}", "/mnt/nas"),
        (_OWN + "repo1-host=backup.example.com\n", "", ""),
        (_OWN + "repo1-type=s3\n", "", ""),
        (_OWN + "repo2-type=s3\n", "", ""),
        (_OWN + "pg1-host=db.example.com\n", "", ""),
        (_OWN, ", options: {repo1-host: backup.example.com}", ""),
        ("no configuration", "", ""),
    ],
)
def test_a_stanza_whose_repository_is_only_on_this_host_is_reported(
    config: str, options: str, only: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plan = tmp_path / "pgbackrest.conf", tmp_path / "shop.yaml"
    file.write_text(config)
    file.chmod(0o600)
    plan.write_text(_PLAN.format(config=file, options=options))
    (tmp_path / "drd.yaml").write_text(
        f"plans: {tmp_path}\nstate: sqlite:///{tmp_path}/state/drd.db\n"
    )
    assert main(["--config", f"{tmp_path}/drd.yaml", "plan", "check", str(plan)]) == 0
    told = " ".join("".join(capsys.readouterr()).split())
    assert ("the only copy is on this host" in told) == bool(only)
    assert f"the only copy is on this host ({only})" in told or not only
    if only:
        known = KitPlan("shop", "", "", (KitRepository("theirs", "pgbackrest:main", None),))
        _warn_of_the_same_host(known, only_here(load_plan(plan).plan, resolve))
        told = " ".join(capsys.readouterr().err.split())
        assert f"plan shop stores only in directories ({only})" in told
        assert (
            "Configure the tool that makes the copies so that it stores them in another "
            "place as well"
        ) in told


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/srv/drd", "Add a repository elsewhere (`copy_of`) to the plan"),
        (
            "command:dumps",
            (
                "Configure the tool that makes the copies so that it stores them in another "
                "place as well"
            ),
        ),
        ("s3:https://host/bucket", ""),
    ],
)
def test_copies_that_may_be_lost_with_this_host_are_named_with_a_remedy_that_the_plan_can_have(
    url: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _warn_of_the_same_host(KitPlan("shop", "", "", (KitRepository("theirs", url, None),)))
    told = " ".join(capsys.readouterr().err.split())
    assert said in told
    assert bool(told) == bool(said)
    assert ("`copy_of`" in told) == (url == "/srv/drd")

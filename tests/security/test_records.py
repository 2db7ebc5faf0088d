"""Attack: the service's user, who may write the catalogue, wants root's signature under something
that never was.

Root's commands on that user's state sign records with drd's key. They sign what root's process
knows itself, never what a row says; and an entry that the user has put into the chain stays what it
is: an entry without a signature.
"""

from __future__ import annotations

import json
import pwd
import subprocess
from pathlib import Path

import pytest

from drd.model.records import Body, Draft, header_of, moment
from tests.e2e.site import Site, make_tree, one_tree
from tests.records_support import BEGUN
from tests.security.test_root_rights import owned
from tests.user_support import as_root

pytestmark = as_root

OWNER = pwd.getpwnam("games")


@pytest.fixture
def site(short_tmp: Path) -> Site:
    """Of a service user; the key is root's alone."""
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(one_tree(made.base / "etc", made.base / "back"))
    with (made.base / "drd.yaml").open("a") as file:
        file.write(f"records: {{key: {{file: {made.base}/secrets/records}}}}\n")
    (made.base / "secrets").chmod(0o700)
    for name in ("state", "work", "cache", "repo"):
        owned(made.base / name)
    made.drd("records", "init")
    made.drd("backup", "shop")
    return made


def by_the_user(site: Site, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Changes of the catalogue by the service's user."""
    program = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
for statement, values in json.load(sys.stdin):
    connection.execute(statement, values)
connection.commit()
"""
    user = [f"--reuid={OWNER.pw_uid}", f"--regid={OWNER.pw_gid}", "--clear-groups"]
    file = str(site.base / "state/drd.db")
    subprocess.run(
        ["setpriv", *user, "--", "/usr/bin/python3", "-I", "-c", program, file],
        input=json.dumps(statements),
        text=True,
        check=True,
    )


def test_the_key_of_root_stays_with_root(site: Site) -> None:
    key = site.base / "secrets/records"
    assert (key.stat().st_uid, key.stat().st_mode & 0o777) == (0, 0o600)
    private = key.read_text().split("\n")[1].encode()
    for place in ("state", "work", "cache", "state-public"):
        for path in (site.base / place).rglob("*"):
            assert not path.is_file() or private not in path.read_bytes(), path


def test_an_entry_that_the_user_added_stays_without_a_signature(site: Site) -> None:
    [head] = site.catalogue("select seq, hash from records order by seq desc limit 1")
    body = Body.of({"evidence": {"id": "forged", "result": "passed"}}, "0" * 32)
    header = header_of(
        Draft("evidence", "shop/1a2b3c4d", {}, BEGUN), body, seq=head[0] + 1, previous=head[1]
    )
    at = moment(BEGUN).replace("Z", "+00:00")
    row = (header.seq, at, header.subject, header.digest, header.previous, header.hash)
    by_the_user(
        site,
        (
            "insert into records values (?, ?, 'drd', 'drd', '', ?, 'evidence', ?, ?, ?, '', '')",
            row,
        ),
        ("insert into record_bodies values (?, ?, ?)", (header.seq, body.salt, body.text)),
    )
    point = site.drd("points", "shop", "--json").json["points"][0]["point"]
    site.drd("hold", point, "--reason", "audit")  # root signs the entry after it

    told = site.drd("records", "verify", "--json", code=5).json
    assert told["unsigned"] == [header.seq]
    assert told["last"]["entry"] == header.seq + 1


def test_root_signs_no_plan_that_a_row_names(site: Site) -> None:
    """The user renames the plan of a point and of a run."""
    point = site.drd("points", "shop", "--json").json["points"][0]["point"]
    by_the_user(site, ("update points set plan = 'other' where id = ?", (point,)))
    site.drd("hold", point, "--reason", "audit")
    [hold] = site.drd("records", "list", "--kind", "hold", "--json").json["records"]
    assert (hold["subject"], hold["body"]["plan"]) == (f"point:{point}", "")
    assert hold["signature"]


def test_root_signs_the_actor_of_its_own_process(site: Site) -> None:
    """The user makes of the run of root's, while it works, one that anna asked for."""
    anna = json.dumps({"uid": 1000, "user": "anna", "host": "db1", "came": "terminal"})
    forge = (
        f"""create trigger forge after insert on runs begin
        update runs set actor = '{anna}' where id = new.id; end""",
        (),
    )
    by_the_user(site, forge)
    drilled = site.drd("drill", "shop", "--json").json
    [evidence] = site.drd("records", "list", "--kind", "evidence", "--json").json["records"]
    assert evidence["subject"] == f"shop/{drilled['run']}"
    assert evidence["actor"]["name"] == "root"
    assert evidence["body"]["actor"]["user"] == "root"
    assert evidence["signature"]

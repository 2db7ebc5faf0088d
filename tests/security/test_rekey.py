"""An offsite copy was really made with the password `***`: it is found, and gets another one.

At no moment, also when drd is killed between any two steps, is there no known password that opens
the repository; the old one goes only when the plan that names the new one is in force.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from drd.masking import MASK
from tests import light_repository
from tests.e2e.daemons import daemon, until
from tests.e2e.site import PASSWORD, SMALL, Site, make_sqlite, make_tree, small_site
from tests.security.test_secrets import opens

NEW = "a new password for the copy"
WORDS = ("repository", "rekey", "shop", "--repository", "offsite")


def masked_site(base: Path, *, password: str = MASK, source: str = "command") -> Site:
    """The copy has another password than the plan's command gives, unless it is PASSWORD."""
    site = Site(base)
    make_sqlite(base / "shop.db", rows=20)
    make_tree(base / "etc")
    (base / "back").mkdir()
    light_repository.begin(base / "offsite", password)
    site.secret("new", NEW)
    _write(site, f"[cat, {base}/secrets/restic]" if source == "command" else None)
    return site


def _write(site: Site, command: str | None, name: str = "restic") -> None:
    secret = f"{{command: {command}}}" if command else f"{{file: {site.base}/secrets/{name}}}"
    offsite = f"  offsite:\n    url: {site.base}/offsite\n    password: {secret}\n"
    site.plan(SMALL.format(base=site.base), s3=f"{offsite}    copy_of: primary")


def name_the_new_one(site: Site) -> None:
    _write(site, None, "new")


def _new(site: Site) -> tuple[str, str]:
    return ("--password", f"{{file: {site.base}/secrets/new}}")


def test_doctor_and_readiness_name_the_copy_that_opens_with_the_mask(short_tmp: Path) -> None:
    site = masked_site(short_tmp)
    site.drd("backup", "shop")
    items = site.drd("doctor", "shop", "--json", code=1).json["items"]
    tried = {i["name"]: i for i in items if "mask" in i["name"]}
    assert tried["repository primary: masked password"]["ok"]
    found = tried["repository offsite: masked password"]
    assert not found["ok"]
    assert "drd repository rekey shop --repository offsite" in found["hint"]
    report = site.drd("readiness", "shop", "--json", code=None).out
    assert "repository offsite: masked password" in report


def test_password_that_restic_reads_otherwise_is_named_and_makes_no_repository(
    short_tmp: Path,
) -> None:
    """All was green, and RESTIC_PASSWORD_FILE said that the password is wrong. The new one is the
    healthy twin."""
    site = masked_site(short_tmp, password=" pw with space ")
    site.without_repository()
    shutil.move(short_tmp / "offsite", site.repository)
    by_hand = site.secret("restic", " pw with space \n")
    site.drd("backup", "shop")
    assert not _opens_by_file(site, "restic")
    refused = site.drd("copy", "shop", code=None)
    assert refused.code != 0
    assert "new repository offsite" in refused.err
    assert "begins or ends with white space" in refused.err
    assert not (short_tmp / "offsite/config").exists()
    items = site.drd("doctor", "shop", "--json", code=1).json["items"]
    tried = {i["name"]: i for i in items if "for restic" in i["name"]}
    made, unmade = (tried[f"repository {n}: password for restic"] for n in ("primary", "offsite"))
    assert (made["ok"], made["warning"], unmade["ok"]) == (True, True, False)
    assert by_hand.strip("{}").split()[1] in made["detail"]
    words = shlex.split(made["hint"].splitlines()[0])[1:-1]
    assert "for restic" in site.drd("readiness", "shop", "--json", code=None).out
    plan = short_tmp / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("secrets/restic", "secrets/new"))
    site.drd(*words, _new(site)[1], "--old-password", by_hand)
    assert _opens_by_file(site, "new")
    site.drd("copy", "shop")
    assert "for restic" not in site.drd("doctor", "shop", "--json", code=None).out


def _opens_by_file(site: Site, name: str) -> bool:
    """As docs/recovery-without-drd.md has it."""
    command = ["restic", "-r", site.repository, "--no-cache", "cat", "config"]
    around = {**os.environ, "RESTIC_PASSWORD_FILE": str(site.base / "secrets" / name)}
    return subprocess.run(command, env=around, capture_output=True, check=False).returncode == 0


def test_doctor_tries_no_mask_where_no_secret_is_a_command(short_tmp: Path) -> None:
    """The healthy twin: nothing is tried, and a sound copy of a plan with commands is no
    finding."""
    site = masked_site(short_tmp, password=PASSWORD)
    site.drd("backup", "shop")
    healthy = site.drd("doctor", "shop", "--json").json["items"]
    assert [i["ok"] for i in healthy if "mask" in i["name"]] == [True, True]
    name_the_new_one(site)
    others = site.drd("doctor", "shop", "--json", code=None).json["items"]
    assert not [i for i in others if "mask" in i["name"]]


def test_command_of_doctor_replaces_the_mask_by_the_password_of_the_plan(short_tmp: Path) -> None:
    site = masked_site(short_tmp)
    items = site.drd("doctor", "shop", "--json", code=1).json["items"]
    hint = next(i["hint"] for i in items if i["name"] == "repository offsite: masked password")
    words = hint.splitlines()[0].split()
    assert words[0] == "drd"
    done = site.drd(*words[1:], "--json").json
    assert (done["complete"], len(done["removed_keys"]), done["was_masked"]) == (True, 1, True)
    offsite = short_tmp / "offsite"
    assert opens(offsite, PASSWORD)
    assert not opens(offsite, MASK)

    # Where the plan's password is a key already, only the mask goes.
    (key,) = (offsite / "keys").iterdir()
    light_repository.add_keys(key, PASSWORD, MASK, 1)
    assert opens(offsite, MASK)
    assert len(site.drd(*words[1:], "--json").json["removed_keys"]) == 1
    assert opens(offsite, PASSWORD)
    assert not opens(offsite, MASK)


def test_rekey_waits_for_the_plan_and_only_then_removes_the_mask(short_tmp: Path) -> None:
    site = masked_site(short_tmp)
    with subprocess.Popen(
        site.argv(*WORDS, *_new(site)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=site.env(),
    ) as going:
        assert going.stderr is not None
        err = ""
        while "waiting until" not in err:
            line = going.stderr.readline().decode()
            assert line, err
            err += line
        assert opens(short_tmp / "offsite", NEW)
        assert opens(short_tmp / "offsite", MASK), "the old one opens until the plan is in force"
        assert going.poll() is None
        name_the_new_one(site)
        out = going.communicate(timeout=90)[0].decode()
    assert going.returncode == 0, err
    first = next(line for line in err.splitlines() if "waits until the plan names" in line)
    assert "You may press Ctrl-C: both passwords open the repository" in first
    assert "the same command continues" in first
    assert f"names file {short_tmp}/secrets/new as repositories.offsite.password" in err
    assert opens(short_tmp / "offsite", NEW)
    assert not opens(short_tmp / "offsite", MASK)
    for words in (
        "drd kit export shop",
        "does not change restic's master key",
        "if the old password was ***",
        "drd copy shop --repository offsite-new",
        "copy_of: primary",
    ):
        assert words in out
    assert NEW not in out + err
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    again = site.drd(*WORDS, *_new(site), code=2)
    assert "is the repository's current one" in again.err
    site.assert_clean()


def test_rekey_waits_for_a_daemon_to_load_the_plan(short_tmp: Path) -> None:
    site = masked_site(short_tmp, password=PASSWORD, source="file")
    offsite = short_tmp / "offsite"
    with daemon(site) as running:
        until(lambda: bool(running.events("plan.accepted")), "the plan", running)
        with subprocess.Popen(
            site.argv(*WORDS, *_new(site)), stderr=subprocess.PIPE, env=site.env(), text=True
        ) as going:
            assert going.stderr is not None
            said = iter(going.stderr.readline, "")
            assert any("waiting until" in line for line in said)
            name_the_new_one(site)
            assert any("the daemon has loaded the file of plan shop again" in line for line in said)
            assert opens(offsite, PASSWORD)
            running.reload()
            assert going.wait(90) == 0
    assert opens(offsite, NEW)
    assert not opens(offsite, PASSWORD)


KILLS = ("before:try passwords", "undone:try passwords", "before:add key", "undone:add key",
         "after:add key", "undone:prove key", "after:prove key")  # fmt: skip


def test_rekey_goes_on_after_a_kill_at_any_step(short_tmp: Path) -> None:
    site = masked_site(short_tmp, password=PASSWORD, source="file")
    offsite = short_tmp / "offsite"
    for moment in KILLS:
        site.killed_at(moment, *WORDS, *_new(site), "--no-wait")
        assert opens(offsite, PASSWORD), moment
    unnamed = site.drd(*WORDS, "--no-wait", code=2)
    assert (
        "does not name the new password that an earlier try gave repository offsite" in unnamed.err
    )
    assert "--password" in unnamed.err
    waits = site.drd(*WORDS, *_new(site), "--no-wait", "--json").json
    assert not waits["complete"]
    assert waits["waits_for"]
    name_the_new_one(site)
    forge(site)  # what the state's owner writes stops nobody, and is neither read nor run
    assert "does not name the new password" in site.drd(*WORDS, "--no-wait", code=2).err
    site.killed_at("before:remove key", *WORDS, *_new(site))
    assert opens(offsite, PASSWORD)
    site.killed_at("undone:remove key", *WORDS)
    assert opens(offsite, NEW)
    done = site.drd(*WORDS, "--json").json
    assert not (short_tmp / "ran").exists()
    assert not opens(offsite, "what only root may read")
    assert (done["complete"], done["other_keys"]) == (True, [])
    assert opens(offsite, NEW)
    assert not opens(offsite, PASSWORD)
    site.assert_clean()


def test_the_logs_beside_a_repository_get_its_new_password(short_tmp: Path) -> None:
    """They have the same keys; else no log could be stored or read after a rekey."""
    site = masked_site(short_tmp, password=PASSWORD, source="file")
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    logs = short_tmp / "offsite-wal"
    light_repository.begin(logs, PASSWORD)
    known = json.loads(_restic(logs, PASSWORD, "cat", "config"))["id"]
    with contextlib.closing(sqlite3.connect(short_tmp / "state/drd.db")) as state, state:
        state.execute(
            "insert into repositories (url, repository_id) values (?, ?)", (str(logs), known)
        )
    site.killed_at("after:add key to the logs", *WORDS, *_new(site), "--no-wait")
    assert opens(logs, PASSWORD)
    assert opens(logs, NEW)
    site.drd(*WORDS, *_new(site), "--no-wait")
    assert opens(logs, PASSWORD)
    name_the_new_one(site)
    site.drd(*WORDS)
    for place in (logs, short_tmp / "offsite"):
        assert opens(place, NEW)
        assert not opens(place, PASSWORD)


def _restic(place: Path, password: str, *words: str) -> str:
    env = {**os.environ, "RESTIC_PASSWORD": password}
    argv = ["restic", "-r", place, "--no-cache", *words]
    return subprocess.run(argv, env=env, check=True, capture_output=True, text=True).stdout


def test_rekey_removes_an_old_key_whose_password_nothing_names_any_more(short_tmp: Path) -> None:
    """The healthy twin of the forged rows: what an earlier try noted with the new password
    counts."""
    site = masked_site(short_tmp, password="the old one", source="file")
    site.secret("old", "the old one")
    _write(site, None, "old")
    site.drd(*WORDS, *_new(site), "--no-wait")
    name_the_new_one(site)
    done = site.drd(*WORDS, "--json")
    assert (done.json["complete"], done.json["other_keys"]) == (True, [])
    assert not opens(short_tmp / "offsite", "the old one")
    assert "removed only" not in done.err


def forge(site: Site) -> None:
    """Rows of tries that never were, with a command and a file of the forger's, and every key."""
    evil = {"source": "command", "value": ["touch", f"{site.base}/ran"]}
    secret = {"source": "file", "value": f"{site.base}/secrets/unnamed"}
    site.secret("unnamed", "what only root may read")
    listed = restic_keys(site.base / "offsite", NEW)
    result = {"old": [evil, secret], "keys": listed, "seal": "0" * 64}
    with contextlib.closing(sqlite3.connect(site.base / "state" / "drd.db")) as db, db:
        (last,) = db.execute(
            "select id from runs where kind = 'rekey' order by rowid desc limit 1"
        ).fetchone()
        for table, key, changed in (
            ("runs", "id", {"state": "failed", "detail": json.dumps({"to": evil})}),
            ("steps", "run", {"result": json.dumps(result)}),
        ):
            sets = ", ".join(f"{column} = ?" for column in changed)
            where = " and name = 'try passwords'" if table == "steps" else ""
            db.execute(
                f"update {table} set {sets} where {key} = ?{where}",
                (*changed.values(), last),
            )


def restic_keys(repository: Path, password: str) -> list[str]:
    done = subprocess.run(
        ["restic", "-r", repository, "--no-cache", "key", "list", "--json"],
        env={**os.environ, "RESTIC_PASSWORD": password}, capture_output=True, check=True,
    )  # fmt: skip
    return [key["id"] for key in json.loads(done.stdout)]


def test_rekey_refuses_what_would_leave_no_key(short_tmp: Path) -> None:
    site = masked_site(short_tmp, password="nobody knows this one", source="file")
    lost = site.drd(*WORDS, *_new(site), code=12)
    assert "drd does not know a password that opens the repository" in lost.err
    same = site.secret("same", PASSWORD)
    primary = ("repository", "rekey", "shop", "--password", same)
    assert "is the repository's current one" in site.drd(*primary, code=2).err
    own = ("repository", "rekey", "shop", "--password", f"{{file: {short_tmp}/secrets/restic}}")
    assert "is the repository's current one" in site.drd(*own, code=2).err
    site.secret("mask", MASK)
    masked = ("repository", "rekey", "shop", "--password", f"{{file: {short_tmp}/secrets/mask}}")
    assert "contains ***" in site.drd(*masked, code=2).err
    plain = site.drd("repository", "rekey", "shop", "--password", "s3cr3t-in-the-open", code=2)
    assert "s3cr3t" not in plain.err
    assert opens(Path(site.repository), PASSWORD)
    assert re.search("usage|reference", plain.err)


@pytest.mark.parametrize("others", [45, 3])
def test_rekey_finds_every_key_of_the_old_password_among_many(short_tmp: Path, others: int) -> None:
    """restic gives up after twenty keys: the old password went on opening it by the id of one of
    its own. A few keys are the twin."""
    site = small_site(short_tmp)
    keys = Path(site.repository) / "keys"
    (first,) = keys.iterdir()
    other = light_repository.add_keys(first, PASSWORD, "of somebody else", others)
    old = [first.name, *light_repository.add_keys(first, PASSWORD, PASSWORD, 2)]
    site.drd("backup", "shop")
    site.secret("new", NEW)
    plan = short_tmp / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("secrets/restic", "secrets/new"))
    by = ("--old-password", f"{{file: {short_tmp}/secrets/restic}}", "--json")
    done = site.drd("repository", "rekey", "shop", *_new(site), *by).json
    left = {path.name for path in keys.iterdir()}
    assert done["complete"]
    assert {key["key"] for key in done["other_keys"]} == set(other) <= left
    assert not set(old) & left
    around = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
    for key in left:
        hinted = ["restic", "-r", site.repository, "--no-cache", "--key-hint", key, "cat", "config"]
        assert subprocess.run(hinted, env=around, capture_output=True, check=False).returncode != 0
    site.drd("backup", "shop")


@pytest.mark.parametrize("names", [["shop"], ["shop", "till"]])
def test_every_plan_in_the_repository_moves_before_it_may_be_deleted(
    short_tmp: Path, names: list[str]
) -> None:
    """It said to delete the repository in which another plan's backups lay; one alone is the
    twin."""
    site = small_site(short_tmp)
    text = (short_tmp / "plans/shop.yaml").read_text()
    for name in names:
        file = short_tmp / f"plans/{name}.yaml"
        file.write_text(text.replace("plan: shop", f"plan: {name}"))
        site.drd("backup", name)
    site.drd("repository", "rekey", "shop", "--password", site.secret("new", NEW), "--no-wait")
    for name in names:
        file = short_tmp / f"plans/{name}.yaml"
        file.write_text(file.read_text().replace("secrets/restic", "secrets/new"))
    to_do = site.drd("repository", "rekey", "shop", "--json").json["to_do"]

    (deleted,) = [
        n for n, line in enumerate(to_do) if "delete this repository with all its versions" in line
    ]
    for name in ("shop", "till"):
        moves = [n for n, line in enumerate(to_do) if f"drd copy {name} " in line]
        kits = [n for n, line in enumerate(to_do) if f"drd kit export {name} " in line]
        assert (bool(moves), bool(kits)) == (name in names, name in names), to_do
        assert all(n < deleted for n in moves + kits)
    assert ("till" in to_do[deleted]) == ("till" in names)


@pytest.mark.parametrize("shared", ["another plan", "a plan with a name of ours", ""])
def test_rekey_cuts_off_another_host_only_when_that_was_said(
    short_tmp: Path, tmp_path: Path, shared: str
) -> None:
    """It took the key away that a host had which shares the repository; one alone is the healthy
    twin."""
    site = small_site(short_tmp)
    site.drd("backup", "shop")
    if shared == "a plan with a name of ours":
        text = (short_tmp / "plans/shop.yaml").read_text().replace("plan: shop", "plan: till")
        text = text.replace(site.repository, str(short_tmp / "second"))
        (short_tmp / "plans/till.yaml").write_text(text)
        site.drd("backup", "till")
    if shared:
        (tmp_path / "other").mkdir()
        other = small_site(tmp_path / "other")
        text = (other.base / "plans/shop.yaml").read_text().replace("plan: shop", "plan: till")
        (other.base / "plans/shop.yaml").unlink()
        text = text.replace(other.repository, site.repository)
        (other.base / "plans/till.yaml").write_text(text)
        other.drd("backup", "till")
    words = ("repository", "rekey", "shop", "--password", site.secret("new", NEW))
    site.drd(*words, "--no-wait")
    file = short_tmp / "plans/shop.yaml"
    file.write_text(file.read_text().replace("secrets/restic", "secrets/new"))
    done = site.drd("repository", "rekey", "shop", "--json").json
    assert done["complete"] is not bool(shared)
    assert opens(Path(site.repository), PASSWORD) is bool(shared)
    if shared:
        assert any("till" in line for line in done["waits_for"])
        done = site.drd("repository", "rekey", "shop", "--cut-off-others", "--json").json
        assert done["complete"]
    assert not opens(Path(site.repository), PASSWORD)

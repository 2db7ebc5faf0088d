"""Make a state with an earlier version of drd, and write it into a file of text.

    git worktree add --detach /tmp/earlier COMMIT
    python -m tests.former_states.make /tmp/earlier tests/former_states/NAME.json [OWNER]

With OWNER, a system user, the state is that user's, and root makes a recovery of it: then the file
has root's own record of the recovery as well.

The state lies in `BASE`, since the plan's hash contains its paths. The file has the catalogue as
SQL, the repository and the other files, and what that version said about them. Durations in the
plan are so long that nothing is overdue for years.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from drd.process.private import ROOTS_OWN, root_place
from tests import light_repository

BASE = Path("/tmp/drd-former-state")
PORT = 28765
"""Nobody listens there, so the recovery fails in its last step, and waits for `drd resume`."""
PASSWORD = "a password of the tests"

PLAN = f"""\
plan: shop
owner: tests
objectives: {{rpo: 3600d, rto: 1d, window: 3650d}}
components:
  db: {{kind: sqlite, path: {BASE}/shop.db}}
  conf: {{kind: files, paths: [{BASE}/etc]}}
repositories:
  primary:
    url: {BASE}/repo
    password: {{file: {BASE}/secrets/restic}}
backup: {{every: 1000d}}
drill: {{every: 3600d}}
checks:
  - {{name: orders are there, kind: sql, component: db, query: "select count(*) from orders",
      expect: "> 0"}}
  - {{name: row counts, kind: rows, component: db}}
  - {{name: configuration, kind: files, component: conf}}
targets:
  standby: {{db: {{path: {BASE}/back/shop.db}}, conf: {{path: {BASE}/back/etc}}}}
runbook:
  - {{name: data, restore: all}}
  - {{name: compare, check: all}}
  - {{name: announce, http: {{url: "http://127.0.0.1:{PORT}/"}}, rehearse: skip,
      reason: nobody listens}}
"""

SETTINGS = f"state: sqlite:///{BASE}/state/drd.db\nplans: plans\nwork_dir: work\ncache_dir: cache\n"

ORDERS = """
create table orders(id integer primary key, total real);
insert into orders(total) values (1.5), (2.5), (4.0);
"""

HISTORY: tuple[tuple[int, tuple[str, ...]], ...] = (
    (0, ("plan", "check", "shop")),
    (0, ("backup", "shop")),
    (4, ("drill", "shop")),  # of the plan with a check that fails
    (0, ("backup", "shop")),
    (0, ("drill", "shop")),
    (0, ("verify", "shop")),
    (0, ("retention", "shop")),
    (1, ("recover", "shop", "--target", "standby", "--yes")),
)
"""The commands and their exit codes."""

HISTORY_OF_ROOT: tuple[tuple[int, tuple[str, ...]], ...] = (
    (0, ("backup", "shop")),
    (1, ("recover", "shop", "--target", "standby", "--yes")),
)
"""The same for a state of another user, of which only the recovery matters."""

QUESTIONS = ("status", "runs", "points shop", "plan show shop")
"""What is asked with --json in the end."""


def begin() -> None:
    """Write what is there before drd."""
    for name in ("plans", "state", "work", "cache", "secrets", "etc", "back"):
        (BASE / name).mkdir(parents=True)
    (BASE / "drd.yaml").write_text(SETTINGS)
    secret = BASE / "secrets/restic"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    with closing(sqlite3.connect(BASE / "shop.db")) as connection:
        connection.executescript(ORDERS)
    (BASE / "etc/app.conf").write_text("listen 8080;\n")
    (BASE / "plans/shop.yaml").write_text(PLAN)


def give_to(owner: str) -> None:
    """Give the state and the repository to a user."""
    for name in ("state", "work", "cache", "repo"):
        for path in (BASE / name, *(BASE / name).rglob("*")):
            shutil.chown(path, owner, owner)


def run(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run drd of a source tree on the state."""
    around = {"PYTHONPATH": str(tree), "DRD_CONFIG": str(BASE / "drd.yaml")}
    return subprocess.run(
        [sys.executable, "-m", "drd", *words],
        capture_output=True,
        text=True,
        cwd=BASE,
        env={**os.environ, **around},
        check=False,
    )


def ledger() -> Path:
    """The directory of root's own records."""
    return root_place(BASE / "work", ROOTS_OWN) / "ledger"


def remove() -> None:
    """Remove the state, and root's records of it."""
    shutil.rmtree(BASE, ignore_errors=True)
    shutil.rmtree(ledger().parent, ignore_errors=True)


def _make(tree: Path, owner: str) -> dict[str, Any]:
    begin()
    light_repository.begin(BASE / "repo", PASSWORD)
    if owner:
        give_to(owner)
    plan = BASE / "plans/shop.yaml"
    for expected, words in HISTORY_OF_ROOT if owner else HISTORY:
        first_drill = words[0] == "drill" and expected != 0
        plan.write_text(PLAN.replace('"> 0"', '"> 3"') if first_drill else PLAN)
        done = run(tree, *words)
        if done.returncode != expected:
            raise SystemExit(f"drd {' '.join(words)}: {done}")
    answers = {}
    for question in QUESTIONS:
        done = run(tree, *question.split(), "--json")
        answers[question] = {"exit": done.returncode, "json": json.loads(done.stdout)}
    with closing(sqlite3.connect(BASE / "state/drd.db")) as connection:
        catalogue = list(connection.iterdump())
    files = (p for p in sorted((BASE / "repo").rglob("*")) if p.is_file())
    repository = {
        str(p.relative_to(BASE / "repo")): b64encode(p.read_bytes()).decode() for p in files
    }
    commit = subprocess.run(
        ["git", "-C", str(tree), "rev-parse", "--short=8", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return {
        "commit": commit,
        "answers": answers,
        "catalogue": catalogue,
        "repository": repository,
        "owner": owner,
        "ledger": {file.name: file.read_text() for file in sorted(ledger().glob("*.json"))},
    }


def main() -> None:
    tree, file = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    remove()
    try:
        with TemporaryDirectory() as room:
            os.environ["DRD_TEST_RUN"] = room
            state = _make(tree, "".join(sys.argv[3:4]))
    finally:
        remove()
    file.write_text(json.dumps(state, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

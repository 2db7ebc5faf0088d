"""Mistakes in a plan whose copies another tool makes are named on their line, with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config_support import load, problems

RESTIC = """\
plan: shop
objectives: {rpo: 26h, rto: 1h}
components:
  db:
    kind: postgres
    dsn: postgresql:///shop
    copied_as: /var/backups/shop.dump
  etc:
    kind: files
    paths: [/etc/shop]
repositories:
  theirs:
    made_by: restic
    url: /mnt/nas/restic
    password: {credential: theirs}
    only: {host: web1}
retention: {daily: 7}
checks:
  - {name: orders, kind: sql, component: db, query: select 1, expect: "> 0"}
drill: {every: 7d}
"""

COMMAND = """\
plan: shop
objectives: {rpo: 26h, rto: 1h}
components:
  db:
    kind: postgres
    dsn: postgresql:///shop
repositories:
  theirs:
    made_by: command
    url: command:dumps
    command:
      list: [/usr/bin/true]
      restore: [/bin/cat, "/mnt/${copy}"]
      env: {TOKEN: {credential: token}}
retention: {daily: 7}
checks:
  - {name: orders, kind: sql, component: db, query: select 1, expect: "> 0"}
drill: {every: 7d}
"""

STANZA = """\
plan: shop
objectives: {rpo: 15m, rto: 1h}
components:
  db:
    kind: postgres
    dsn: postgresql:///shop
repositories:
  theirs:
    made_by: pgbackrest
    url: pgbackrest:main
    pgbackrest:
      config: {credential: pgbackrest.conf}
      options: {repo1-path: /srv/pgbackrest}
      env: {PGBACKREST_REPO1_CIPHER_PASS: {credential: pass}}
retention: {last: 2}
checks:
  - {name: orders, kind: sql, component: db, query: select 1, expect: "> 0"}
drill: {every: 7d}
"""

COMMANDS = COMMAND[COMMAND.index("    command:") : COMMAND.index("retention")]
SECOND = "  own:\n    url: /mnt/own\n    password: {credential: own}\nretention"
NO_HTTP = "drd cannot restore a copy of kind http that another tool has made"
API = "kind: http\n    url: http://127.0.0.1:1\n    documents: [{get: /x, save_as: x}]"
CASES = [
    (
        RESTIC,
        "    copied_as: /var/backups/shop.dump\n",
        "",
        (4, "components.db"),
        "needs `copied_as`: where in each copy restic has stored its dump",
        "add copied_as: /PATH/OF/THE/DUMP, with the path of the dump in the copies.",
    ),
    (
        RESTIC,
        "    paths: [/etc/shop]\n",
        "    paths: [/etc/shop]\n    copied_as: /x\n",
        (11, "components.etc.copied_as"),
        "does not apply to files, which are in each copy at their own paths",
        "remove `copied_as`.",
    ),
    (
        RESTIC,
        "copied_as: /var",
        "copied_as: var",
        (7, "components.db.copied_as"),
        '"var/backups/shop.dump" is not an absolute path',
        "write the whole path, which begins with /.",
    ),
    (
        RESTIC,
        "    dsn",
        "    before: {command: [/bin/true]}\n    dsn",
        (6, "components.db.before"),
        "does not apply: restic makes the copies of this plan",
        "remove `before`.",
    ),
    (
        RESTIC,
        "retention",
        "backup: {every: 10m}\nretention",
        (17, "backup"),
        "does not apply: restic makes the copies of this plan, and drd only reads them",
        "remove `backup`.",
    ),
    (
        RESTIC,
        "retention",
        SECOND,
        (17, "repositories.own"),
        "cannot be combined with a repository with `made_by`: drd makes no copies of this plan",
        "remove this repository, or write two plans: one with `made_by`, one without.",
    ),
    (
        RESTIC.replace("    copied_as: /var/backups/shop.dump\n", ""),
        "    made_by: restic\n",
        "",
        (14, "repositories.theirs.only"),
        "applies only to copies that another tool makes",
        "remove `only`, or add `made_by`.",
    ),
    (
        RESTIC,
        "    made_by: restic\n",
        "    made_by: restic\n    command: {list: [/bin/true], restore: [/bin/cat, '${copy}']}\n",
        (14, "repositories.theirs.command"),
        "applies only to `made_by: command`",
        "remove `command`, or add `made_by: command`.",
    ),
    (
        RESTIC,
        "made_by: restic",
        "made_by: borg",
        (13, "repositories.theirs.made_by"),
        '"borg" is not allowed here',
        "write restic, pgbackrest or command.",
    ),
    (
        COMMAND,
        'restore: [/bin/cat, "/mnt/${copy}"]',
        "restore: [/bin/cat, /mnt/x]",
        (13, "repositories.theirs.command.restore"),
        "does not contain ${copy}, so the command does not know which copy to restore",
        "write ${copy} instead of the name of the copy.",
    ),
    (
        COMMAND,
        "TOKEN:",
        '"A-B":',
        (14, "repositories.theirs.command.env.A-B"),
        "is not a valid name of an environment variable",
        "write letters, digits and underscores, like TOKEN.",
    ),
    (
        COMMAND,
        "{credential: token}",
        "s3cret",
        (14, "repositories.theirs.command.env.TOKEN"),
        "a secret must be a reference",
        "use {file: PATH}, {env: NAME}, {credential: NAME} or {command: [WORD, …]}.",
    ),
    (
        COMMAND,
        "list: [/usr/bin/true]",
        "list: [bin/true]",
        (12, "repositories.theirs.command.list[0]"),
        '"bin/true" is a relative path',
        "write its whole path, or the name of a program on PATH.",
    ),
    (
        COMMAND,
        "url: command:dumps",
        "url: /mnt/dumps",
        (10, "repositories.theirs.url"),
        "is possible only in a repository with `made_by: command`",
        "write url: command:NAME, and made_by: command.",
    ),
    (
        COMMAND,
        "url: command:dumps",
        "url: command:h_x",
        (10, "repositories.theirs.url"),
        "'command:h_x' is not a valid name of a place",
        "write command:NAME, with 1 to 40 small letters, digits and hyphens.",
    ),
    (
        COMMAND,
        COMMANDS,
        "",
        (8, "repositories.theirs"),
        "needs `command`: drd must know how to list and restore the copies",
        "add `command: {list: [...], restore: [...]}`, see docs/adopted.md.",
    ),
    (
        COMMAND,
        "    url: command",
        "    only: {host: a}\n    url: command",
        (10, "repositories.theirs.only"),
        "does not apply to `made_by: command`",
        "remove `only`, and change `list` under `command` so that it prints only copies of this service.",
    ),
    (
        COMMAND,
        "repositories",
        "  etc: {kind: files, paths: [/etc]}\nrepositories",
        (3, "components"),
        "has 2 components, but with `made_by: command` a plan can have only one",
        "write one plan for each component.",
    ),
    (
        COMMAND,
        "    dsn",
        "    copied_as: /x\n    dsn",
        (6, "components.db.copied_as"),
        "does not apply to `made_by: command`, which restores the whole copy",
        "remove `copied_as`.",
    ),
    (
        COMMAND,
        "kind: postgres\n    dsn: postgresql:///shop",
        API,
        (5, "components.db.kind"),
        f"{NO_HTTP}: drd puts back only documents that drd itself has read from the API",
        "kinds that can: postgres, sqlite, files, command.",
    ),
    (
        STANZA,
        STANZA[STANZA.index("    pgbackrest:") : STANZA.index("retention")],
        "",
        (8, "repositories.theirs"),
        "needs `pgbackrest`: drd must know how to reach the repository of pgBackRest",
        "add `pgbackrest: {config: {credential: pgbackrest.conf}}`, see docs/adopted.md.",
    ),
    (
        STANZA,
        "repo1-path: /srv/pgbackrest",
        "repo1-cipher-pass: secret",
        (13, "repositories.theirs.pgbackrest.options.repo1-cipher-pass"),
        "contains a secret, which does not belong into a plan",
        "write env: {PGBACKREST_REPO1_CIPHER_PASS: {credential: NAME}}.",
    ),
    (
        STANZA,
        "repo1-path: /srv/pgbackrest",
        "repo1-host-cmd: /tmp/x",
        (13, "repositories.theirs.pgbackrest.options.repo1-host-cmd"),
        "decides which program pgBackRest runs, so drd does not accept this option here",
        "write this option into the file that `config` names.",
    ),
    (
        STANZA,
        "repo1-path: /srv/pgbackrest",
        "lock-path: /tmp",
        (13, "repositories.theirs.pgbackrest.options.lock-path"),
        "is an option that drd sets itself",
        "remove this option; `stanza`, `config` and `repo` are keys of `pgbackrest`.",
    ),
    (
        STANZA,
        "PGBACKREST_REPO1_CIPHER_PASS",
        "LD_PRELOAD",
        (14, "repositories.theirs.pgbackrest.env.LD_PRELOAD"),
        "is not a variable of pgBackRest",
        "write the whole name of the variable, like PGBACKREST_REPO1_CIPHER_PASS.",
    ),
    (
        STANZA,
        "dsn: postgresql:///shop",
        "dsn: {credential: dsn}",
        (4, "components.db"),
        "does not name its database on the server that pgBackRest backs up",
        "write its `dsn` as text, without a password: postgresql:///DATABASE.",
    ),
    (
        STANZA,
        "kind: postgres\n    dsn: postgresql:///shop",
        "kind: files\n    paths: [/etc/shop]",
        (5, "components.db.kind"),
        "drd cannot restore a copy of kind files that pgbackrest has made",
        "kinds that can: postgres.",
    ),
    (
        STANZA,
        "    url: pgbackrest:main",
        "    password: {credential: x}\n    url: pgbackrest:main",
        (10, "repositories.theirs.password"),
        "does not apply: pgBackRest reads its encryption password from a variable",
        (
            "remove `password`, and write the password into this variable: pgbackrest: {env: "
            "{PGBACKREST_REPO1_CIPHER_PASS: …}}."
        ),
    ),
]


def test_a_component_in_a_stanza_is_the_database_of_its_connection(tmp_path: Path) -> None:
    loaded = load(tmp_path, STANZA)
    assert loaded.warnings == []
    assert loaded.plan.components["db"].copied_as == "shop"
    spec = loaded.plan.primary
    assert spec.adopted is not None
    assert spec.adopted.stanza is not None
    assert spec.adopted.stanza.options == (("PGBACKREST_REPO1_PATH", "/srv/pgbackrest"),)
    assert set(spec.secrets()) == {"config", "env.PGBACKREST_REPO1_CIPHER_PASS"}


def test_good_plans_have_no_problem(tmp_path: Path) -> None:
    assert load(tmp_path, RESTIC).plan.made_by == "restic"
    loaded = load(tmp_path, COMMAND)
    assert loaded.plan.made_by == "command"
    assert loaded.warnings == []


@pytest.mark.parametrize(
    ("text", "old", "new", "at", "message", "hint"), CASES, ids=[str(c[3][1]) for c in CASES]
)
def test_a_wrong_setting_of_adopted_copies_is_refused_at_its_line(
    tmp_path: Path, *, text: str, old: str, new: str, at: tuple[int, str], message: str, hint: str
) -> None:
    assert text.count(old) >= 1, old
    found = problems(tmp_path, text.replace(old, new, 1))
    first, *others = found
    assert (first.line, first.path, first.message, first.hint) == (*at, message, hint)
    assert first.file.endswith("shop.yaml")
    assert others == []


def test_a_dump_command_is_needed_only_where_drd_makes_the_copies(tmp_path: Path) -> None:
    box = "kind: command\n    restore: [/bin/tar, -x]"
    text = COMMAND.replace("kind: postgres\n    dsn: postgresql:///shop", box).replace(
        'kind: sql, component: db, query: select 1, expect: "> 0"',
        "kind: command, component: db, run: [/bin/true]",
    )
    assert load(tmp_path, text).plan.components["db"].kind == "command"
    own = "  theirs: {url: /mnt/own, password: {credential: own}}\n"
    start, end = text.index("  theirs:"), text.index("retention")
    (found,) = problems(tmp_path, text[:start] + own + text[end:])
    assert (found.line, found.path) == (4, "components.db")
    assert found.message == "required key `dump` is missing"
    assert "add `dump`" in found.hint
    copied = RESTIC.replace("kind: postgres\n    dsn: postgresql:///shop", f"{box}\n    path: /p")
    (found,) = (
        p
        for p in problems(tmp_path, copied.replace("    copied_as: /var/backups/shop.dump\n", ""))
        if p.path == "components.db"
    )
    assert found.message.startswith("needs `copied_as`")


@pytest.mark.parametrize("key", ["data_dir", "path"])
def test_a_new_directory_of_a_server_is_not_a_target(tmp_path: Path, key: str) -> None:
    text = STANZA + f"targets: {{fresh: {{db: {{{key}: /srv/new}}}}}}\n"
    (told,) = problems(tmp_path, text)
    assert told.path == "targets.fresh.db"
    assert told.message.startswith(f"names the directory of a server (`{key}`)")
    assert "pgbackrest restore" in told.hint

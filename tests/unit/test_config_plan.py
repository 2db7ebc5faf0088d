"""Plan files: every mistake has its line, a plain message and a remedy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from drd.config.plan_file import load_plan
from drd.config.yaml import read
from drd.errors import ConfigError
from drd.kinds.files.settings import FilesTarget
from drd.kinds.postgres.settings import PostgresSettings
from drd.model.plan import DrillPolicy, Hook, KitPolicy, Objectives, ReadinessPolicy, Step
from drd.model.policies import BackupPolicy, Blackout, CopyPolicy, PrunePolicy, VerificationPolicy
from tests.config_support import EXAMPLES, GOOD, changed, load, problems, write_plan

REFERENCE = "use {file: PATH}, {env: NAME}, {credential: NAME} or {command: [WORD, …]}."
NAME_RULE = "use lower-case letters, digits and hyphens, at most 40."

# fmt: off
BROKEN = [
    ("plan: shop", "paln: shop", 1, "paln", 'unknown key "paln"', 'did you mean "plan"?'),
    ("objectives:", "ojectives:", 2, "ojectives", 'unknown key "ojectives"', 'did you mean "objectives"?'),
    ("rto: 1h", "rot: 1h", 2, "objectives.rot", 'unknown key "rot"', 'did you mean "rto"?'),
    ("rto: 1h", "zzz: 1h", 2, "objectives.zzz", 'unknown key "zzz"', "use one of: rpo, rto, window."),
    (", rto: 1h", "", 2, "objectives.rto", "rto is missing", "add the key `rto`: how long the service may be down, for example `30m`."),
    ("plan: shop", "plan:", 1, "plan", "is empty", "give the key a value, or remove the line."),
    ("plan: shop", "plan: 12", 1, "plan", "is a number, not text", "put the value in quotes."),
    ("plan: shop", "plan: Shop One", 1, "plan", '"Shop One" is not a valid name', NAME_RULE + ' "shop-one" is allowed.'),
    ("rpo: 1h", "rpo: 60", 2, "objectives.rpo", "60 is not a duration", "write a number and a unit, like 15m or 7d."),
    ("rpo: 1h", "rpo: 0s", 2, "objectives.rpo", "'0s' is out of range", "write more than 0s and at most 36600d."),
    ("rpo: 1h", "rpo: 1000y", 2, "objectives.rpo", "'1000y' is not a duration", "write a number and a unit, like 15m or 7d."),
    ("rpo: 1h", "rpo: 99999w", 2, "objectives.rpo", "'99999w' is out of range", "write more than 0s and at most 36600d."),
    ("rpo: 1h", "rpo: 1:30", 2, "objectives.rpo", "1:30 is read differently by different versions of YAML", 'write "1:30" in quotes for text, a plain number, or a duration like 1m30s.'),
    ("rto: 1h", "rto: 1h, window: 30m", 2, "objectives.window", "is shorter than the RPO, so drd cannot calculate how often the RPO was kept in this time", "write some days, like 90d."),
    ("  store:", "  Store_1:", 7, "components.Store_1", '"Store_1" is not a valid name', NAME_RULE + ' "store-1" is allowed.'),
    ("  store:", "  drd:", 7, "components.drd", 'the name "drd" is reserved: drd uses it for its own snapshots', "choose another name."),
    ("  store:", "  manifest:", 7, "components.manifest", 'the name "manifest" is reserved: drd uses it for its own snapshots', "choose another name."),
    ("kind: sqlite", "kind: sqllite", 8, "components.store.kind", 'unknown kind "sqllite"', 'did you mean "sqlite"?'),
    ("    kind: sqlite\n", "", 7, "components.store.kind", "kind is missing", "write its kind, for example `kind: postgres`."),
    ("dsn: {credential: shop-dsn}", "dsn: {credential: shop-dsn}\n    in: {container: -shop, engine: podman}", 7, "components.db.in.container", '"-shop" is not a name of a container', "write the name that `podman ps` or `docker ps` shows: letters, digits, `_`, `.` and `-`, at most 128, and first a letter or a digit."),
    ("kind: sqlite", "kind: mysql", 8, "components.store.kind", "there is no kind mysql", "write kind: mariadb, which is for both."),
    ("path: /srv/shop/shop.db", "path: shop.db", 9, "components.store.path", '"shop.db" is not an absolute path', "write the whole path, which begins with /."),
    ("paths: [/etc/shop]", "paths: [/etc/shop, etc]", 12, "components.etc.paths[1]", '"etc" is not an absolute path', "write the whole path, which begins with /."),
    ("paths: [/etc/shop]", "paths: []", 12, "components.etc.paths", "is empty", "give the key a value, or remove the line."),
    ("paths: [/etc/shop]", "paths: /etc/shop", 12, "components.etc.paths", "is text, not a list", "write [a, b], or lines that begin with `- `."),
    ("    paths: [/etc/shop]\n", "", 10, "components.etc.paths", "paths is missing", "add the key `paths`: files and directories to back up; a missing one is an error."),
    ("dsn: {credential: shop-dsn}", "dsn: {credentail: x}", 6, "components.db.dsn", "this is not a kind of secret reference", REFERENCE),
    ("dsn: {credential: shop-dsn}", "dsn: {env: A, file: /b, hunter2: c}", 6, "components.db.dsn", "a secret reference has a single key, but this reference has env and file", "use one of {file: PATH}, {env: NAME}, {credential: NAME} or {command: [WORD, …]}."),
    ("dsn: {credential: shop-dsn}", "dsn: postgresql://u:hunter2@h/db", 6, "components.db.dsn", "contains a password, which a plan must not contain", "put the whole string into a credential: dsn: {credential: NAME}."),
    ("dsn: {credential: shop-dsn}", "dsn: host=h password=hunter2", 6, "components.db.dsn", "contains a password, which a plan must not contain", "put the whole string into a credential: dsn: {credential: NAME}."),
    ("dsn: {credential: shop-dsn}", "dsn: {credential: /etc/dsn}", 6, "components.db.dsn", "credential must be the name of a file", "write a whole path as {file: PATH}."),
    ("dsn: {credential: shop-dsn}", "dsn: {env: $DSN}", 6, "components.db.dsn", "env must be the name of a variable", "write the name alone, without a $."),
    ("dsn: {credential: shop-dsn}", "dsn: {file: secrets/dsn}", 6, "components.db.dsn", "file must be an absolute path", "write the whole path, which begins with /."),
    ("dsn: {credential: shop-dsn}", "dsn: 'postgresql://u@h/shop by hand?host=/x'", 6, "components.db.dsn", "has a blank in a name", "write %20 for each blank."),
    ("dsn: {credential: shop-dsn}", "dsn: postgresql://u@h/100%", 6, "components.db.dsn", "has a % without two hexadecimal digits after it", "write %25 for a % in a name."),
    ("dsn: {credential: shop-dsn}", "dsn: host=h dbname=shop by hand", 6, "components.db.dsn", "is not a connection string", "write postgresql://user@host/database or host=… dbname=…."),
    ("dsn: {credential: shop-dsn}", "dsn: postgresql:///shop?host=/x&prot=5433", 6, "components.db.dsn", "has a keyword that PostgreSQL does not know: `prot`", "did you mean `port`?"),
    ("dsn: {credential: shop-dsn}", "dsn: hots=h dbname=shop", 6, "components.db.dsn", "has a keyword that PostgreSQL does not know: `hots`", "did you mean `host`?"),
    ("dsn: {credential: shop-dsn}", "dsn: postgresql://h/shop?pasword=x", 6, "components.db.dsn", "has a keyword that PostgreSQL does not know: `pasword`", "did you mean `password`?"),
    ("dsn: {credential: shop-dsn}", "dsn: shop", 6, "components.db.dsn", "is not a connection string", "write postgresql://user@host/database or host=… dbname=…."),
    ("kind: postgres", "kind: postgres\n    method: physical", 6, "components.db.method", "`method: physical` copies a whole server, which is a kind of its own", "use `kind: postgres-cluster` (docs/postgres-cluster.md), or leave out `method`."),
    ("kind: postgres", "kind: postgres\n    fingerprint: count", 6, "components.db.fingerprint", '"count" is not one of counts, digest, off', 'did you mean "counts"?'),
    ("kind: postgres", "kind: postgres\n    before: {command: [./x.sh]}", 6, "components.db.before.command[0]", '"./x.sh" is a relative path', "write its whole path, or the name of a program on PATH."),
    ("kind: postgres", "kind: postgres\n    after: {command: x}", 6, "components.db.after.command", "is text, not a list", "write [a, b], or lines that begin with `- `."),
    ("kind: postgres", "kind: postgres\n    befor: {command: [x]}", 6, "components.db.befor", 'unknown key "befor"', 'did you mean "before"?'),
    ("password: {credential: shop-restic}", "password: hunter2", 16, "repositories.primary.password", "a secret must be a reference", REFERENCE),
    ("password: {credential: shop-restic}", "protection: none", 14, "repositories.primary.password", "password is missing", "add the key `password`: the repository's encryption password. Without this password the backups are lost."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: backups", 15, "repositories.primary.url", "'backups' is not a valid URL of a repository", "write s3:https://host/bucket/prefix, an absolute path, or sftp:USER@HOST:/PATH, rest:https://HOST:PORT/PATH/, b2:BUCKET:PATH, azure:CONTAINER:/PATH, gs:BUCKET:/PATH, rclone:REMOTE:PATH."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: s3://acme/shop", 15, "repositories.primary.url", "s3://acme does not say whether acme is a bucket or a server", "for the bucket acme at Amazon write s3:https://s3.amazonaws.com/acme/shop, or with another provider s3:https://SERVER/acme/shop; for a server called acme write s3:https://acme/shop."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: sftp:me@nas:/b", 15, "repositories.primary.url", "a repository at sftp: needs the section `sftp`", "add `sftp: {key: …, known_hosts: …}` to the repository."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: sftp:me@nas:/b\n    sftp: {key: {env: A}}", 16, "repositories.primary.sftp.known_hosts", "known_hosts is missing", "add the key `known_hosts`: public keys of the server, in the lines of a known_hosts file, as `ssh-keyscan HOST` prints them. Compare these keys with the keys on the server before you use them: drd connects only to a server that has one of these keys."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: sftp:-oProxyCommand=id:/b\n    sftp: {key: {env: A}, known_hosts: {env: B}}", 15, "repositories.primary.url", "the address does not contain a user", "write sftp:USER@HOST:/PATH, or with a port sftp://USER@HOST:PORT//PATH."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: rest:https://h/b\n    rest: {user: me}", 16, "repositories.primary.rest.user", "also needs `password`", "add the missing key, or remove both keys."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: gs:bucket:/b\n    gs: {credentials: {env: A}, access_token: {env: B}}", 16, "repositories.primary.gs.access_token", "cannot be combined with `credentials`", "remove one of the two keys."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: azure:box:/b\n    azure: {account_name: \"evil.example:8843/x\"}", 16, "repositories.primary.azure.account_name", "'evil.example:8843/x' is not a valid name of a storage account", "write 3 to 24 lower-case letters and digits, as Azure has them."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: azure:box:/b\n    azure: {account_name: acme, endpoint_suffix: \"x.example/y\"}", 16, "repositories.primary.azure.endpoint_suffix", "'x.example/y' is not a valid host name", "write the name without https:// and port, like core.windows.net."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: gs:bucket:/b\n    azure: {account_name: acme}", 16, "repositories.primary.azure", "does not apply to a repository at gs:", "remove `azure`, or write the URL as azure:CONTAINER:/PATH."),
    ("backup: {every: 10m}", "  second: {url: \"sftp:me@Nas:/b/\", password: {env: X}, copy_of: primary, sftp: {key: {env: A}, known_hosts: {env: B}}}\n  third: {url: \"sftp://me@nas:22//b\", password: {env: X}, copy_of: primary, sftp: {key: {env: A}, known_hosts: {env: B}}}", 18, "repositories.third.url", "repository second has the same URL", "give one of the two another URL, best at another provider."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: s3:https://s3.example.com", 15, "repositories.primary.url", "the URL has no bucket", "write s3:https://host/bucket/prefix."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: s3:https://id:key@h/bucket", 15, "repositories.primary.url", "the URL contains a user or password", "write keys into `s3:`, as references."),
    ("url: s3:https://s3.example.com/bucket/shop", "url: /srv/backup\n    s3: {region: x}", 16, "repositories.primary.s3", "does not apply to a local repository", "remove `s3`, or write the URL as s3:https://host/bucket/prefix."),
    ("bucket/shop", "bucket/shop\n    s3: {access_key: {env: A}}", 16, "repositories.primary.s3.access_key", "also needs `secret_key`", "add the missing key. To use the role of the cloud instance, remove both keys."),
    ("bucket/shop", "bucket/shop\n    s3: {secret_key: {env: A}}", 16, "repositories.primary.s3.secret_key", "also needs `access_key`", "add the missing key. To use the role of the cloud instance, remove both keys."),
    ("bucket/shop", "bucket/shop\n    s3: {access_key: AKIA, secret_key: {env: A}}", 16, "repositories.primary.s3.access_key", "a secret must be a reference", REFERENCE),
    ("bucket/shop", "bucket/shop\n    s3: {session_token: {env: A}}", 16, "repositories.primary.s3.session_token", "works only together with `access_key` and `secret_key`, which are missing", "add both, or remove `session_token`."),
    ("bucket/shop", "bucket/shop\n    protection: object-lok", 16, "repositories.primary.protection", '"object-lok" is not one of object-lock, versioning, append-only, none', 'did you mean "object-lock"?'),
    ("backup: {every: 10m}", "  second: {url: /x, password: {env: X}}", 17, "repositories.second", (
        "backups already go to repository primary; only one repository can receive backups"
    ), "add `copy_of: primary` here, or remove one of the two repositories."),
    ("backup: {every: 10m}", "  second: {url: /x, password: {env: X}, copy_of: primray}", 17, "repositories.second.copy_of", 'there is no repository "primray"', 'did you mean "primary"?'),
    ("backup: {every: 10m}", "  second: {url: /x, password: {env: X}, copy_of: second}", 17, "repositories.second.copy_of", "repository second is a copy of itself", "name another repository: primary."),
    ("backup: {every: 10m}", "  second: {url: /x, password: {env: X}, copy_of: third}\n  third: {url: /y, password: {env: X}, copy_of: second}", 17, "repositories.second.copy_of", "the copies form a circle: second of third of second", (
        "in one of these repositories, set `copy_of` to the repository that receives the "
        "backups."
    )),
    ("backup: {every: 10m}", "  second: {url: s3:s3.example.com/bucket/shop/, password: {env: X}, copy_of: primary}", 17, "repositories.second.url", "repository primary has the same URL", "give one of the two another URL, best at another provider."),
    ("bucket/shop", "bucket/shop\n    copy_of: other", 13, "repositories", "all repositories are copies: none receives the backups", "remove `copy_of` from the repository that receives the backups."),
    ("every: 10m", "every: often", 17, "backup.every", "'often' is not a duration", "write a number and a unit, like 15m or 7d, or auto."),
    ("every: 10m", 'every: auto, cron: "@daily"', 17, "backup.cron", "cannot be combined with `every`", "keep only one of the two keys."),
    ("every: 10m", "every: 10m, retries: many", 17, "backup.retries", "is text, not a whole number", "write a whole number."),
    ("every: 10m", "every: 10m, retries: -1", 17, "backup.retries", "-1 is out of range", "write 0 to 100."),
    ("every: 10m", "every: 10m, jitter: 5", 17, "backup.jitter", "5 is not a duration", "write a number and a unit, like 15m or 7d, or none."),
    ("every: 10m", 'every: 10m, blackout: [{from: "22:00"}]', 17, "backup.blackout[0].to", "to is missing", 'add the key `to`: the end of the blackout; `"24:00"` is the end of the day.'),
    ("every: 10m", 'every: 10m, blackout: {from: "22:00", to: "23:00"}', 17, "backup.blackout", "is a mapping, not a list", "write [a, b], or lines that begin with `- `."),
    ("every: 10m", 'every: 10m, blackout: [{form: "22:00", to: "23:00"}]', 17, "backup.blackout[0].form", 'unknown key "form"', 'did you mean "from"?'),
    ("every: 10m", 'every: 10m, blackout: [{from: 22:00, to: "06:00"}]', 17, "backup.blackout[0].from", "22:00 is read differently by different versions of YAML", 'write "22:00" in quotes for text, a plain number, or a duration like 1m30s.'),
    ("every: 10m", 'every: 10m, blackout: [{from: 22, to: "06:00"}]', 17, "backup.blackout[0].from", "22 is not a time of day", 'write hours and minutes in quotes, like "22:00".'),
    ("every: 10m", 'every: 10m, blackout: [{from: "25:00", to: "06:00"}]', 17, "backup.blackout[0].from", "'25:00' is not a time of day", 'write hours and minutes in quotes, like "22:00".'),
    ("every: 10m", 'every: 10m, blackout: [{from: "22:00", to: "6 am"}]', 17, "backup.blackout[0].to", "'6 am' is not a time of day", 'write hours and minutes in quotes, like "22:00".'),
    ("every: 10m", 'every: 10m, blackout: [{from: "22:00", to: "22:00"}]', 17, "backup.blackout[0].to", "the window begins and ends at 22:00", 'for a whole day, write `from: "00:00"` and `to: "24:00"`.'),
    ("every: 10m", 'every: 10m, blackout: [{from: "24:00", to: "06:00"}]', 17, "backup.blackout[0].from", "24:00 is the end of a day, so no window can begin then", 'write `from: "00:00"`, and the next day under `days`.'),
    ("every: 10m", 'every: 10m, blackout: [{from: "22:00", to: "06:00", days: []}]', 17, "backup.blackout[0].days", "is empty", "give the key a value, or remove the line."),
    ("every: 10m", 'every: 10m, blackout: [{from: "22:00", to: "06:00", days: [mon, tuesday]}]', 17, "backup.blackout[0].days[1]", '"tuesday" is not one of mon, tue, wed, thu, fri, sat, sun', 'did you mean "tue"?'),
    ("every: 10m", 'every: 10m, blackout: [{from: "06:00", to: "22:00"}, {from: "22:00", to: "06:00"}]', 17, "backup.blackout", "the blackouts leave no time in which a run can start", "make the blackouts shorter, so that a part of the week is free."),
    ("daily: 7", "daily: 7, every: sometimes", 18, "retention.every", "'sometimes' is not a duration", "write a number and a unit, like 15m or 7d, or never."),
    ("drill: {every: 7d}", 'drill: {every: 7d, cron: "@weekly"}', 23, "drill.cron", "cannot be combined with `every`", "keep only one of the two keys."),
    ("drill: {every: 7d}", 'drill: {cron: "@weekly", timezone: Mars}', 23, "drill.timezone", 'there is no time zone "Mars"', "write a name like Europe/Berlin, or UTC."),
    ("drill: {every: 7d}", "drill: {every: never}", 23, "drill.every", "'never' is not a duration", "write a number and a unit, like 15m or 7d."),
    ("drill: {every: 7d}", 'prune: {every: never, cron: "@weekly"}', 23, "prune.cron", "cannot be combined with `every`", "keep only one of the two keys."),
    ("drill: {every: 7d}", "copy: {every: 1h, cron: '@daily'}", 23, "copy.cron", "cannot be combined with `every`", "keep only one of the two keys."),
    ("drill: {every: 7d}", "copy: {evry: 1h}", 23, "copy.evry", 'unknown key "evry"', 'did you mean "every"?'),
    ("drill: {every: 7d}", "copy: {every: auto}", 23, "copy.every", "'auto' is not a duration", "write a number and a unit, like 15m or 7d, or never."),
    ("drill: {every: 7d}", "prune: {max_repack: 2G}", 23, "prune.max_repack", 'unknown key "max_repack"', "use one of: every, cron, timezone, blackout, timeout."),
    ("drill: {every: 7d}", 'prune: {blackout: [{from: "00:00", to: "24:00"}]}', 23, "prune.blackout", "the blackouts leave no time in which a run can start", "make the blackouts shorter, so that a part of the week is free."),
    ("drill: {every: 7d}", "verification: {read_all_within: 3d}", 23, "verification.read_all_within", "is shorter than the 7d between two verifications", "verify more often, or set a longer `read_all_within`."),
    ("drill: {every: 7d}", 'verification: {cron: "@monthly", read_all_within: 30d}', 23, "verification.read_all_within", "is shorter than the 31d between two verifications", "verify more often, or set a longer `read_all_within`."),
    ("drill: {every: 7d}", "verification: {timezone: europe/berlin}", 23, "verification.timezone", 'there is no time zone "europe/berlin"', 'did you mean "Europe/Berlin"?'),
    ("every: 10m", 'every: 10m, cron: "@daily"', 17, "backup.cron", "cannot be combined with `every`", "keep only one of the two keys."),
    ("every: 10m", 'cron: "* * *"', 17, "backup.cron", "'* * *' has 3 fields", "write 5 fields: minute, hour, day, month, weekday."),
    ("every: 10m", 'cron: "61 * * * *"', 17, "backup.cron", "'61 * * * *' is not a cron expression: bad minute", "write minute, hour, day, month, weekday, like */10 * * * *."),
    ("every: 10m", 'cron: "@dayly"', 17, "backup.cron", "@dayly is not a known word for a schedule", "use @annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly."),
    ("every: 10m", "every: 10m, timezone: europe/berln", 17, "backup.timezone", 'there is no time zone "europe/berln"', 'did you mean "Europe/Berlin"?'),
    ("every: 10m", "every: 10m, timezone: here", 17, "backup.timezone", 'there is no time zone "here"', "write a name like Europe/Berlin, or UTC."),
    ("daily: 7", "daily: -7", 18, "retention.daily", "-7 is out of range", "write 0 to 100000."),
    ("daily: 7", "daily: true", 18, "retention.daily", "is true or false, not a whole number", "write a whole number."),
    ("daily: 7", "dayly: 7", 18, "retention.dayly", 'unknown key "dayly"', 'did you mean "daily"?'),
    ("component: store", "component: stroe", 21, "checks[1].component", 'there is no component "stroe"', 'did you mean "store"?'),
    ("{name: rows, kind: rows", "{name: rows, kind: files", 20, "checks[0].component", "a files check cannot read component db, which is of kind postgres", "this kind of check reads files components."),
    ("{name: files, kind: files", "{name: files, kind: rows", 22, "checks[2].component", "a rows check cannot read component etc, which is of kind files", "this kind of check reads postgres and postgres-cluster and sqlite and command and redis and valkey and mariadb and mariadb-server components."),
    ("name: store, kind: rows", "name: rows, kind: rows", 21, "checks[1].name", 'line 20 already has a check called "rows"', "give each check its own name."),
    ("name: store, kind: rows", "name: store, kind: http", 21, "checks[1].kind", "kind http is not supported yet", "this version supports sql, rows, files, documents, command."),
    ("name: store, kind: rows", "name: store, kind: row", 21, "checks[1].kind", 'unknown kind "row"', 'did you mean "rows"?'),
    ("name: rows, kind: rows", "name: rows, kind: rows, tolerance: 1 row", 20, "checks[0].tolerance", "'1 row' is not a tolerance", "write a number of rows, or a share like 1%."),
    ("name: rows, kind: rows", "name: rows, kind: rows, tolerance: [1]", 20, "checks[0].tolerance", "is a list, not a whole number or text", "write a whole number or text."),
    ("kind: rows, component: db}", "kind: command, run: [bin/x]}", 20, "checks[0].run[0]", '"bin/x" is a relative path', "write its whole path, or the name of a program on PATH."),
    ("drill: {every: 7d}", "drill: {scenarios: [region-loss]}", 23, "drill.scenarios[0]", "the scenario region-loss needs a second repository with copies: it assumes that the first one is lost", "add a repository with `copy_of`, or remove this scenario."),
    ("drill: {every: 7d}", "drill: {scenarios: [ransomware]}", 23, "drill.scenarios[0]", "scenario ransomware is not supported yet", "this version supports database-loss, region-loss, host-loss."),
    ("drill: {every: 7d}", "drill: {scenarios: [regionloss]}", 23, "drill.scenarios[0]", '"regionloss" is not one of database-loss, region-loss, host-loss', 'did you mean "region-loss"?'),
    ("drill: {every: 7d}", "drill: {restore_point: newest}", 23, "drill.restore_point", "is not a valid restore_point", "write `latest` or {random_within: 30d, each: 4}."),
    ("drill: {every: 7d}", "drill: {restore_point: {random_within: 3d, eech: 2}}", 23, "drill.restore_point.eech", 'unknown key "eech"', 'did you mean "each"?'),
    ("drill: {every: 7d}", "targets: {s: {dbb: {dsn: {env: X}}}}", 23, "targets.s.dbb", 'there is no component "dbb"', 'did you mean "db"?'),
    ("drill: {every: 7d}", "targets: {in-place: {db: {dsn: {env: X}}}}", 23, "targets.in-place", 'the name "in-place" is reserved: it means the sources of the components', "choose another name."),
    ("drill: {every: 7d}", "targets: {s: {db: {bin_dir: /x}}}", 23, "targets.s.db.dsn", "dsn is missing", "add the key `dsn`: connection to the database to restore into."),
    ("drill: {every: 7d}", "targets: {s: {db: {dsn: 'host=h password=x'}}}", 23, "targets.s.db.dsn", "contains a password, which a plan must not contain", "put the whole string into a credential: dsn: {credential: NAME}."),
    ("drill: {every: 7d}", "targets: {s: {etc: {path: x}}}", 23, "targets.s.etc.path", '"x" is not an absolute path', "write the whole path, which begins with /."),
    ("drill: {every: 7d}", "runbook: []", 23, "runbook", "is empty", "give the key a value, or remove the line."),
    ("drill: {every: 7d}", "runbook:\n  - restore: [db, stor]", 24, "runbook[0].restore[1]", 'there is no component "stor"', 'did you mean "store"?'),
    ("drill: {every: 7d}", "runbook:\n  - restore: all\n  - restore: [db]", 25, "runbook[1].restore[0]", "an earlier step already restores component db", "remove one of the two restore steps."),
    ("drill: {every: 7d}", "runbook:\n  - restore: all\n  - check: [row]", 25, "runbook[1].check[0]", 'there is no check "row"', 'did you mean "rows"?'),
    ("drill: {every: 7d}", "runbook:\n  - check: [rows]\n  - restore: all", 24, "runbook[0].check[0]", 'the check "rows" reads component db, which is not restored yet', "restore db in an earlier step."),
    ("drill: {every: 7d}", "runbook:\n  - {restore: [db], name: a}\n  - {check: [rows], name: a}", 25, "runbook[1].name", 'another step is called "a"', "give each step its own name."),
    ("drill: {every: 7d}", "runbook:\n  - restore: db", 24, "runbook[0].restore", "is neither `all` nor a list", "write `all`, or names in brackets: [a, b]."),
    ("drill: {every: 7d}", "runbook:\n  - dance: all", 24, "runbook[0]", "is not a step of a runbook", "give the step one of these keys: restore, check, start, stop, command, http, sql, erasures, approve, wait, notify, manual; for example `restore: all`."),
    ("drill: {every: 7d}", "drill: {every: 7d}\ndrill: {}", 24, "drill", 'the key "drill" is given twice here', "remove one of the two lines; the first is line 23."),
]
# fmt: on


@pytest.mark.parametrize(("old", "new", "line", "path", "message", "hint"), BROKEN)
def test_mistake_is_named_with_line_and_remedy(
    tmp_path: Path, *, old: str, new: str, line: int, path: str, message: str, hint: str
) -> None:
    found = {(p.line, p.path, p.message, p.hint) for p in problems(tmp_path, changed(old, new))}
    assert (line, path, message, hint) in found


@pytest.mark.parametrize(("old", "new"), [(b[0], b[1]) for b in BROKEN])
def test_mistake_is_reported_once_and_without_its_consequences(
    tmp_path: Path, old: str, new: str
) -> None:
    """Only the checks of a renamed component miss it, and a foreign key may replace a needed one."""
    found = problems(tmp_path, changed(old, new))
    missed = [p for p in found if p.message == 'there is no component "store"']
    assert len(found) - len(missed) == (2 if new == "zzz: 1h" else 1)


def test_good_plan_has_neither_problem_nor_warning(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).warnings == []


def test_secrets_of_a_broken_plan_are_not_repeated(tmp_path: Path) -> None:
    text = changed("password: {credential: shop-restic}", "password: hunter2secret")
    text = text.replace("dsn: {credential: shop-dsn}", "dsn: postgresql://u:hunter2secret@h/d")
    text = text.replace("rpo: 1h", "rpo: x").replace(
        "bucket/shop", "bucket/shop\n    s3: {access_key: {hunter2secret}}"
    )
    found = problems(tmp_path, text)
    assert len(found) == 4
    assert "hunter2secret" not in repr(found)


def test_all_problems_are_reported_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = changed("rto: 1h", "rto: x").replace("kind: sqlite", "kind: mysql")
    text = text.replace("component: etc", "component: etcc").replace("every: 7d", "every: never")
    found = problems(tmp_path, text)
    assert [(p.line, p.path) for p in found] == [
        (2, "objectives.rto"),
        (8, "components.store.kind"),
        (22, "checks[2].component"),
        (23, "drill.every"),
    ]


# fmt: off
WARNINGS = [
    ("plan: shop", "plan: market", 1, "plan", "the file is called shop.yaml, but the plan is called market"),
    ("backup: {every: 10m}\n", "", 1, "backup", "the plan has no backup schedule: backups start only by hand"),
    ("every: 10m", "every: 2h", 17, "backup.every", "a backup every 2h cannot keep an RPO of 1h"),
    ("every: 10m", "every: 1h", 17, "backup.every", "a backup every 1h cannot keep an RPO of 1h"),
    ("every: 10m", 'every: 10m, blackout: [{from: "22:00", to: "06:00"}]', 17, "backup.blackout", "a blackout of 8h cannot keep an RPO of 1h"),
    ("every: 10m", 'every: 10m, blackout: [{from: "06:00", to: "06:30"}, {from: "06:30", to: "07:00"}]', 17, "backup.blackout", "a blackout of 1h cannot keep an RPO of 1h"),
    ("rpo: 1h", "rpo: 30s", 17, "backup.every", "a backup every 10m cannot keep an RPO of 30s"),
    ("bucket/shop", "bucket/shop\n    protection: append-only", 16, "repositories.primary.protection", "the repository is append-only: retention will fail"),
    ("every: 10m", 'cron: "*/10 8-18 * * *"', 17, "backup.cron", "a backup every 13h 10m cannot keep an RPO of 1h"),
    ("retention: {daily: 7}\n", "", 1, "retention", "the plan has no `retention`: drd keeps all restore points for ever"),
    ("drill: {every: 7d}\n", "", 1, "drill", "the plan has no drill schedule: nobody notices when restore points can no longer be restored"),
    ("s3:https://s3.example.com/bucket/shop", "/srv/backup", 15, "repositories.primary.url", "the only copy is on this host: if the host is lost, the copy is lost, too"),
    ("url: s3:https://s3.example.com/bucket/shop", "url: sftp:me@nas:2222/srv/b\n    sftp: {key: {env: A}, known_hosts: {env: B}}", 15, "repositories.primary.url", "2222 is read as a directory, and not as a port: drd connects to port 22"),
    ("s3:https://", "s3:http://", 15, "repositories.primary.url", "the connection to the repository is not encrypted"),
    ("s3:https://s3.example.com/bucket/shop", "rest:http://nas:8000/shop/", 15, "repositories.primary.url", "the connection to the repository is not encrypted"),
    ("  - {name: store, kind: rows, component: store}\n", "", 7, "components.store", "no check covers component store: a drill will not notice if the data of store is wrong"),
    ("path: /srv/shop/shop.db", "path: /srv/shop/shop.db\n    fingerprint: off", 22, "checks[1]", (
        "this check has nothing to compare with: component store has `fingerprint: off`"
    )),
    ("drill: {every: 7d}", "drill: {every: 7d}\nrunbook: [{restore: [db, store]}, {check: [rows, store]}]", 10, "components.etc", "no step of the runbook restores component etc: recoveries will leave etc out"),
    ("drill: {every: 7d}", "drill: {every: 7d}\nrunbook: [{restore: all}, {check: [rows, store]}]", 22, "checks[2]", 'no step of the runbook runs the check "files"'),
    ("drill: {every: 7d}", "drill: {every: 7d}\ntargets: {s: {db: {dsn: {env: X}}, store: {path: /srv/shop/../shop/shop.db}, etc: {path: /x}}}", 24, "targets.s.store", "this place is the source of component store: a recovery to it needs --in-place"),
    ("drill: {every: 7d}", "drill: {every: 7d}\ntargets: {s: {db: {dsn: {env: X}}, store: {path: /x}, etc: {path: /etc}}}", 24, "targets.s.etc", "this place is the source of component etc: a recovery to it needs --in-place"),
    ("drill: {every: 7d}", "drill: {every: 7d}\ntargets: {s: {db: {dsn: {credential: shop-dsn}}, store: {path: /x}, etc: {path: /y}}}", 24, "targets.s.db", "this place is the source of component db: a recovery to it needs --in-place"),
    ("drill: {every: 7d}", "drill: {every: 7d}\ntargets: {s: {db: {dsn: {env: X}}}}", 24, "targets.s", "this target has no place for store, etc: a recovery to it does not restore store, etc"),
]
# fmt: on


@pytest.mark.parametrize(("old", "new", "line", "path", "message"), WARNINGS)
def test_plans_likely_to_disappoint_get_warnings(
    tmp_path: Path, *, old: str, new: str, line: int, path: str, message: str
) -> None:
    warnings = load(tmp_path, changed(old, new)).warnings
    assert (line, path, message) in [(w.line, w.path, w.message) for w in warnings]
    assert all(w.severity == "warning" and w.hint for w in warnings)


@pytest.mark.parametrize("checks", ["", "checks: [{name: x, kind: command, run: [x]}]\n"])
def test_plan_that_no_drill_can_prove_is_warned_about(tmp_path: Path, checks: str) -> None:
    text = re.sub(r"checks:\n( .*\n)*", checks, GOOD)
    (warning,) = load(tmp_path, text).warnings
    assert warning.message == (
        "no check reads data: every drill will be inconclusive (it proves nothing)"
    )


SERVED = """
  pages:
    kind: command
    dump: [/usr/bin/tar, -c, .]
    restore: [/usr/bin/tar, -x]
    path: /srv/pages
    address: http://127.0.0.1:8080
    serve: {command: [/usr/bin/serve, "${port}"], address: "http://127.0.0.1:${port}"}
    query: [/usr/bin/get, "${address}/${query}"]
"""
START = "start: {unit: pages.service}, rehearse: skip, reason: it runs already"


def served(component: str) -> str:
    """Return the plan with this component, and a check of it."""
    check = "  - {name: page, kind: sql, component: pages, query: index, expect: hello}\n"
    text = GOOD.replace("\nrepositories:", f"{component}repositories:", 1)
    return text.replace("drill: {every", f"{check}drill: {{every", 1)


@pytest.mark.parametrize(
    ("steps", "warned"),
    [
        ([], ["components.pages", "targets.spare.pages"]),
        (["restore: all", "check: all"], ["components.pages", "targets.spare.pages"]),
        (["restore: all", START, "check: all"], []),
        ([START, "restore: all", "check: all"], ["components.pages", "targets.spare.pages"]),
        (
            ["restore: all", f"{START}, when: {{target: in-place}}", "check: all"],
            ["targets.spare.pages"],
        ),
        (["restore: all", "command: {run: [/usr/bin/up]}", "check: all"], []),
        (["restore: all", "manual: {do: start it}, reason: people", "check: all"], []),
        (["restore: all"], []),
    ],
)
def test_checks_that_ask_a_service_that_no_step_starts_are_warned_about(
    tmp_path: Path, steps: list[str], warned: list[str]
) -> None:
    """drd starts the service only in a drill: a recovery in place would end as failed."""
    more = "targets: {spare: {pages: {path: /srv/new, address: http://127.0.0.1:8081}}}\n"
    more += "runbook:\n" * bool(steps) + "".join(f"  - {{{step}}}\n" for step in steps)
    text = served(SERVED) + more
    found = [w for w in load(tmp_path, text).warnings if "asks its service" in w.message]
    assert [w.path for w in found] == warned
    assert all("`query` asks its service at `address`" in w.message for w in found)


def test_a_service_that_the_checks_do_not_ask_is_not_warned_about(tmp_path: Path) -> None:
    text = served(SERVED.replace("${address}/", "${path}/"))
    assert not any("asks its service" in w.message for w in load(tmp_path, text).warnings)


ERASES = """
erasures:
  component: sessions
  register: {file: /srv/erased}
  replay: {command: [/usr/bin/erase]}
  check: {command: [/usr/bin/still-there]}
"""


def with_sessions(component: str) -> str:
    return GOOD.replace("\nrepositories:", f"\n  sessions: {component}\nrepositories:", 1)


@pytest.mark.parametrize(
    ("steps", "warned"),
    [
        ([], "in place or to spare"),
        (["restore: all", "check: all"], "in place or to spare"),
        (["restore: all", START, "check: all"], "in place or to spare"),
        (["restore: all", "erasures: sessions", START], "in place or to spare"),
        ([START, "restore: all", "erasures: sessions"], "in place or to spare"),
        (
            ["restore: all", f"{START}, when: {{target: in-place}}", "erasures: sessions"],
            "to spare",
        ),
        (["restore: all", START, "erasures: sessions", "check: all"], ""),
        (["restore: all", "command: {run: [/usr/bin/up]}", "erasures: sessions"], ""),
    ],
)
def test_erasures_by_a_command_before_a_step_starts_the_server_are_warned_about(
    tmp_path: Path, steps: list[str], warned: str
) -> None:
    """A drill has a server of its own and passes: the recovery would fail."""
    component = "{kind: valkey, url: 'unix:///run/v.sock', dir: /srv/valkey}"
    more = ERASES + "targets: {spare: {sessions: {path: /srv/new}}}\n"
    more += "runbook:\n" * bool(steps) + "".join(f"  - {{{step}}}\n" for step in steps)
    found = [
        w for w in load(tmp_path, with_sessions(component) + more).warnings
        if "no server to ask" in w.message
    ]  # fmt: skip
    assert [w.path for w in found] == ["erasures.replay.command"] * bool(warned)
    assert all(f"in a recovery {warned}, this command" in w.message for w in found)
    assert all("{erasures: sessions}" in w.hint for w in found)


def test_erasures_of_a_database_in_a_running_server_are_not_warned_about(tmp_path: Path) -> None:
    text = with_sessions("{kind: mariadb, dsn: 'mariadb://root@/shop?socket=/run/s'}")
    warnings = load(tmp_path, text + ERASES).warnings
    assert not any("no server to ask" in w.message for w in warnings)


def test_frequent_cron_keeps_the_rpo(tmp_path: Path) -> None:
    assert load(tmp_path, changed("every: 10m", 'cron: "*/10 * * * *"')).warnings == []


@pytest.mark.parametrize(
    "backup",
    [
        "every: auto",
        'every: 10m, blackout: [{from: "06:00", to: "06:59"}]',
        "every: 10m, retries: 0, jitter: 10m",
    ],
)
def test_schedule_that_can_keep_the_rpo_is_not_warned_about(tmp_path: Path, backup: str) -> None:
    assert load(tmp_path, changed("every: 10m", backup)).warnings == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("drill: {every: 7d}", 'drill: {cron: "0 4 * * 0"}'),
        ("daily: 7", "daily: 7, every: never"),
        ("bucket/shop", "bucket/shop\n    protection: object-lock"),
    ],
)
def test_tasks_at_fixed_times_or_by_hand_cause_no_warning(
    tmp_path: Path, old: str, new: str
) -> None:
    assert load(tmp_path, changed(old, new)).warnings == []


def test_append_only_repository_whose_retention_is_done_elsewhere_is_fine(tmp_path: Path) -> None:
    text = changed("daily: 7", "daily: 7, every: never")
    text = text.replace("bucket/shop", "bucket/shop\n    protection: append-only")
    assert load(tmp_path, text).warnings == []


# --- what comes out ---------------------------------------------------------------------------


def test_a_plan_that_says_little_has_the_defaults_of_the_model(tmp_path: Path) -> None:
    plan = load(tmp_path, changed("drill: {every: 7d}", "")).plan
    assert plan.objectives == Objectives(plan.objectives.rpo_s, plan.objectives.rto_s)
    assert plan.objectives.window_s == 90 * 86400.0
    assert plan.backup == BackupPolicy(every_s=600.0)
    assert (plan.copying, plan.prune, plan.verification) == (
        CopyPolicy(),
        PrunePolicy(),
        VerificationPolicy(),
    )
    assert (plan.drill, plan.kit, plan.readiness) == (DrillPolicy(), KitPolicy(), ReadinessPolicy())


def test_plan_has_what_was_written(tmp_path: Path) -> None:
    text = changed("kind: postgres", "kind: postgres\n    before: {command: [sync], timeout: 5s}")
    text = text.replace("{every: 10m}", '{cron: "@hourly", timezone: Europe/Berlin, timeout: 2h}')
    text = text.replace("drill: {every: 7d}", "drill: {restore_point: {random_within: 3d}}")
    text += "targets: {standby: {etc: {path: /srv/x}}}\n"
    plan = load(tmp_path, text).plan
    assert list(plan.components) == ["db", "store", "etc"]
    assert plan.components["db"].before == Hook(("sync",), 5.0)
    assert isinstance(plan.components["db"].settings, PostgresSettings)
    assert (plan.backup.cron, plan.backup.timezone) == ("0 * * * *", "Europe/Berlin")
    assert (plan.backup.interval_s, plan.backup.timeout_s) == (3600.0, 7200.0)
    assert plan.drill == DrillPolicy(random_within_s=3 * 86400.0)
    assert plan.targets["standby"].components == {"etc": FilesTarget(path="/srv/x")}
    assert plan.primary.url == "s3:https://s3.example.com/bucket/shop"
    assert plan.file == str(tmp_path / "shop.yaml")


def test_times_of_a_plan_are_what_was_written(tmp_path: Path) -> None:
    night = '{from: "22:00", to: "6:30", days: [sun, mon]}'
    text = changed(
        "{every: 10m}",
        f"{{every: auto, blackout: [{night}], timezone: Europe/Berlin, retries: 2, jitter: 1m}}",
    )
    text = text.replace("daily: 7", "daily: 7, every: 12h")
    text = text.replace(
        "drill: {every: 7d}",
        f'drill: {{cron: "0 4 * * 0", timezone: Asia/Tokyo, blackout: [{night}], timeout: 1h}}\n'
        'prune: {cron: "@monthly", timeout: 2h}\n'
        f"copy: {{every: 6h, blackout: [{night}]}}\n"
        "verification: {every: 3d, read_all_within: 30d}",
    )
    plan = load(tmp_path, text).plan
    window = Blackout(22 * 60, 6 * 60 + 30, (0, 6))
    assert plan.backup == BackupPolicy(
        timezone="Europe/Berlin",
        longest_gap_s=2700.0,
        auto=True,
        blackout=(window,),
        retries=2,
        jitter_s=60.0,
    )
    assert plan.retention.every_s == 12 * 3600.0
    assert (plan.drill.cron, plan.drill.timezone) == ("0 4 * * 0", "Asia/Tokyo")
    assert (plan.drill.interval_s, plan.drill.timeout_s) == (7 * 86400.0, 3600.0)
    assert plan.drill.blackout == (window,)
    assert plan.copying == CopyPolicy(every_s=6 * 3600.0, blackout=(window,), pause_s=14.5 * 3600.0)
    assert plan.prune == PrunePolicy(
        every_s=None, cron="0 0 1 * *", timeout_s=7200.0, longest_gap_s=31 * 86400.0
    )
    assert plan.verification == VerificationPolicy(
        every_s=3 * 86400.0, read_all_within_s=30 * 86400.0
    )


def test_maintenance_has_its_times_unless_the_plan_says_never(tmp_path: Path) -> None:
    plan = load(tmp_path, GOOD).plan
    assert plan.retention.every_s == 86400.0
    assert (plan.prune, plan.verification) == (PrunePolicy(), VerificationPolicy())
    assert plan.copying == CopyPolicy()
    never = "prune: {every: never}\nverification: {every: never}\n"
    plan = load(tmp_path, changed("daily: 7", "daily: 7, every: never") + never).plan
    assert plan.retention.every_s is None
    assert (plan.prune.every_s, plan.verification.every_s) == (None, None)
    assert load(tmp_path, changed("{daily: 7}", "{}")).plan.retention.every_s is None


def test_plan_without_runbook_restores_all_and_runs_all_checks(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).plan.runbook == (
        Step("restore", "restore", ("db", "store", "etc")),
        Step("check", "check", ("rows", "store", "files")),
    )


def test_steps_without_a_name_get_one(tmp_path: Path) -> None:
    runbook = (
        "runbook: [{restore: [db]}, {check: [rows]}, {restore: [etc], name: restore-2}, "
        "{restore: [store]}, {check: all}]\n"
    )
    steps = load(tmp_path, GOOD + runbook).plan.runbook
    assert [s.name for s in steps] == ["restore", "check", "restore-2", "restore-3", "check-2"]


@pytest.mark.parametrize("off", ["off", "'off'", "false"])
def test_fingerprint_can_be_switched_off_by_a_word(tmp_path: Path, off: str) -> None:
    plan = load(tmp_path, changed("kind: sqlite", f"kind: sqlite\n    fingerprint: {off}")).plan
    assert plan.components["store"].settings.fingerprint.mode == "off"  # type: ignore[attr-defined]


# --- files ------------------------------------------------------------------------------------


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_plan(tmp_path / "x.yaml")
    assert caught.value.message.endswith("cannot read the plan: no such file or directory")
    assert caught.value.hint == "check the name; `drd plan check` lists the plans."


def test_directory_fifo_and_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, words in (
        (tmp_path, "is a directory"),
        (tmp_path / "fifo", "is an empty pipe, not a file"),
        (Path("/dev/zero"), "is larger than 1 MiB"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_plan(path)
        assert words in caught.value.message
        assert caught.value.hint


def test_file_of_more_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, GOOD + "#" * (1 << 20))
    assert problem.message == "is larger than 1 MiB"
    assert load(tmp_path, GOOD + "#" * ((1 << 20) - len(GOOD)))


def test_unreadable_file_says_what_to_do(short_tmp: Path) -> None:
    path = write_plan(short_tmp, GOOD)
    path.chmod(0)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from drd.config.plan_file import load_plan\n"
        "from drd.errors import ConfigError\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: load_plan(Path(sys.argv[1]))\n"
        "except ConfigError as error: print(error, error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert "cannot read the plan: permission denied" in done.stdout
    assert "chgrp drd" in done.stdout


@pytest.mark.parametrize("text", ["just text", "- a list", "12"])
def test_a_file_that_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert (problem.line, problem.message) == (1, "is not a mapping")


# --- the examples -----------------------------------------------------------------------------

EXAMPLE_FILES = sorted(EXAMPLES.glob("*.yaml"))


def test_the_examples_contain_the_plans_that_the_documentation_names() -> None:
    assert {p.stem for p in EXAMPLE_FILES} >= {"orders-api", "single-sqlite", "configuration-only"}


@pytest.mark.parametrize("path", EXAMPLE_FILES, ids=lambda p: p.stem)
def test_example_loads(path: Path) -> None:
    loaded = load_plan(path)
    assert loaded.plan.name == path.stem
    local = loaded.plan.primary.url.startswith("/")
    assert len(loaded.warnings) == (1 if local else 0)


FREE = {("components",), ("repositories",), ("targets",)}
"""Mappings whose keys the writer chooses; so do a target, the environment of a step, and headers."""

KEYS = [
    (example, path, place.key)
    for example in EXAMPLE_FILES
    for path, place in read(example.read_bytes(), "x").places.items()
    if isinstance(path[-1], str)
    and path[:-1] not in FREE
    and not (path[0] == "targets" and len(path) == 3)
    and path[-2:-1] not in {("env",), ("headers",)}
]


@pytest.mark.parametrize(
    ("example", "path", "line"), KEYS, ids=lambda v: v.stem if isinstance(v, Path) else None
)
def test_any_mistyped_key_is_found_on_its_line(
    tmp_path: Path, example: Path, path: tuple[str | int, ...], line: int
) -> None:
    lines = example.read_text().split("\n")
    key = str(path[-1])
    lines[line - 1], count = re.subn(rf"(?<![\w-]){key}:", f"{key}x:", lines[line - 1], count=1)
    assert count == 1
    found = problems(tmp_path, "\n".join(lines))
    # The same key may stand earlier on the line: another place then, and the same line.
    assert line in [p.line for p in found]
    assert all(p.hint for p in found)


def test_max_repack_is_a_size_and_no_retention_rule(tmp_path: Path) -> None:
    bounded = load(tmp_path, changed("daily: 7", "daily: 7, max_repack: 2G")).plan.retention
    assert bounded.max_repack_bytes == 2 << 30
    assert not bounded.keeps_everything
    alone = load(tmp_path, changed("daily: 7", "max_repack: 512M"))
    assert alone.plan.retention.keeps_everything
    assert any("no `retention`" in warning.message for warning in alone.warnings)
    (wrong,) = problems(tmp_path, changed("daily: 7", "daily: 7, max_repack: lots"))
    assert "like 512M or 2G" in wrong.hint
    assert wrong.line == 18

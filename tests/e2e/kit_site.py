"""A service on S3 with a database behind a password, and what its kit is opened with."""

from __future__ import annotations

import os
import pty
import re
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import drd
from tests import warm
from tests.e2e.site import PASSWORD, Result, Site, make_sqlite, make_tree
from tests.light_repository import begin_in_bucket
from tests.servers import PostgresServer, S3Server

PASSPHRASE = "five words for a kit"

_PLAN = """
components:
  orders-db: {{kind: postgres, dsn: {source}}}
  sessions: {{kind: sqlite, path: {base}/sessions.db}}
  gateway: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: orders are there, kind: sql, component: orders-db,
      query: "select count(*) from orders", expect: "> 0"}}
  - {{name: sessions are there, kind: sql, component: sessions,
      query: "select count(*) from orders", expect: "> 0"}}
  - {{name: row counts, kind: rows, component: orders-db}}
  - {{name: gateway, kind: files, component: gateway}}
targets:
  standby:       # where we go when the host is gone
    orders-db: {{dsn: {{file: {base}/secrets/standby}}}}
    sessions: {{path: {back}/sessions.db}}
    gateway: {{path: {back}/etc}}
"""

_S3 = """    s3:
      access_key: {{env: KIT_TEST_KEY}}
      secret_key: {{command: [cat, {base}/secrets/s3]}}
      region: us-east-1
"""

DATABASE = """
create role "the owner"; create role reader login password 'for reports';
"""
TABLES = """
set role "the owner";
create table orders (id bigserial primary key, name text);
insert into orders (name) select 'order ' || g from generate_series(1, 1000) g;
create table "order""s of 東京" (id int references orders, extra jsonb);
insert into "order""s of 東京" select g, '{"a": 1}' from generate_series(1, 500) g;
grant select on orders to reader;
"""
ROLES = """
select rolname, rolcanlogin, rolpassword from pg_authid
 where rolname in ('the owner', 'reader') order by 1
"""


@dataclass
class KitSite:
    """`site` is the host that will be lost; `back` is where its target's files go."""

    site: Site
    s3: S3Server
    source: PostgresServer
    standby: PostgresServer
    back: Path

    @property
    def file(self) -> Path:
        return self.site.base / "shop.kit"

    @property
    def identity(self) -> Path:
        return self.site.base.parent / "identity"

    @property
    def password(self) -> Path:
        return self.site.base.parent / "password"

    @property
    def passphrase(self) -> Path:
        return self.site.base / "passphrase"

    def export(self, *words: str) -> Path:
        key = words or ("--passphrase-file", str(self.passphrase))
        self.site.drd("kit", "export", "shop", "--to", str(self.file), *key)
        return self.file

    def empty_standby(self) -> None:
        """As on the day on which it was set up."""
        self.standby.execute("drop database if exists back")
        self.standby.execute('drop role if exists "the owner"')
        self.standby.execute("drop role if exists reader")
        shutil.rmtree(self.back)
        self.back.mkdir()

    def assert_back(self) -> None:
        """By the databases' own tools: everything is as at the source."""
        there, here = dumped(self.standby, "back"), dumped(self.source, "warehouse")
        assert there == here.replace("warehouse", "back")
        assert self.standby.execute(ROLES) == self.source.execute(ROLES)
        assert sqlite_dump(self.back / "sessions.db") == sqlite_dump(self.site.base / "sessions.db")
        tree = self.back / "etc" / (self.site.base / "etc").relative_to("/")
        subprocess.run(["diff", "-r", "--no-dereference", self.site.base / "etc", tree], check=True)


def kit_site(base: Path, s3: S3Server, source: PostgresServer, standby: PostgresServer) -> KitSite:
    """A site with a restore point in a bucket of its own; `standby` is an empty server."""
    bucket = f"kit-{secrets.token_hex(4)}"
    s3.create_bucket(bucket)
    site = Site(base / "host", repository=s3.repository(bucket, "shop"))
    begin_in_bucket(s3, site.repository, PASSWORD)
    back = base / "back"
    back.mkdir()
    make_sqlite(site.base / "sessions.db")
    make_tree(site.base / "etc")
    _make_odd_names(site.base)
    source.execute(DATABASE)
    source.execute('create database warehouse owner "the owner"')
    source.execute("alter database warehouse set timezone to 'Asia/Tokyo'")
    source.execute(TABLES, "warehouse")
    site.secret("source", source.dsn("warehouse"))
    site.secret("standby", standby.dsn("back"))
    site.secret("s3", s3.secret_key + "\n")
    site.environment["KIT_TEST_KEY"] = s3.access_key
    plan = _PLAN.format(base=site.base, back=back, source=f"{{file: {site.base}/secrets/source}}")
    site.plan(plan, s3=_S3.format(base=site.base))
    with (site.base / "drd.yaml").open("a") as config:
        config.write(
            "people:\n"
            "  - {name: Ann Example, phone: '+49 30 1234', roles: [incident commander, operator]}\n"
            "  - {name: Bob Example, email: bob@example.com, roles: [operator]}\n"
        )
    (site.base / "passphrase").write_text(f"{PASSPHRASE}\n")
    site.drd("backup", "shop")
    return KitSite(site, s3, source, standby, back)


def open_with_age(kit: Path, into: Path, answer: str = PASSPHRASE) -> Path:
    """By the command that the kit's first line gives, with the passphrase typed on a terminal."""
    first = kit.read_bytes().split(b"\n", 1)[0].decode()
    match = re.search(r"open it without drd: (.* \| tar -x) ", first)
    assert match
    command = match[1].replace("THIS-FILE", str(kit))
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(into)
        os.execvp("bash", ["bash", "-euo", "pipefail", "-c", command])
    said = b""
    try:
        while b"passphrase:" not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, answer.encode() + b"\n")
        while part := os.read(terminal, 1000):
            said += part
    except OSError:  # the terminal is closed when everybody is gone
        pass
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    return into / "recovery-kit"


def printed_commands(page: str) -> str:
    """What the page gives to type, in its order."""
    return "".join(re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


def run_bash(script: str, directory: Path, environment: Mapping[str, str]) -> str:
    """In a shell that knows nothing of drd or of the host that was lost."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        ["bash"],
        input=script,
        capture_output=True,
        text=True,
        cwd=directory,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), **environment},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def dumped(server: PostgresServer, database: str) -> str:
    """pg_dump's text, without its random keys."""
    argv = [f"{server.bin_dir}/pg_dump", "--create", "-d", server.dsn(database)]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in text.splitlines() if not re.match(r"\\(un)?restrict ", line))


def _make_odd_names(base: Path) -> None:
    """Such as a shell, a list of digests or an SQL statement take for something else."""
    (base / "etc" / "two\nlines \\ and $more").write_text("odd\n")
    with sqlite3.connect(base / "sessions.db") as connection:
        connection.execute('create table "the ""odd"" one" (id int)')


def sqlite_dump(file: Path) -> bytes:
    return subprocess.run(["sqlite3", file, ".dump"], capture_output=True, check=True).stdout


@dataclass
class Machine:
    """One that has nothing: a root of its own, no credentials, no configuration, an empty HOME."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The drd.yaml, wherever a bootstrap wrote it."""
        return next(self.root.rglob("drd.yaml"), self.root / "etc/drd/drd.yaml")

    def drd(self, *words: str, code: int | None = 0) -> Result:
        home = self.root.parent / "home"
        home.mkdir(exist_ok=True)
        done = warm.run(
            words,
            cwd=home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "PYTHONPATH": str(Path(drd.__file__).parents[1]),
                "DRD_TEST_RUN": os.environ["DRD_TEST_RUN"],
                **self.environment,
            },
            timeout=240,
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert PASSWORD not in result.out + result.err
        assert "Traceback" not in result.err, result.err
        assert code is None or result.code == code, f"{words}: {result}"
        return result

    def after(self, *words: str, code: int | None = 0) -> Result:
        """A command on the machine as bootstrapped."""
        return self.drd("--config", str(self.config), *words, code=code)

    def everything(self) -> dict[str, bytes]:
        """Every file below the root."""
        files = (p for p in self.root.rglob("*") if p.is_file())
        return {str(p.relative_to(self.root)): p.read_bytes() for p in files}

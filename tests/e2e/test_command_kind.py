"""A service that drd knows nothing of, OpenLDAP, by the commands of docs/command.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from drd.config.plan_file import plan_of_text
from drd.kinds.command.settings import CommandTarget
from drd.kinds.registry import by_hand_of
from tests import warm
from tests.e2e.site import PASSWORD, Site
from tests.e2e.test_docs import commands, section
from tests.repository_support import until

PAGE = (Path(__file__).parents[2] / "docs/command.md").read_text()
PEOPLE = 300

_LIVE = """
authz-regexp ".*" "cn=admin,dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
"""
_READ = "limits * size=unlimited\n"
_BASE = """\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example

"""
_PERSON = """\
dn: uid={0},dc=example,dc=org
objectClass: inetOrgPerson
cn: {0}
sn: {0}

"""


def shown(mark: str) -> str:
    """The block of the page after a mark."""
    found = re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, mark
    return found[1]


class Directory:
    """The directory of a company in `live`, and what the page says about it in `conf`."""

    def __init__(self, base: Path) -> None:
        self.live, self.conf = base / "live", base / "conf"
        self.socket = base / "ldapi"
        self.address = f"ldapi://{quote(str(self.socket), safe='')}"
        self.live.mkdir()
        self.conf.mkdir()
        for name in ("restore.conf", "ldap-dump", "ldap-count"):
            file = self.conf / name
            file.write_text(self.here(shown(f"file: {name}")))
            file.chmod(0o755)
        config = (self.conf / "restore.conf").read_text()
        config = config.replace("directory .", f"directory {self.live}") + _LIVE
        (base / "slapd.conf").write_text(config)
        names = ["admin", *(f"u{n}" for n in range(PEOPLE - 1))]
        self.people = _BASE + "".join(_PERSON.format(n) for n in names)

    def here(self, text: str) -> str:
        for there, here in {
            "/etc/ldap/restore.conf": f"{self.conf}/restore.conf",
            "/usr/local/bin": str(self.conf),
            "/var/lib/ldap": str(self.live),
            "ldapi:///": self.address,
        }.items():
            text = text.replace(there, here)
        return text

    def fill(self) -> None:
        words = ["slapadd", "-q", "-f", str(self.live.parent / "slapd.conf")]
        subprocess.run(words, input=self.people, text=True, check=True)

    @contextmanager
    def served(self) -> Iterator[None]:
        words = ["/usr/sbin/slapd", "-d", "0", "-h", self.address]
        server = subprocess.Popen([*words, "-f", str(self.live.parent / "slapd.conf")])
        try:
            until(self._answers)
            yield
        finally:
            server.terminate()
            server.wait(20)

    def _answers(self) -> bool:
        words = ["ldapwhoami", "-Q", "-Y", "EXTERNAL", "-H", self.address]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def bound(self, program: str, *words: str) -> str:
        login = ["-x", "-D", "cn=admin,dc=example,dc=org", "-w", "s3cret-of-ldap"]
        argv = [program, *login, "-H", self.address, *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def count(self) -> int:
        found = self.bound("ldapsearch", "-LLL", "-b", "dc=example,dc=org", "dn")
        return len(re.findall("^dn:", found, re.MULTILINE))

    def entries(self) -> str:
        done = subprocess.run([self.conf / "ldap-dump"], capture_output=True, check=True)
        return done.stdout.decode()


@pytest.fixture
def directory(short_tmp: Path) -> Directory:
    made = Directory(short_tmp)
    made.fill()
    return made


def without_drd(site: Site) -> dict[str, str]:
    return {
        "RESTIC_REPOSITORY": site.repository,
        "RESTIC_PASSWORD": PASSWORD,
        "PLAN": "ldap",
        "COMPONENT": "people",
    }


def bash(script: str, site: Site, **more: str) -> str:
    path = f"{warm.program(os.environ)}:{os.environ['PATH']}"
    environment = {**site.env(), "PATH": path, **more}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        cwd=site.base,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def by_hand(site: Site, directory: Directory) -> str:
    """The way without drd: the page on it, then what the kit prints of this component."""
    file = site.base / "plans/ldap.yaml"
    component = plan_of_text(file.read_text(), file).components["people"]
    target = CommandTarget(path=str(site.base / "by-hand"))
    own = by_hand_of("command")(component, target, place="", resolve=str)
    page = "docs/recovery-without-drd.md"
    numbers = [commands(page, section(page, n)) for n in "127"]
    return "\n".join([*numbers, *(p.commands for p in own.passages)])


def test_a_directory_comes_back_as_the_page_says(short_tmp: Path, directory: Directory) -> None:
    site = Site(short_tmp)
    site.plan(directory.here(shown("plan")), name="ldap")
    with directory.served():
        before = directory.entries()
        told = bash(shown("commands"), site)
    assert f"1 table, {PEOPLE + 1} rows, 0 differ" in told
    assert re.search(r"the administrator is there .*passed", told)
    assert "passed: recovered in" in told
    shutil.rmtree(directory.live)
    told = bash(by_hand(site, directory), site, **without_drd(site))
    assert "people: the counts are as at the backup" in told
    told = bash(shown("recovery"), site)
    assert str(directory.live) in told
    with directory.served():
        assert directory.entries() == before
    assert not [p for p in short_tmp.iterdir() if "drd_" in p.name]


_OTHERS = """
components:
  pages:
    kind: command
    dump: [tar, -C, {base}/pages, -c, .]
    restore: [tar, -x, -p, --no-same-owner]
    serve:
      command: [/usr/bin/python3, -m, http.server, --bind, 127.0.0.1, "${{port}}"]
      address: http://127.0.0.1:${{port}}
    query: [/usr/bin/python3, -c, "{get}", "${{address}}", "${{query}}"]
  app:
    kind: command
    dump: [git, -C, {base}/git/app.git, bundle, create, "-", --all]
    restore:
      - sh
      - -c
      - >-
        git clone -q --mirror "$0" app.git &&
        git -C app.git config --remove-section remote.origin
      - "${{dump}}"
    path: {base}/git
    count: [git, -C, "${{path}}/app.git", rev-list, --all, --count]
checks:
  - {{name: the answer, kind: sql, component: pages, query: answer, expect: "== 42"}}
  - {{name: commits, kind: rows, component: app}}
  - {{name: address, kind: command, component: pages, run: [sh, -c, 'test -n "$DRD_ADDRESS"']}}
targets:
  standby: {{app: {{path: {base}/standby}}}}
"""
_GET = "import sys, urllib.request as r; print(r.urlopen('/'.join(sys.argv[1:])).read().decode())"


def make_repository(place: Path) -> None:
    work = place.with_suffix(".work")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(work)]
    for words in (
        ["git", "init", "-q", "-b", "main", str(work)],
        [*git, "commit", "-q", "--allow-empty", "-m", "one"],
        [*git, "commit", "-q", "--allow-empty", "-m", "two"],
        ["git", "clone", "-q", "--mirror", str(work), str(place)],
    ):
        subprocess.run(words, check=True)


def test_a_drill_starts_a_server_and_others_tools_restore(short_tmp: Path) -> None:
    site = Site(short_tmp)
    (short_tmp / "pages").mkdir()
    (short_tmp / "pages/answer").write_text("42")
    (short_tmp / "git").mkdir()
    make_repository(short_tmp / "git/app.git")
    site.plan(_OTHERS.format(base=short_tmp, get=_GET))
    site.drd("backup", "shop")
    told = site.drd("drill", "shop").out
    assert re.search(r"the answer .*passed", told)
    assert "1 table, 2 rows, 0 differ" in told
    shown = site.drd("diff", "shop", "--component", "app").out
    assert "not compared: everything else" in shown
    assert "fingerprint" not in shown
    assert re.search(r"address +exit 0 +passed", told)
    site.assert_clean()
    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert (short_tmp / "standby/app.git/HEAD").exists()
    assert "remote" not in (short_tmp / "standby/app.git/config").read_text()
    refused = site.drd("recover", "shop", "--component", "pages", "--in-place", "--yes", code=2)
    assert "kind command cannot be restored in place" in refused.err
    assert "add `path`" in refused.err


_SERVICE = {
    "ldap-read": """#!/bin/sh
exec ldapsearch -x -D cn=admin,dc=example,dc=org -y "$LDAP_PASSWORD" -LLL -o ldif-wrap=no \\
    -H "$1" -b dc=example,dc=org
""",
    "ldap-load": """#!/bin/sh
set -- -x -D cn=admin,dc=example,dc=org -y "${LDAP_PASSWORD:-$DRILL_PASSWORD}" -H "$1"
ldapdelete "$@" -r dc=example,dc=org || test $? = 32 || exit
exec ldapadd "$@" >/dev/null
""",
    "ldap-entries": """#!/bin/sh
found=$(ldapsearch -x -LLL -H "$1" -b dc=example,dc=org dn) || test $? = 32 || exit 1
echo "$found" | grep -c '^dn:' || test $? = 1
""",
}


def test_a_service_is_restored_by_its_running_server(short_tmp: Path) -> None:
    """As the page says: in a drill into a server of drd's, in a recovery into one that runs."""
    site, directory = Site(short_tmp), Directory(short_tmp)
    directory.fill()
    for name, script in _SERVICE.items():
        (directory.conf / name).write_text(script)
        (directory.conf / name).chmod(0o755)
    login = 'rootdn "cn=admin,dc=example,dc=org"\nrootpw s3cret-of-ldap\n'
    config = (directory.conf / "restore.conf").read_text()
    (directory.conf / "serve.conf").write_text(config + login)
    (directory.conf / "drill-password").write_text("s3cret-of-ldap")
    live = short_tmp / "slapd.conf"
    live.write_text(config.replace("directory .", f"directory {directory.live}") + login + _READ)
    secret = f"secret_files: {{LDAP_PASSWORD: {site.secret('ldap', 's3cret-of-ldap')}}}"
    text = directory.here(shown("service")).replace(
        "/etc/ldap/serve.conf", f"{directory.conf}/serve.conf"
    )
    text += f"    {secret}\n    env: {{DRILL_PASSWORD: {directory.conf}/drill-password}}\n"
    text += "checks: [{name: entries, kind: rows, component: people}]\n"
    readable = "/etc/ldap, /etc/hosts.allow, /etc/hosts.deny"
    site.plan(text + f"drill: {{read: [{readable}, {directory.conf}]}}\n", name="ldap")
    with directory.served():
        site.drd("backup", "ldap")
        assert f"{PEOPLE + 1} rows, 0 differ" in site.drd("drill", "ldap").out
        refused = site.drd("recover", "ldap", "--in-place", "--yes", code=None)
        assert refused.code != 0
        assert "is not empty" in refused.out + refused.err
        directory.bound("ldapdelete", "uid=u1,dc=example,dc=org")
        assert directory.count() == PEOPLE
        done = site.drd("recover", "ldap", "--in-place", "--overwrite", "--yes")
        assert directory.count() == PEOPLE + 1
        run = re.search(r"evidence \w+-(\w+)", done.out)
        assert run
        site.drd("undo", run[1], "--yes")
        assert directory.count() == PEOPLE
        assert "s3cret" not in done.out + done.err
        assert [p.suffix for p in (short_tmp / "work/kept").iterdir()] == [".after"]
        site.drd("done", run[1], "--yes")
    assert not list((short_tmp / "work/kept").iterdir())

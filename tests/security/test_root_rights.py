"""Attack: root's command follows a path in a state that another user can change, and gives away or
overwrites what it leads to.

Root handed over by path, in every command, what `lstat` had called its own: with two names
exchanged in a loop, one `drd runs` gave /etc/shadow's stand-in to the service user. Now a command
of root's works as the state's owner, and takes root's rights back for purposes that have a name.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest

from drd import process
from drd.config.plan_file import load_plan
from drd.flows.root.adapters import RootedKind
from drd.kinds.registry import kind_for
from drd.ports import Workplace
from drd.process import Command, rights
from drd.process.rights import Purpose
from tests import warm
from tests.e2e.site import Site, make_sqlite, make_tree
from tests.user_support import as_root

pytestmark = as_root

OWNER = pwd.getpwnam("games")
ROOT = Path(__file__).parents[2]

PLAN = """
components:
  db: {{kind: sqlite, path: {base}/shop.db, before: {{command: [sh, -c, "id -un >/tmp/{mark}"]}}}}
  conf: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: row counts, kind: rows, component: db}}
  - {{name: configuration, kind: files, component: conf}}
  - {{name: looks, kind: command, component: conf, run: [sh, -c, "test -e $DRD_PATH"]}}
targets:
  standby: {{db: {{path: {base}/back/shop.db}}, conf: {{path: {base}/back/etc}}}}
drill: {{every: 7d}}
"""


@pytest.fixture
def site(short_tmp: Path) -> Iterator[Site]:
    """Of a service user; the sources, the plan and the target are root's alone."""
    made = Site(short_tmp)
    make_sqlite(made.base / "shop.db")
    make_tree(made.base / "etc")
    (made.base / "etc/secret").write_text("root's")
    (made.base / "etc/secret").chmod(0o600)
    (made.base / "etc/theirs").write_text("games'")
    os.chown(made.base / "etc/theirs", OWNER.pw_uid, OWNER.pw_gid)
    (made.base / "etc").chmod(0o700)
    (made.base / "back").mkdir(mode=0o700)
    mark = f"drd-{os.getpid()}-{short_tmp.name}"
    made.plan(PLAN.format(base=made.base, mark=mark))
    (made.base / "drd.yaml").chmod(0o600)
    for name in ("state", "work", "cache", "repo"):
        owned(made.base / name)
    yield made
    Path(f"/tmp/{mark}").unlink(missing_ok=True)


def owned(place: Path) -> None:
    for path in (place, *place.rglob("*")):
        os.lchown(path, OWNER.pw_uid, OWNER.pw_gid)


def roots_files(site: Site, *names: str) -> list[str]:
    places = (site.base / n for n in names or ("state", "work", "cache", "repo"))
    return [str(p) for place in places for p in (place, *place.rglob("*")) if p.lstat().st_uid == 0]


def test_root_leaves_nothing_of_its_own(site: Site) -> None:
    for words in (
        ("backup", "shop"),
        ("drill", "shop"),
        ("recover", "shop", "--target", "standby", "--yes"),
        ("doctor", "shop"),
        ("status",),
        ("runs",),
        ("retention", "shop"),
    ):
        told = site.drd(*words, code=None)
        assert told.code in (0, 3), (words, told)
        assert roots_files(site) == [], words
    site.assert_clean()


def test_hook_is_the_owners_and_owners_of_files_come_back(site: Site) -> None:
    site.drd("backup", "shop")
    (hook,) = re.findall(r">(/tmp/\S+)\"", (site.base / "plans/shop.yaml").read_text())
    assert Path(hook).read_text() == "games\n"
    drill = site.drd("drill", "shop", "--json").json
    assert drill["result"] == "passed"
    assert not [c for c in drill["checks"] if c["verdict"] != "passed"], drill["checks"]
    site.drd("recover", "shop", "--target", "standby", "--yes")
    back = site.base / f"back/etc{site.base}/etc"
    assert (back / "secret").stat().st_uid == 0
    assert stat.S_IMODE((back / "secret").stat().st_mode) == 0o600
    assert (back / "theirs").stat().st_uid == OWNER.pw_uid
    assert (site.base / "back/shop.db").stat().st_uid == 0


def test_new_repository_of_root_is_the_owners(site: Site) -> None:
    shutil.rmtree(site.repository)
    site.drd("backup", "shop")
    assert roots_files(site) == []
    assert Path(site.repository).stat().st_uid == OWNER.pw_uid


def test_repository_that_is_roots_stays_roots(site: Site) -> None:
    shutil.rmtree(site.repository)
    Path(site.repository).mkdir(mode=0o700)
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    assert roots_files(site, "state", "work", "cache") == []
    others = [p for p in Path(site.repository).rglob("*") if p.lstat().st_uid != 0]
    assert others == []


def test_kit_goes_where_only_root_may_write(site: Site) -> None:
    site.drd("backup", "shop")
    (site.base / "kits").mkdir(mode=0o700)
    phrase = site.base / "secrets/phrase"
    phrase.write_text("a long passphrase for a kit")
    phrase.chmod(0o600)
    kit = site.base / "kits/shop.kit"
    site.drd("kit", "export", "shop", "--to", str(kit), "--passphrase-file", str(phrase))
    assert kit.stat().st_uid == 0
    assert roots_files(site) == []


def test_kit_does_not_go_where_a_link_of_the_owners_leads(site: Site) -> None:
    """Root wrote it into a directory of root's own, to which that user let his own name lead. A
    place that root names stays possible, also in what is that user's."""
    site.drd("backup", "shop")
    phrase = site.base / "secrets/phrase"
    phrase.write_text("a long passphrase for a kit")
    phrase.chmod(0o600)
    for name in ("theirs", "roots"):
        (site.base / name).mkdir(mode=0o700)
    (site.base / "theirs/others").mkdir(mode=0o700)
    owned(site.base / "theirs")
    os.chown(site.base / "theirs/others", pwd.getpwnam("daemon").pw_uid, 0)
    (site.base / "theirs/link").symlink_to(site.base / "roots")
    os.lchown(site.base / "theirs/link", OWNER.pw_uid, OWNER.pw_gid)
    (site.base / "ours").symlink_to(site.base / "roots")

    def export(place: str, code: int, *more: str) -> str:
        kit = site.base / place / "shop.kit"
        words = ("--to", str(kit), *(more or ("--passphrase-file", str(phrase))))
        return site.drd("kit", "export", "shop", *words, code=code).err

    for more in ((), ("--shares", "2/3")):
        told = export("theirs/link", 1, *more)
        assert (
            f"{site.base}/theirs/link is a symbolic link that belongs to user games; as "
            "root, drd does not follow links of other users" in told
        )
        assert list((site.base / "roots").iterdir()) == []
    for place, uid in (("theirs", OWNER.pw_uid), ("theirs/others", 0), ("ours", 0), ("roots", 0)):
        export(place, 0)
        assert (site.base / place / "shop.kit").stat().st_uid == uid
        assert [p.name for p in (site.base / place).glob(".shop*")] == []
    assert "no such file or directory" in export("nowhere", 1)


def test_records_go_where_only_root_may_write(site: Site) -> None:
    """Root's exports failed in root's own directories. Files there are root's, so that the owner of
    the state cannot change them afterwards."""
    site.drd("backup", "shop")
    site.drd("incident", "open", "it is gone", "--plan", "shop", "--no-questions")
    for name in ("roots", "theirs"):
        (site.base / name).mkdir(mode=0o700)
    owned(site.base / "theirs")
    (site.base / "theirs/link").symlink_to(site.base / "roots")
    os.lchown(site.base / "theirs/link", OWNER.pw_uid, OWNER.pw_gid)
    exports = {("records", "export"): "records", ("incident", "export"): "incident"}
    for words, name in exports.items():
        for place, uid in (("roots", 0), ("theirs", OWNER.pw_uid)):
            made = site.base / place / name
            site.drd(*words, str(made))
            assert {p.stat().st_uid for p in (made, *made.rglob("*"))} == {uid}
            subprocess.run(["sh", made / "verify.sh"], check=True, capture_output=True)
        told = site.drd(*words, str(site.base / "theirs/link/other"), code=1).err
        assert "/theirs/link is a symbolic link that belongs to user games" in told
        assert "make root the owner of" in told
    assert {p.name for p in (site.base / "roots").iterdir()} == {*exports.values()}
    assert roots_files(site) == []


def test_preserved_evidence_goes_where_root_is(site: Site) -> None:
    """Root's programs begin in `/`, so that restic took a path of root's for one below it, and the
    command said that the evidence is not as it was taken."""
    site.drd("backup", "shop")
    site.drd("incident", "open", "it is gone", "--plan", "shop", "--no-questions")
    preserve = ("incident", "preserve", "1")
    taken = site.drd(*preserve, "--reason", "strange orders", "--json").json["preserved"]
    (site.base / "roots").mkdir(mode=0o700)
    words = (*preserve, "--export", taken, "--output", "evidence")
    done = warm.run(words, env=site.env(), cwd=site.base / "roots")
    assert done.returncode == 0, done
    evidence = site.base / "roots/evidence"
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=evidence, check=True, capture_output=True)
    assert roots_files(site) == []
    full = site.base / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", full], check=True)
    try:
        words = (*preserve, "--export", taken, "--output", str(full / "evidence"))
        told = site.drd(*words, code=1).err
    finally:
        subprocess.run(["umount", full], check=True)
    assert "no space left on device" in told
    assert "not as it was taken" not in told, "a full disk says nothing about the evidence"


def test_killed_drill_of_root_is_swept(site: Site) -> None:
    site.drd("backup", "shop")
    site.killed_at("undone:restore conf", "drill", "shop")
    # Other tests remove theirs at the same time, which neither glob nor walk minds.
    left = glob("/var/lib/drd-sandboxes/*/run-*")  # noqa: PTH207 - it skips what is gone
    mine = [
        Path(place)
        for place in left
        if any(site.base.name in f"{up}/{names}" for up, *names in os.walk(place))
    ]
    assert mine
    site.drd("backup", "shop")
    assert not mine[0].exists()
    site.assert_clean()


# --- the loop of the review ---------------------------------------------------------------------

EXCHANGE = """
import ctypes, sys
libc = ctypes.CDLL(None)
one, two = (w.encode() for w in sys.argv[1:])
while True:
    libc.syscall(316, -100, one, -100, two, 2)
"""


@contextmanager
def exchanging(one: Path, two: Path) -> Iterator[None]:
    """Two names of the owner's, exchanged in a loop by him."""
    words = [sys.executable, "-I", "-c", EXCHANGE, str(one), str(two)]
    loop = subprocess.Popen(
        ["setpriv", f"--reuid={OWNER.pw_uid}", f"--regid={OWNER.pw_gid}", "--clear-groups", "--",
         *_reachable(words)],
    )  # fmt: skip
    try:
        time.sleep(0.3)
        assert loop.poll() is None
        yield
    finally:
        loop.kill()
        loop.wait()


def _reachable(words: list[str]) -> list[str]:
    """An interpreter that everybody can start."""
    return ["/usr/bin/python3", *words[1:]]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of a system call")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs the system's Python")
def test_exchanging_names_in_the_state_gains_nothing(site: Site) -> None:
    site.drd("backup", "shop")
    stand_ins = site.base / "stand-ins"
    stand_ins.mkdir(mode=0o755)
    names = ("shadow", "sudoers", "passwd")
    for name in names:
        (stand_ins / name).write_text(name)
        (stand_ins / name).chmod(0o600)
    real, link = site.base / "state/real", site.base / "state/link"
    real.mkdir()
    for name in names:
        (real / name).write_text("")  # root's, as a command of root's left it
    link.symlink_to(stand_ins)
    os.chown(real, OWNER.pw_uid, OWNER.pw_gid)
    os.lchown(link, OWNER.pw_uid, OWNER.pw_gid)
    with exchanging(real, link):
        for words in (("runs", "shop"), ("backup", "shop"), ("runs", "shop"), ("status",)):
            site.drd(*words, code=None)
    for name in names:
        found = (stand_ins / name).stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o600)
        assert (stand_ins / name).read_text() == name


# --- the mechanism ------------------------------------------------------------------------------


def ids(**how: object) -> str:
    words = "id -un; id -Gn; sed -n 's/CapEff:.//p' /proc/self/status"
    return process.run(Command(["sh", "-c", words], **how)).stdout  # type: ignore[arg-type]


def test_root_acts_as_the_owner_and_back() -> None:
    before = (os.getresuid(), os.getresgid(), os.getgroups())
    with rights.acting_for(OWNER.pw_uid):
        assert os.geteuid() == OWNER.pw_uid
        assert Path("/etc/shadow").read_bytes(), "as the service, it may read"
        with pytest.raises(PermissionError):
            Path("/etc/drd-test").touch()
        with rights.root(Purpose.TARGETS):
            assert (os.geteuid(), os.getegid()) == (0, 0)
            assert ids().startswith("root\n")
        assert os.geteuid() == OWNER.pw_uid
        assert ids().split("\n")[0] == "games"
        assert ids().split("\n")[2] == f"{4:016x}"
        assert ids(drop_capabilities=True).split("\n")[2] == f"{0:016x}"
        assert ids(user="nobody").split("\n")[0] == "nobody"
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before
    assert ids().startswith("root\n")


def test_child_cannot_take_roots_rights_back() -> None:
    again = "import os; os.setresuid(0, 0, 0)"
    with rights.acting_for(OWNER.pw_uid):
        done = process.run(Command(["/usr/bin/python3", "-c", again]))
    assert "PermissionError" in done.stderr


def test_state_of_root_stays_as_it_is() -> None:
    with rights.acting_for(0), rights.root(Purpose.OWNERS):
        assert rights.acts_for() is None
        assert os.geteuid() == 0


def test_every_purpose_stands_in_the_documentation() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    for purpose in Purpose:
        assert f"| {purpose} |" in page
    rows = re.findall(
        r"^\| (.*?) \|", page.split("## What root's commands do as root")[1], re.MULTILINE
    )
    assert len([r for r in rows if r in {*Purpose}]) == len(Purpose)


LOGINS = {
    "postgres": "dsn: postgresql:///shop",
    "postgres-cluster": "dsn: postgresql:///shop",
    "mariadb": "dsn: mariadb:///shop",
    "mariadb-server": "dsn: mariadb:///shop",
    "redis": "url: unix:///run/redis/redis.sock",
    "valkey": "url: unix:///run/valkey/valkey.sock",
}


@pytest.mark.parametrize("name", LOGINS)
def test_a_source_is_asked_for_its_version_as_the_owner(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server lets the users in that it knows by the rights of the process: of drd's, not root."""

    class AskedError(Exception):
        pass

    def asked(*_: object) -> None:
        raise AskedError(os.geteuid())

    file = tmp_path / "shop.yaml"
    file.write_text(
        "plan: shop\nobjectives: {rpo: 1h, rto: 1h}\n"
        f"components:\n  db: {{kind: {name}, {LOGINS[name]}}}\n"
        "repositories:\n  primary: {url: /srv/repository, password: {env: PW}}\n"
    )
    component = load_plan(file).plan.components["db"]
    kind = kind_for(name)
    module, *_ = [c.__module__ for c in type(kind).__mro__ if "sandbox_findings" in vars(c)]
    ask = "connected" if name in ("redis", "valkey") else "connect"
    monkeypatch.setattr(sys.modules[module], ask, asked)
    place = Workplace(tmp_path, "0" * 8, None, 1)
    with rights.acting_for(OWNER.pw_uid), pytest.raises(AskedError) as found:
        RootedKind(kind).sandbox_findings(component, place)
    assert found.value.args == (OWNER.pw_uid,)

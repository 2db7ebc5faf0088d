"""An archive of files that wants out: links that lead elsewhere, devices, set-user-ID programs, and
names with `..` in them. What a drill restores of it stays in the sandbox, and nothing of it comes
alive."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.fence_support import PYTHON, fences

pytestmark = fences

_PLAN = """
components:
  conf: {{kind: files, paths: [{tree}]}}
runbook:
  - {{name: data, restore: all}}
  - {{name: prints, command: {{component: conf, run: [echo, -n, {secret}]}}}}
  - name: shows
    command:
      component: conf
      run: [sh, -c, '! cat "$0" && ! cat "$1" && ! "$2" && cat "$3"',
          '${{conf.path}}{tree}/to-secret',
            '${{steps.prints.output}}', '${{conf.path}}{tree}/env/bin/app', {script}]
  - {{name: leads, command: {{component: conf, run: ['${{conf.path}}{tree}/env/bin/app']}},
     rehearse: simulate, with: [sh, -c, '! "$0"', '${{conf.path}}{tree}/env/bin/app']}}
  - {{name: interprets, command: {{component: conf, run: ['${{conf.path}}{tree}/env/bin/python',
      -I, -c,
     'import sys; raise SystemExit(open(sys.argv[1]).read() != "x")',
         '${{conf.path}}{tree}/sub/plain']}}}}
  - {{name: look, check: all}}
checks:
  - {{name: same, kind: files, component: conf}}
  - {{name: probe, kind: command, component: conf, run: [{python}, -I, {script}]}}
drill: {{every: 7d}}
"""

_PROBE = """
import os, stat, sys
root = os.environ['DRD_PATH'] + {tree!r}
done = []
def tried(name, act):
    try:
        act()
        done.append(name)
    except OSError:
        pass
tried('read through a link', lambda: open(root + '/to-secret').read())
tried('read through a parent link', lambda: open(root + '/to-parent/secret').read())
tried('write through a link', lambda: open(root + '/to-dir/new', 'w'))
tried('write through a link to a file', lambda: open(root + '/to-secret', 'a'))
tried('open a device', lambda: os.open(root + '/devices/disk', os.O_RDONLY))
tried('open another device', lambda: os.open(root + '/devices/mem', os.O_RDONLY))
os.system(root + '/suid > ' + os.environ['HOME'] + '/id')
uid = open(os.environ['HOME'] + '/id').read().split()
if len(set(uid)) > 1: done.append('became another user')
tried('another set-user-ID program', lambda: os.chmod(root + '/sub/plain', 0o4755))
# and what is right
open(root + '/sub/plain').read()
open(root + '/sub/written', 'w').write('x')
os.unlink(root + '/sub/written')
os.chmod(root + '/sub/plain', 0o600)
os.chmod(root + '/sub/plain', 0o644)
print(done)
sys.exit(bool(done))
"""


def build(site: Site, tree: Path, secret: Path) -> None:
    tree.mkdir()
    (tree / "devices").mkdir()
    (tree / "sub").mkdir()
    (tree / "sub/plain").write_text("x")
    (tree / "to-secret").symlink_to(secret)
    (tree / "to-dir").symlink_to(secret.parent)
    (tree / "to-parent").symlink_to("../" * 12 + str(secret.parent).lstrip("/"))
    (tree / "loop").symlink_to("loop")
    (tree / "odd\\..\\name").write_text("x")
    (tree / "env/bin").mkdir(parents=True)
    (tree / "env/pyvenv.cfg").touch()
    (tree / "env/bin/python").symlink_to(PYTHON)
    (tree / "env/bin/app").symlink_to(secret.parent / "bin/tool")
    (tree / "suid").write_bytes(Path("/usr/bin/id").read_bytes())
    (tree / "suid").chmod(0o755)
    if os.geteuid() == 0:
        os.chown(tree / "suid", 65534, 65534)
        (tree / "suid").chmod(0o6755)
        os.mknod(tree / "devices/disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
        os.mknod(tree / "devices/mem", stat.S_IFCHR | 0o666, os.makedev(1, 1))


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp / "site")
    outside = short_tmp / "outside"
    outside.mkdir()
    (outside / "secret").write_text("key")
    (outside / "bin").mkdir()
    (outside / "bin/tool").write_bytes(Path("/usr/bin/true").read_bytes())
    (outside / "bin/tool").chmod(0o755)
    tree = short_tmp / "tree"
    build(site, tree, outside / "secret")
    script = short_tmp / "probe.py"
    script.write_text(_PROBE.format(tree=str(tree)).replace("/suid >", "/suid -u >"))
    secret = outside / "secret"
    site.plan(_PLAN.format(tree=tree, python=PYTHON, script=script, secret=secret))
    return site


def test_restored_files_cannot_escape_or_run(site: Site, short_tmp: Path) -> None:
    site.drd("backup", "shop")
    told = site.drd("drill", "shop", "--json", code=None).json
    verdicts = {c["name"]: c["verdict"] for c in told["checks"]}
    verdicts.pop("same: ownership", None)  # an ordinary user cannot give files to others
    assert verdicts == {"same": "passed", "probe": "passed"}, told
    assert told["result"] == "passed"
    assert {p.name for p in (short_tmp / "outside").iterdir()} == {"secret", "bin"}
    assert (short_tmp / "outside/secret").read_text() == "key"
    site.assert_clean()


def test_restored_tree_is_closed_to_other_users(site: Site, short_tmp: Path) -> None:
    """Set-user-ID programs and devices lie there as they were saved; nobody else can get to
    them."""
    seen = short_tmp / "seen"
    watcher = short_tmp / "watch.py"
    plan = site.base / "plans/shop.yaml"
    watcher.write_text(
        "import os, stat\n"
        "place = os.environ['DRD_PATH']\n"
        "print(oct(stat.S_IMODE(os.stat(place).st_mode)))\n"
        "raise SystemExit(os.stat(place).st_mode & 0o077 != 0)\n"
    )
    plan.write_text(plan.read_text().replace(str(short_tmp / "probe.py"), str(watcher)))
    site.drd("backup", "shop")
    told = site.drd("drill", "shop", "--json", code=None).json
    assert told["result"] == "passed", told
    assert not seen.exists()

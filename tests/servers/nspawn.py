"""A whole Linux system with a real systemd, booted in two seconds: systemd-nspawn on an overlay of
this machine's own root, so that it has this checkout with its virtual environment.

What is written in it goes to memory and is gone with it. Its mounts are in a namespace of their
own, so a killed test leaves none.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from tests import light_repository, warm, warm_process
from tests.servers.child import Child, ServerError

ROOT = Path(__file__).parents[2]
_HIDDEN = ROOT.is_relative_to("/tmp")
"""A service with PrivateTmp= does not see such a checkout, and `drd install` refuses it."""
_SHOWN = Path("/opt/drd-checkout") if _HIDDEN else ROOT
"""Where the machine has the checkout."""
DRD = str(Path(sys.executable).with_name("drd")).replace(str(ROOT), str(_SHOWN))
"""The program under test, in the machine."""

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}

_OF_DRD = ["/etc/drd", "/var/lib/drd", "/var/cache/drd", "/etc/systemd/system/drd.service"]
"""What somebody may have tried on this machine, and a new one does not have."""

_BOOT = """
set -e
here=$1 group=$2 name=$3 target=$4; shift 4
mount -t tmpfs -o mode=755 tmpfs "$here"
mkdir "$here/up" "$here/work" "$here/root"
for gone in OF_DRD; do    # hidden, since other tests may change what it is here meanwhile
    (umask 022 && mkdir -p "$here/up$(dirname "$gone")")
    mknod "$here/up$gone" c 0 0
done
mount -t overlay overlay -o "lowerdir=/,upperdir=$here/up,workdir=$here/work" "$here/root"
[ "$target" ] || exit 0
mkdir -p "$group/outer"
echo $$ >"$group/outer/cgroup.procs"
code=133    # what nspawn exits with when its system wants to boot again
while [ $code = 133 ]; do
    code=0
    systemd-nspawn -q -D "$here/root" --machine="$name" -b --register=no \
        --keep-unit --private-network --console=read-only "$@" -- "systemd.unit=$target" || code=$?
done
exit $code
""".replace("OF_DRD", " ".join(_OF_DRD))
# With no target it only tries whether it could.


def _boot_argv(here: Path, group: Path | str = "", name: str = "", target: str = "") -> list[str]:
    # A namespace of processes, since nspawn's death would leave its system running.
    words = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    words += ["--mount-proc", "bash", "-c", _BOOT, "boot"]
    return [*words, str(here), str(group), name, target]


@cache
def cannot_boot() -> str:
    """Why no machine can be booted here, for a skip; empty when one can."""
    if os.geteuid() != 0:
        return "booting a system needs root"
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is not installed (Debian: systemd-container)"
    try:
        with _cgroup(f"drd-try-{os.getpid()}"):
            pass
    except OSError as error:
        return f"no control group can be made here: {error}"
    here = Path(f"/tmp/drd-try-{os.getpid()}")
    here.mkdir()
    try:
        tried = subprocess.run(
            _boot_argv(here), capture_output=True, text=True, timeout=20, check=False
        )
    finally:
        here.rmdir()
    return f"no overlay can be mounted here: {tried.stderr.strip()}" if tried.returncode else ""


class Machine:
    """A running system. Commands run in it as root, without its service's sandboxes."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.leader = 0

    def run(
        self,
        *words: str,
        check: bool = True,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
        user: str = "root",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end, as a user; unless `check` is false it has to exit with
        0."""
        with_env = {**_ENVIRONMENT, **(env or {})}
        if words[0] == DRD and not _HIDDEN:
            done = warm.run(
                words[1:],
                env=with_env,
                cwd=Path("/"),
                timeout=timeout,
                inside=self.leader,
                user=self._ids(user) if user != "root" else None,
            )
        else:
            by_user = ["runuser", "-u", user, "--"] if user != "root" else []
            done = subprocess.run(
                [*warm_process.nsenter(self.leader), *by_user, *words],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=timeout,
                env=with_env,
                check=False,
            )
        out, err = (text.decode(errors="backslashreplace") for text in (done.stdout, done.stderr))
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: exit {done.returncode}\n{out}{err}")
        return subprocess.CompletedProcess(words, done.returncode, out, err)

    def _ids(self, user: str) -> warm_process.User:
        own, group, *more = map(int, self.sh(f"id -u {user}; id -g {user}; id -G {user}").split())
        return own, group, more

    def sh(self, script: str, *, check: bool = True, timeout: float = 60) -> str:
        """What a shell script prints."""
        return self.run("bash", "-euc", script, check=check, timeout=timeout).stdout

    def path(self, path: str) -> Path:
        """A path of the machine, as this process reaches it (absolute links lead astray)."""
        return Path(f"/proc/{self.leader}/root") / path.lstrip("/")

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """A file of root's, with its directories."""
        place = self.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def begin_repository(self, path: str, password: str) -> None:
        """An empty repository of drd's user, which costs no time to open, for tests that do not ask
        how one is made."""
        light_repository.begin(self.path(path), password)
        self.run("chown", "-R", "drd:", path)

    def unit(self, name: str, unit: str = "drd.service") -> str:
        """A property of a unit, as `systemctl show` tells it."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def journal(self, *more: str, unit: str = "drd.service") -> str:
        """What a unit, and systemd about it, said so far, one message a line."""
        self.run("journalctl", "--sync")  # a busy journal may have yet to write what it was told
        return self.run(
            "journalctl", "--no-pager", "--quiet", "-o", "cat", "-u", unit, *more
        ).stdout

    def wait_until(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Return once `ready()` holds; else fail with `what` and the end of the journal."""
        deadline = (asked_at := time.monotonic()) + seconds
        while not ready():
            took_s = time.monotonic() - asked_at
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self._end_of_journal()}")
            time.sleep(max(0.1, 2 * took_s))
            asked_at = time.monotonic()

    def wait_for_run(self, plan: str, kind: str, seconds: float) -> None:
        """Return once drd's service says in the journal that a run of a plan has succeeded: to ask
        drd for its runs would take a second of the processor each time, and to ask the journal
        again and again a third of it in all."""
        mine = (f"PLAN={plan}", f"KIND={kind}", "STATE=succeeded")
        words = ("journalctl", "--quiet", "-o", "cat", "-u", "drd.service", "-n", "1", "-f", *mine)
        follow = subprocess.Popen(
            [*warm_process.nsenter(self.leader), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=_ENVIRONMENT,
        )
        assert follow.stdout is not None
        with follow, selectors.DefaultSelector() as told:
            told.register(follow.stdout, selectors.EVENT_READ)
            line = told.select(seconds) and follow.stdout.readline()
            follow.kill()  # journalctl itself ends with its pipe
        if not line:
            said = self._end_of_journal()
            raise AssertionError(f"not within {seconds:g} s: a {kind} of {plan}\n{said}")

    def _end_of_journal(self) -> str:
        return self.run("journalctl", "--no-pager", "-n", "60", check=False).stdout

    def reboot(self, *, hard: bool = False) -> None:
        """Shut it down in order, or (`hard`) as if its power had failed, and boot it again; what is
        on its disk stays."""
        before = self.leader
        self.run("systemctl", "reboot", *(["-ff"] if hard else []), check=False)
        deadline = time.monotonic() + 60
        while Path(f"/proc/{before}").exists():
            if time.monotonic() > deadline:
                raise ServerError("the machine did not go down for its reboot")
            time.sleep(0.05)
        self.wait_for_boot()

    def wait_for_boot(self) -> None:
        """Return when it has started everything. Raises ServerError with the boot log's end."""
        self._child.wait_until(lambda: self._find_leader() and self._is_up(), 60)

    def _find_leader(self) -> bool:
        """The machine's first process, once systemd runs in it."""
        found = [pid for pid in _descendants(self._child.pid) if _name(pid) == "systemd"]
        self.leader = found[0] if found else 0
        return bool(found)

    def _is_up(self) -> bool:
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")


def _descendants(pid: int) -> Iterator[int]:
    """Parents before their children."""
    children = ""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    for child in map(int, children.split()):
        yield child
        yield from _descendants(child)


def _name(pid: int) -> str:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


@contextlib.contextmanager
def machine(directory: Path, *, target: str = "basic.target") -> Iterator[Machine]:
    """Boot a system, without the services of this machine; `directory` has to be empty.

    With the target `multi-user.target` it starts what is enabled here, too. Raises ServerError when
    it does not come up; ask `cannot_boot` before.
    """
    name = f"drd-{directory.name.lower().replace('_', '-')}"[:60].strip("-")
    mounted = directory / "machine"
    mounted.mkdir()
    with _cgroup(name) as group:
        child = Child(
            [*_boot_argv(mounted, group, name, target), *_foreign_places()],
            directory / "boot.log",
            env={"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},  # else it hangs on hybrid hosts
        )
        try:
            running = Machine(child)
            running.wait_for_boot()
            _open_to_everybody(running)
            yield running
        finally:
            # Nothing in it is worth an orderly end, and the kernel ends all of it.
            child.end(signal.SIGKILL)
            with contextlib.suppress(OSError):
                Path(f"/run/systemd/nspawn/propagate/{name}").rmdir()


def _open_to_everybody(running: Machine) -> None:
    """The way to our interpreter, which here may lie in root's home."""
    for place in (Path(sys.executable), Path(sys.executable).resolve()):
        for directory in place.parents:
            if directory.stat().st_mode & 0o005 != 0o005:
                running.run("chmod", "o+rx", str(directory))


def _foreign_places() -> list[str]:
    """Binds for what an overlay of the root does not show: other file systems that we need, and
    what lies where the system has an empty directory of its own."""
    needed = dict.fromkeys((ROOT, Path(sys.prefix), Path(sys.base_prefix)))
    binds = [f"--bind-ro={place}" for place in needed if _is_foreign(place)]
    if Path("/dev/fuse").exists():
        binds.append("--bind=/dev/fuse")
    return [*binds, f"--bind-ro={_copy()}:{_SHOWN}"] if _HIDDEN else binds


@cache
def _copy() -> Path:
    """The checkout with its virtual environment, as if it had been made where the machine shows it.
    It goes with the directory of the test run."""
    copy = Path(tempfile.mkdtemp(prefix="checkout-", dir=os.environ["DRD_TEST_RUN"]))
    copy.chmod(0o755)
    script = (
        'cp -a "$1/." "$3" && cd "$3/.venv" && '
        'grep -rlIF "$1" bin lib/*/site-packages/*.pth | xargs sed -i "s#$1#$2#g"'
    )
    words = ["bash", "-c", script, "copy", str(ROOT), str(_SHOWN), str(copy)]
    subprocess.run(words, check=True)
    return copy


def _is_foreign(place: Path) -> bool:
    emptied = any(place.is_relative_to(each) for each in ("/tmp", "/run"))
    return emptied or place.stat().st_dev != Path("/").stat().st_dev


@contextlib.contextmanager
def _cgroup(name: str) -> Iterator[Path]:
    """A control group of the unified hierarchy, with all below it gone at the end."""
    base = Path("/sys/fs/cgroup")
    if not (base / "cgroup.controllers").exists():
        base /= "unified"
    group = base / name
    group.mkdir()
    try:
        yield group
    finally:
        deadline = time.monotonic() + 5
        while group.exists() and time.monotonic() < deadline:
            for below in sorted(group.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):
                    below.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()
            time.sleep(0.02)

"""A machine that has nothing of drd: an overlay of this machine's root, or of a clean Debian, with
places of its own for what changes. It shares the network, so that a server on loopback is in reach.

What is written in it goes to memory and is gone with it; its mounts are in a namespace of their
own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.servers.child import Child
from tests.servers.nspawn import ROOT

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
}

_ENTER = """
set -e
here=$1 below=$2; shift 2
mount -t tmpfs -o mode=755 tmpfs "$here"
mkdir "$here/up" "$here/work" "$here/root"
mount -t overlay overlay -o "lowerdir=$below,upperdir=$here/up,workdir=$here/work" "$here/root"
cd "$here/root"
rm -rf etc/drd var/lib/drd var/cache/drd
mount -t proc proc proc
mount --rbind /dev dev
for place in tmp var/tmp run root srv home; do mount -t tmpfs -o mode=1777 tmpfs "$place"; done
for place; do
    case $place in
        hide:*) place=${place#hide:}; mkdir -p ".$place"; mount -t tmpfs tmpfs ".$place" ;;
        *) mkdir -p ".$place"; mount --rbind -o ro "$place" ".$place" ;;
    esac
done
mkdir -p root; chmod 700 root
touch "$here/ready"
exec sleep infinity
"""


class EmptyRoot:
    """Commands run in it as root, without anything of our environment."""

    def __init__(self, child: Child, root: Path) -> None:
        self._child = child
        self._root = root

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, script: str | None = None
    ) -> str:
        """What a command prints, with a text on its standard input; it has to exit with 0."""
        inside = ["chroot", str(self._root), "env", "-i"]
        inside += [f"{k}={v}" for k, v in {**_ENVIRONMENT, **(env or {})}.items()]
        done = subprocess.run(
            ["nsenter", "-t", str(self._inner()), "-m", "-p", "--", *inside, *words],
            input=script or "",
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def sh(self, script: str, *, env: Mapping[str, str] | None = None) -> str:
        """What bash prints that reads the script, as if somebody typed it."""
        return self.run("bash", env=env, script=script)

    def write(self, path: str, content: bytes, *, mode: int = 0o600) -> None:
        place = self.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(mode)

    def path(self, path: str) -> Path:
        """As this process reaches it."""
        return Path(f"/proc/{self._inner()}/root{self._root}") / path.lstrip("/")

    def _inner(self) -> int:
        """The first process of its namespaces."""
        pid = self._child.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0])


@cache
def cannot_be_made() -> str:
    """Why there can be none here, for a skip; empty when there can."""
    if os.geteuid() != 0:
        return "an overlay of the root needs root"
    words = ["unshare", "--mount", "--propagation", "private", "bash", "-ec"]
    script = (
        "mount -t tmpfs t /mnt; mkdir /mnt/u /mnt/w /mnt/r; "
        "mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
    )
    tried = subprocess.run([*words, script], capture_output=True, text=True, check=False)
    return f"no overlay can be mounted here: {tried.stderr.strip()}" if tried.returncode else ""


@contextlib.contextmanager
def empty_root(directory: Path, *, with_drd: bool, below: Path = Path("/")) -> Iterator[EmptyRoot]:
    """A machine over `below`; `directory` has to be empty. Without drd the checkout is out of
    sight, with it the only thing that is there besides. Raises ServerError."""
    mounted = directory / "machine"
    mounted.mkdir()
    places = dict.fromkeys(str(p) for p in (ROOT, Path(sys.prefix), Path(sys.base_prefix)))
    if not with_drd:
        places = dict.fromkeys(f"hide:{p}" for p in places if not p.startswith("/usr"))
    child = Child(
        [
            *("unshare", "--mount", "--propagation", "private", "--pid", "--fork"),
            *("--kill-child", "bash", "-c", _ENTER, "enter", str(mounted), str(below)),
            *(p for p in places if p not in ("/usr", "/usr/local")),
        ],
        directory / "root.log",
    )
    try:
        root = EmptyRoot(child, mounted / "root")
        child.wait_until(lambda: _is_ready(child.pid, mounted), 60)
        yield root
    finally:
        child.end(signal.SIGKILL)


def _is_ready(pid: int, mounted: Path) -> bool:
    """The mark is to be seen in its own mount namespace alone."""
    with contextlib.suppress(OSError):
        for inner in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            return Path(f"/proc/{inner}/root{mounted}/ready").exists()
    return False

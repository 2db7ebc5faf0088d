"""A container of podman for tests: the programs of this host in another root, without a network.

No registry is asked: the root of the container is an overlay of the host's, so changes in it stay
there. Directories of the host are mounted at paths that exist only in the container.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.servers.child import ServerError

# crun refuses a host that has both versions of control groups. The container needs none, so podman
# does not see the newer one there.
_WRAPPER = """\
#!/bin/sh
export PODMAN_IGNORE_CGROUPSV1_WARNING=1
set -- {podman} --cgroup-manager cgroupfs "$@"
[ -d /sys/fs/cgroup/unified ] || exec "$@"
exec unshare --mount sh -c 'umount -l /sys/fs/cgroup/unified; exec "$@"' sh "$@"
"""


@dataclass(frozen=True)
class PodmanContainer:
    """`bin` has the program `podman` that knows the container."""

    name: str
    bin: Path
    run_words: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the program finds the container."""
        storage = str(self.bin.parent / "storage.conf")
        return {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "CONTAINERS_STORAGE_CONF": storage,
        }

    def podman(self, *words: str) -> str:
        done = subprocess.run(
            [str(self.bin / "podman"), *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **self.environment},
        )
        if done.returncode != 0:
            raise ServerError(f"podman {words[0]} failed: {done.stderr}")
        return done.stdout

    def replace_by_another(self) -> None:
        """Give the name to a new container of the same kind; the old one keeps running."""
        self.podman("rename", self.name, f"{self.name}-former")
        self.podman(*self.run_words)

    def processes(self) -> str:
        """The command lines of the processes in the container."""
        return self.podman("exec", self.name, "ps", "-eo", "args")


@contextmanager
def podman_container(
    base: Path, mounts: Mapping[str, str], variables: Mapping[str, str] | None = None
) -> Iterator[PodmanContainer]:
    """Run a container that sleeps. `mounts` are directories of the host by their path inside;
    `variables` are those of its image."""
    podman = shutil.which("podman")
    if podman is None or shutil.which("crun") is None:
        raise ServerError("run: apt-get install --no-install-recommends podman crun")
    (base / "bin").mkdir(parents=True)
    (base / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{base}/store"\nrunroot = "{base}/run"\n'
    )
    wrapper = base / "bin/podman"
    wrapper.write_text(_WRAPPER.format(podman=podman))
    wrapper.chmod(0o755)
    name = f"drd-test-{uuid4().hex[:8]}"
    words = ["--cgroups=disabled", "--network=none", "--stop-signal=KILL"]
    words += [f"--volume={outside}:{inside}" for inside, outside in mounts.items()]
    words += [f"--env={key}={value}" for key, value in (variables or {}).items()]
    run = ("run", "-d", "--name", name, *words, "--rootfs", "/:O", "sleep", "infinity")
    container = PodmanContainer(name, base / "bin", run)
    container.podman(*run)
    try:
        yield container
    finally:
        both = (name, f"{name}-former")
        container.podman("rm", "--force", "--ignore", "--time", "0", *both)

"""Ask for the mounts of an instant drill: the files that a program of drd's serves, below a layer
that takes all changes (`drd.instant.mounter`).

Only root may mount. Root itself starts the mounter; drd's service asks systemd for one, by a socket
(`drd-mounter.socket`). The mounts end with the connection, so also when drd is killed.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from drd.errors import SandboxUnavailable
from drd.instant.mounter import CHANGES, SHOWN, SOURCE, WORK
from drd.model.text import escaped
from drd.process import rights
from drd.process.cancel import check_cancelled
from drd.process.child import Child, start
from drd.process.command import Command
from drd.process.mounts import mounted_at

SOCKET = Path("/run/drd-mounter.sock")
WORDS = (
    sys.executable, "-I", "-S", str(Path(__file__).resolve().parents[1] / "instant" / "program.py"),
)  # fmt: skip
"""The command line of the mounter."""

_NEEDS = "an instant drill mounts the restore point, and only root and drd's service may mount"
_WHOLE = "To drill without mounts, leave `restore: instant` out of the section `drill:`."
_SERVICE = "run as root, to install the units of this version: drd install; systemctl restart drd"
_MOST = 1 << 16
_ANSWER_S = 60.0
_END_S = 10.0


class Mounter:
    """One connection to a mounter. Raises SandboxUnavailable if this process cannot have one."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._client = self._started() if rights.may_be_root() else _connected()

    def _started(self) -> socket.socket:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = Command(WORDS, name="the mounter")
        with its, rights.root(rights.Purpose.PROCESSES):
            self._child = start(command, stdin=its.fileno())
        return ours

    def begin(self, room: Path, uid: int, gid: int) -> int:
        """Return an open descriptor of /dev/fuse, by which a program serves the files. `room` has
        the directories of `make_room`. The caller closes it when the program has it."""
        with _fds(room) as fds:
            asked = {"do": "mount", "room": os.path.realpath(room), "uid": uid, "gid": gid}
            _, received = self._ask(asked, fds)
        return received[0]

    def finish(self, below: str, on_tick: Callable[[], None]) -> None:
        """Show the directory `below` of the served files as `shown` in the room. `on_tick` is
        called while it waits for the program that serves."""
        self._ask({"below": below}, (), on_tick)

    def unmount(self, room: Path) -> None:
        """Unmount what another mounter has left in a room."""
        with _fds(room) as fds:
            self._ask({"do": "unmount"}, fds)

    def require_possible(self, uid: int, gid: int) -> None:
        """Try the mounts. Raises SandboxUnavailable with what this host lacks."""
        self._ask({"do": "try", "uid": uid, "gid": gid}, ())

    def close(self) -> None:
        """End the connection; the mounts are gone afterwards."""
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
            if select.select([self._client], [], [], _END_S)[0]:
                self._client.recv(_MOST)  # nothing, once it has unmounted
        self._client.close()
        if self._child is not None:
            self._child.ends_within(_END_S)
            self._child.stop()

    def _ask(
        self, asked: dict[str, Any], fds: tuple[int, ...], on_tick: Callable[[], None] | None = None
    ) -> tuple[dict[str, Any], list[int]]:
        try:
            socket.send_fds(self._client, [json.dumps(asked).encode()], fds)
            self._await(on_tick)
            data, received, _, _ = socket.recv_fds(self._client, _MOST, 4)
            answer = json.loads(data) if data else {"error": "it ended without an answer"}
        except (OSError, ValueError) as error:
            answer, received = {"error": str(error)}, []
        if "error" in answer:
            for fd in received:
                os.close(fd)
            raise _refusal(str(answer["error"]))
        return answer, list(received)

    def _await(self, on_tick: Callable[[], None] | None) -> None:
        """Wait for the answer, as long as `on_tick` allows."""
        end = time.monotonic() + _ANSWER_S
        while not select.select([self._client], [], [], 0.2)[0]:
            check_cancelled()
            if on_tick is not None:
                on_tick()
            elif time.monotonic() > end:
                raise OSError(f"it did not answer within {_ANSWER_S:.0f} s")


def _connected() -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        client.connect(str(SOCKET))
    except OSError as error:
        client.close()
        if isinstance(error, FileNotFoundError) and os.environ.get("INVOCATION_ID"):
            raise SandboxUnavailable(
                f"the service cannot mount a restore point: there is no socket {SOCKET}",
                hint=f"{_SERVICE}. {_WHOLE}",
            ) from error
        raise SandboxUnavailable(
            f"{_NEEDS}; this process belongs to neither ({SOCKET}: {error.strerror})",
            hint=f"run the drill as root, or let the service run it (docs/postgres-cluster.md). "
            f"{_WHOLE}",
        ) from error
    return client


@contextmanager
def _fds(room: Path) -> Iterator[tuple[int, int]]:
    """What the mounter needs to find the room: where this process is, and the open directory."""
    with ExitStack() as opened:
        fds = []
        for place, how in (("/proc/thread-self/ns/mnt", os.O_RDONLY), (room, os.O_PATH)):
            fds.append(os.open(place, how | os.O_CLOEXEC))
            opened.callback(os.close, fds[-1])
        yield fds[0], fds[1]


def _refusal(said: str) -> SandboxUnavailable:
    said = escaped(said)[:500]
    hint = f"docs/postgres-cluster.md lists what an instant drill needs. {_WHOLE}"
    if "/dev/fuse" in said:
        hint = (
            "load the kernel module: modprobe fuse. A container gets the device from its host: "
            f"--device /dev/fuse --cap-add SYS_ADMIN. {_WHOLE}"
        )
    elif "overlay" in said:
        hint = (
            "set work_dir in drd.yaml to a directory on a disk (ext4, xfs or btrfs). On the file "
            f"system of a container, use a volume. {_WHOLE}"
        )
    elif "unshare" in said:
        hint = (
            "allow user namespaces: sysctl user.max_user_namespaces=10000. A container needs "
            f"--cap-add SYS_ADMIN. {_WHOLE}"
        )
    return SandboxUnavailable(f"cannot mount the restore point for the server: {said}", hint=hint)


# --- the room -------------------------------------------------------------------------------------


def make_room(room: Path, own: Callable[[Path], None]) -> Path:
    """Make the directories for the mounts, each given to the server's user by `own`; return where
    the files will be shown. What is left of an earlier attempt, with another repository, is
    removed."""
    clear_room(room)
    if room.is_dir() and not room.is_symlink() and not is_mounted(room):
        shutil.rmtree(room)
    room.mkdir(mode=0o711)
    room.chmod(0o711)
    for name in (SHOWN, CHANGES, WORK):
        (room / name).mkdir(mode=0o700)
        own(room / name)
    return room / SHOWN


def clear_room(room: Path) -> bool:
    """Unmount what is left of the mounts in a room; return whether there was something. Opens the
    directory that the kernel has closed, for whoever removes the room."""
    left = False
    if is_mounted(room):
        left = True
        mounter = Mounter()
        try:
            mounter.unmount(room)
        finally:
            mounter.close()
    for name in ("work", "work/incompat", "work/incompat/volatile"):
        with suppress(OSError):
            place = room / WORK / name
            if not place.is_symlink():
                place.chmod(0o700)
    return left


def is_mounted(room: Path) -> bool:
    """Return whether the mounter's files are shown in a room."""
    there = mounted_at(Path(os.path.realpath(room)) / SHOWN)
    return there is not None and there.source == SOURCE

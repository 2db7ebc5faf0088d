"""Mount the files of a restore point for one server; the server's changes are stored elsewhere.

The mounter works for one drill. Root starts it, or systemd starts it when drd's service asks for
it. drd starts restic, which serves the files, and the mounter mounts these files. Above them, the
mounter mounts an overlay of the kernel, which takes all changes. All mounts are in a user namespace
that contains only the server's user. So all files belong to this user, whoever owned them in the
backup, and no file in the mounts gives more rights than this user has.

The socket to drd is descriptor 0. drd sends a request, and gets the descriptor through which restic
serves the files. Then drd names the directory among these files that it needs, and gets the mount.
The mount ends when drd closes its end of the socket; if drd is killed, the kernel closes this end.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import sys
import traceback
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NoReturn

from drd.instant import kernel

SOURCE = "drd-instant"
"""The source of drd's mounts, as /proc/self/mountinfo shows it."""

SHOWN, CHANGES, WORK = "shown", "changes", "work"
"""The directories in the room, which is the directory of one mount: the mounted files, the changes
to them, and the working files of the overlay."""

_DEVICE = "/dev/fuse"
_MOST = 1 << 16
_GO = b"go"
_NS_GET_USERNS = 0xB701


class Refused(Exception):
    """The mounter refuses a request; the text goes to drd as the reason."""


def main() -> NoReturn:
    """Serve one connection until drd closes the socket; signals do not end it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as client:
        try:
            _serve(client)
        except (OSError, Refused, ValueError, KeyError) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            with suppress(OSError):
                _send(client, {"error": said or str(error)})
        except BaseException:  # noqa: BLE001 - nobody else would hear of it
            traceback.print_exc()
            with suppress(OSError):
                _send(client, {"error": "the program that mounts restore points has failed"})
    sys.stdout.flush()
    os._exit(0)


def _serve(client: socket.socket) -> None:
    peer, group = struct.unpack(
        "iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    )[1:]
    asked, fds = _received(client)
    if asked["do"] in ("try", "mount"):
        _require_user(int(asked["uid"]), int(asked["gid"]), peer, group)
    if asked["do"] == "try":
        _try(int(asked["uid"]), int(asked["gid"]))
        _send(client, {"done": True})
        return
    namespace, room = fds
    _require_plain(namespace)
    _require_own(room, peer)
    if asked["do"] == "unmount":
        _enter(namespace)
        _unmount(room)
        _send(client, {"done": True})
        return
    uid, gid = int(asked["uid"]), int(asked["gid"])
    overlay = _overlay(client, str(asked["room"]), (namespace, room), uid, gid)
    _enter(namespace)
    kernel.attach(overlay, room, SHOWN)
    os.close(overlay)
    try:
        _send(client, {"done": True})
        while client.recv(1):
            pass
    except OSError:
        pass
    finally:
        _unmount(room)


def _require_user(uid: int, gid: int, peer: int, group: int) -> None:
    """Refuse a mount for another user or group than that of the process that asks: the overlay
    copies files with the rights of this user and group, also setgid files.
    """
    if uid == 0 or peer not in (0, uid):
        raise Refused(f"user {peer} may not mount for user {uid}")
    if peer != 0 and gid != group:
        raise Refused(f"user {peer} of group {group} may not mount for group {gid}")


def _require_plain(namespace: int) -> None:
    """Refuse a namespace of mounts that root has not made: in a namespace that a user has made, any
    path can lead to another file, for root as well."""
    owner = fcntl.ioctl(namespace, _NS_GET_USERNS)
    try:
        there, here = os.fstat(owner), Path("/proc/self/ns/user").stat()
    finally:
        os.close(owner)
    if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
        raise Refused(
            "the namespace of mounts of the process that asks was made by an ordinary user"
        )


def _require_own(room: int, peer: int) -> None:
    owner = os.fstat(room).st_uid
    if peer not in (0, owner):
        raise Refused(
            "the directory of the mount belongs to another user than the process that asks"
        )


def _enter(namespace: int) -> None:
    """Enter the namespace of mounts of the process that asks, if this process is in another one."""
    here, there = Path("/proc/self/ns/mnt").stat(), os.fstat(namespace)
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        kernel.set_namespace(namespace)


def _unmount(room: int) -> None:
    """Unmount what this program has mounted in the directory `room`, and nothing else."""
    os.fchdir(room)
    while _is_ours(room):
        kernel.detach(SHOWN)


def _is_ours(room: int) -> bool:
    place = f"{Path(f'/proc/self/fd/{room}').readlink()}/{SHOWN}"
    described = ""
    with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fixed, _, rest = line.partition(" - ")
            if _plain(fixed.split(" ")[4]) == place:
                described = " ".join(rest.split(" ")[:2])
    return described == f"overlay {SOURCE}"


def _plain(field: str) -> str:
    for code in ("040", "011", "012", "134"):
        field = field.replace(f"\\{code}", chr(int(code, 8)))
    return field


# --- in the user namespace ------------------------------------------------------------------------


def _overlay(client: socket.socket, room: str, fds: tuple[int, int], uid: int, gid: int) -> int:
    """Start a child process, which becomes the server's user in a new namespace and makes the
    mounts in it; return the descriptor of the overlay."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        ours.close()
        _leave(its, lambda: _shown(client, its, room, fds, (uid, gid)))
    its.close()
    with closing(ours):
        return _mapped(ours, child, uid, gid)


def _mapped(ours: socket.socket, child: int, uid: int, gid: int) -> int:
    """Map the server's user into the namespace of the child, and return the descriptor that the
    child sends; -1 if the child sends none.
    """
    try:
        _reported(ours)
        _write(f"/proc/{child}/setgroups", "deny")
        _write(f"/proc/{child}/uid_map", f"0 {uid} 1")
        _write(f"/proc/{child}/gid_map", f"0 {gid} 1")
        ours.send(_GO)
        fds = _reported(ours)
        return fds[0] if fds else -1
    finally:
        ours.close()
        os.waitpid(child, 0)


def _reported(ours: socket.socket) -> list[int]:
    """Return the descriptors of the child's next message. Raises Refused with the text of the child
    if it is an error.
    """
    message, fds, _, _ = socket.recv_fds(ours, _MOST, 4)
    if message != _GO:
        raise Refused(
            message.decode("utf-8", "replace") or "the process that makes the mounts was killed"
        )
    return list(fds)


def _write(place: str, text: str) -> None:
    Path(place).write_text(text, encoding="ascii")


def _leave(its: socket.socket, work: Any) -> NoReturn:
    """Do the work in the child, and end the child. If the work fails, report the reason to the
    parent.
    """
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        said = error.strerror if isinstance(error, OSError) else str(error)
        with suppress(OSError):
            its.send((said or repr(error)).encode()[:1000])
    os._exit(0)


def _served_by_others(namespace: int | None, its: socket.socket) -> int:
    """Become the server's user in a new namespace; return a descriptor of /dev/fuse that was opened
    in this namespace.
    """
    try:
        device = os.open(_DEVICE, os.O_PATH)
    except OSError as error:
        raise Refused(f"{_DEVICE}: {error.strerror}") from None
    if namespace is not None:
        _enter(namespace)
    kernel.unshare(kernel.NEW_USER | kernel.NEW_MOUNTS)
    # The kernel wants it opened in the namespace that mounts.
    served = os.open(f"/proc/self/fd/{device}", os.O_RDWR | os.O_CLOEXEC)
    its.send(_GO)
    if its.recv(8) != _GO:
        raise Refused("the mounter ended")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    return served


def _fuse(served: int) -> int:
    options: dict[str, str | None] = {
        "source": SOURCE,
        "fd": str(served),
        "rootmode": "40000",
        "user_id": "0",
        "group_id": "0",
        "default_permissions": None,
        "allow_other": None,
        "ro": None,
    }
    attributes = kernel.READ_ONLY | kernel.NOSUID | kernel.NODEV | kernel.NOEXEC
    return kernel.made_mount("fuse", options, attributes)


def _shown(
    client: socket.socket,
    its: socket.socket,
    room: str,
    fds: tuple[int, int],
    user: tuple[int, int],
) -> None:
    namespace, room_there = fds
    served = _served_by_others(namespace, its)
    here = _same(room, room_there)
    for name in (SHOWN, CHANGES, WORK):
        if os.stat(name, dir_fd=here, follow_symlinks=False).st_uid != 0:
            raise Refused(f"the directory {name} does not belong to user {user[0]}")
    fuse = _fuse(served)
    kernel.attach(fuse, here, SHOWN)
    _send(client, {"serve": True}, [served])
    os.close(served)
    asked, _ = _received(client)
    lower = _below(fuse, str(asked["below"]))
    options: dict[str, str | None] = {
        "source": SOURCE,
        "lowerdir": f"/proc/self/fd/{lower}",
        "upperdir": f"/proc/self/fd/{_directory(here, CHANGES)}",
        "workdir": f"/proc/self/fd/{_directory(here, WORK)}",
        "userxattr": None,
        # Nobody needs the changes after a crash of the host.
        "volatile": None,
    }
    overlay = kernel.made_mount("overlay", options, kernel.NOSUID | kernel.NODEV)
    socket.send_fds(its, [_GO], [overlay])


def _same(room: str, there: int) -> int:
    """Open the directory `room` in this namespace. Raises Refused if it is another directory than
    the one that drd has opened.
    """
    here = os.open(room, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    is_, was = os.fstat(here), os.fstat(there)
    if (is_.st_dev, is_.st_ino) != (was.st_dev, was.st_ino):
        raise Refused("the directory of the mount was replaced while drd prepared the mount")
    return here


def _directory(within: int, name: str) -> int:
    return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=within)


def _below(top: int, path: str) -> int:
    """Open a directory among the served files, without following links."""
    at = top
    for name in path.split("/"):
        if name in ("", ".", ".."):
            raise Refused(
                "the path of the directory in the restore point is empty, or contains //, . or .."
            )
        at = _directory(at, name)
    return at


# --- whether it would work ------------------------------------------------------------------------


def _try(uid: int, gid: int) -> None:
    """Try whether this host can make the mounts, without serving files. If not, raises Refused or
    OSError with the reason.
    """
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        ours.close()
        _leave(its, lambda: _tried(its))
    its.close()
    _mapped(ours, child, uid, gid)


def _tried(its: socket.socket) -> None:
    os.close(_fuse(_served_by_others(None, its)))
    its.send(_GO)


# --- messages -------------------------------------------------------------------------------------


def _send(client: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> None:
    socket.send_fds(client, [json.dumps(message).encode()], fds or [])


def _received(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    data, fds, _, _ = socket.recv_fds(client, _MOST, 4)
    if not data:
        raise Refused("drd ended the connection")
    message = json.loads(data)
    if not isinstance(message, dict):
        raise Refused("not a request")
    return message, list(fds)

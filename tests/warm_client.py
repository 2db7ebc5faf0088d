"""`drd` for scripts: what `warm.program` puts on a PATH asks the warm server for the command.

It gives the server its words, environment, directory, mask of modes, mounts and descriptors, passes
on the signals that it gets, and ends as the command does. When it is killed, so is the command.
Nothing is imported that takes a millisecond: this is run a hundred times.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys
from _json import encode_basestring_ascii as quoted

SAME = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
"""Variables that make no difference to an interpreter that has started."""
_SIGNALS = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGCONT)


def main(address: str, fresh: list[str], of_start: str, prefixes: tuple[str, ...]) -> None:
    """`fresh` starts the same command in an interpreter of its own, which is done where its start
    would differ: for another user, and for other variables than the server was started with."""
    words, env = sys.argv[1:], dict(os.environ)
    here = sorted(f"{n}={v}" for n, v in env.items() if n.startswith(prefixes) and n not in SAME)
    if os.geteuid() != os.stat(address).st_uid or here != of_start.splitlines():
        os.execv(fresh[0], [*fresh, *words])
    _end(_asked(address, [*fresh, *words], words, env))


def _asked(address: str, argv: list[str], words: list[str], env: dict[str, str]) -> int:
    """The code of the command's end, negative for a signal."""
    connection = _socket.socket(_socket.AF_UNIX)
    connection.connect(address)
    alive, _ = os.pipe()
    mask = os.umask(0)
    os.umask(mask)
    pairs = ",".join(f"{quoted(name)}:{quoted(value)}" for name, value in env.items())
    here = quoted(os.getcwd())
    text = f"[{_list(argv)},{_list(words)},{{{pairs}}},{here},{quoted('')},{mask},null,0]".encode()
    mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    descriptors = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, alive, mounts))
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)]
    waiting: list[int] = []
    pid = 0

    def pass_on(number: int, _: object) -> None:
        if pid:
            os.kill(pid, number)
        else:
            waiting.append(number)

    for number in _SIGNALS:
        _signal.signal(number, pass_on)
    connection.sendmsg([len(text).to_bytes(4, "big")], rights)
    os.close(alive)
    while text:
        text = text[connection.send(text) :]
    pid = int.from_bytes(connection.recv(4, _socket.MSG_WAITALL), "big")
    for number in waiting:
        os.kill(pid, number)
    return int.from_bytes(connection.recv(4, _socket.MSG_WAITALL), "big", signed=True)


def _list(texts: list[str]) -> str:
    return f"[{','.join(map(quoted, texts))}]"


def _end(code: int) -> None:
    if code < 0:
        if -code not in (_signal.SIGKILL, _signal.SIGSTOP):
            _signal.signal(-code, _signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)

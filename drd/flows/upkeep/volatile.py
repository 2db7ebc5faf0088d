"""What soon disappears on a host that was attacked: processes, connections, logins, states of
units, the journal.

Read from the kernel and from the installed programs. The result names what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from drd import log, process
from drd.errors import DrdError
from drd.masking import beginning
from drd.model.text import counted, escaped

_DEADLINE_S = 120.0
_MOST = 64 << 20
_HOURS = 6
_NOT_FOUND = 127
_SHOWN = 200
_STATES = {
    "01": "ESTABLISHED",
    "02": "SYN_SENT",
    "03": "SYN_RECV",
    "04": "FIN_WAIT1",
    "05": "FIN_WAIT2",
    "06": "TIME_WAIT",
    "07": "CLOSE",
    "08": "CLOSE_WAIT",
    "09": "LAST_ACK",
    "0A": "LISTEN",
    "0B": "CLOSING",
}


@dataclass(frozen=True, slots=True)
class Volatile:
    """One text, masked. `missing` says in sentences, without a full stop, what the text lacks."""

    name: str
    what: str
    text: str
    missing: tuple[str, ...] = ()


def volatile() -> Iterator[Volatile]:
    """Yield each text, what changes fastest first."""
    yield _with_missing("processes", "processes with their command lines", _processes)
    yield _with_missing("connections", "connections and listening sockets", _connections)
    yield _printed("logins", "who is logged in", ("who", "-a"))
    yield _printed("former-logins", "former logins", ("last", "-F", "-n", "500"))
    units = ("systemctl", "list-units", "--all", "--no-pager", "--plain", "--full")
    yield _printed("units", "states of units", units)
    journal = ("journalctl", f"--since=-{_HOURS}h", "--no-pager", "-o", "short-iso-precise")
    yield _printed("journal", f"the journal of the last {_HOURS} hours", journal)


def _with_missing(name: str, what: str, read: Callable[[list[str]], Iterator[str]]) -> Volatile:
    missing: list[str] = []
    text = "".join(f"{line}\n" for line in read(missing))
    return Volatile(name, what, log.masked(text), tuple(f"{what}: {one}" for one in missing))


def _printed(name: str, what: str, words: Sequence[str]) -> Volatile:
    """Return what a program prints; of a very long output, the last part."""
    try:
        done = process.run(process.Command(words, deadline_s=_DEADLINE_S), limit=_MOST)
    except DrdError as error:
        return Volatile(name, what, "", (f"{what}: {error.message}",))
    missing = []
    if done.exit_code == _NOT_FOUND:
        missing.append(f"{what}: program {words[0]} is not installed")
    elif done.exit_code != 0:
        said = escaped(log.masked(beginning(done.stderr.strip(), _SHOWN)))
        missing.append(f"{what}: {words[0]} ended with exit code {done.exit_code}: {said}")
    if len(done.stdout) >= _MOST:
        missing.append(f"{what}: only the last {_MOST >> 20} MiB were kept")
    if name == "journal" and os.geteuid() != 0:
        missing.append(f"{what}: only root can read the whole journal")
    return Volatile(name, what, log.masked(done.stdout), tuple(missing))


# --- processes --------------------------------------------------------------------------------


def _processes(missing: list[str]) -> Iterator[str]:
    yield "PID\tPPID\tUID\tSTARTED_TICKS\tEXE\tCWD\tCOMMAND"
    closed = 0
    for place in sorted(Path("/proc").glob("[0-9]*"), key=lambda p: int(p.name)):
        try:
            stat = (place / "stat").read_bytes().rpartition(b")")[2].split()
            uid = place.stat().st_uid
            words = (place / "cmdline").read_bytes().split(b"\0")
            name = (place / "comm").read_text(errors="replace").strip()
        except OSError:
            continue  # it has just ended
        exe, cwd = _link(place / "exe"), _link(place / "cwd")
        closed += exe is None and bool(words[0])
        said = " ".join(word.decode("utf-8", "replace") for word in words if word) or f"[{name}]"
        said = said.encode("unicode_escape").decode() if not said.isprintable() else said
        ppid, started = stat[1].decode(), stat[19].decode()
        yield "\t".join((place.name, ppid, str(uid), started, exe or "?", cwd or "?", said))
    if closed:
        missing.append(f"the programs of {_closed(closed)}")


def _closed(count: int) -> str:
    told = f"{counted(count, 'process', 'processes')} could not be read"
    return told if os.geteuid() == 0 else f"{told}; root can read more"


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return "-"  # a thread of the kernel
    except OSError:
        return None


# --- connections ------------------------------------------------------------------------------


def _connections(missing: list[str]) -> Iterator[str]:
    owners = _owners(missing)
    yield "PROTOCOL\tLOCAL\tREMOTE\tSTATE\tUID\tPIDS"
    for table in ("tcp", "tcp6", "udp", "udp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError as error:
            missing.append(f"{table}: {error.strerror}")
            continue
        for line in lines:
            _, local, remote, state, _, _, _, uid, _, inode, *_ = line.split()
            pids = ",".join(owners.get(inode, ("?",)))
            known = _STATES.get(state, state)
            yield "\t".join((table, _address(local), _address(remote), known, uid, pids))
    with suppress(OSError):
        text = Path("/proc/net/unix").read_text(errors="replace")
        yield from (f"unix\t{line}" for line in text.splitlines()[1:])


def _address(text: str) -> str:
    """Return an address of the kernel's table: words of four bytes, in the order of the host."""
    host, _, port = text.partition(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return f"{ip_address(b''.join(words))} {int(port, 16)}"


def _owners(missing: list[str]) -> dict[str, list[str]]:
    """Return the processes that have a socket open, by its inode."""
    owners: dict[str, list[str]] = {}
    closed = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            links = [str(one.readlink()) for one in (place / "fd").iterdir()]
        except PermissionError:
            closed += 1
            continue
        except OSError:
            continue
        for link in links:
            if link.startswith("socket:["):
                owners.setdefault(link[8:-1], []).append(place.name)
    if closed:
        missing.append(f"the connections of {_closed(closed)}")
    return owners

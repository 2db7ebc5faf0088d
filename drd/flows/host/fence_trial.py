"""`drd doctor` sets up the fence for real and tries to get through it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drd import process
from drd.flows.components.fence import hidden_places
from drd.flows.components.fence import missing_text as listed
from drd.flows.services import Services
from drd.flows.state.run_dirs import run_directory
from drd.model.fencing import limits_in_words, parts_in_words
from drd.model.plan import Plan
from drd.ports import Finding
from drd.process import Command, FenceLimits, Fences

_SCRIPT = """
import json, os, socket, sys
secret, own, pid, port, path = sys.argv[1:]
def tcp(): socket.create_connection(('127.0.0.1', int(port)), timeout=3)
def unix(): socket.socket(socket.AF_UNIX).connect(path)
def udp(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', int(port)))
server, loopback = socket.socket(socket.AF_UNIX), socket.socket()
def listens(): server.bind(own + '/s'); server.listen()
def connects(): socket.socket(socket.AF_UNIX).connect(own + '/s')
def serves(): loopback.bind(('127.0.0.1', 0)); loopback.listen()
def reaches(): socket.create_connection(loopback.getsockname(), timeout=3)
tries = {
    'read a file of drd': lambda: open(secret).read(),
    'write beside its directory': lambda: open(secret, 'a'),
    'change a mode outside': lambda: os.chmod(secret, 0o777),
    'signal drd': lambda: os.kill(int(pid), 0),
    'connect to a port of this host': tcp,
    'connect to a socket of this host': unix,
    'send a datagram': udp,
    'write in its directory': lambda: open(own + '/f', 'w').write('x'),
    'listen on a socket of its own': listens,
    'connect to its own socket': connects,
    'listen on loopback': serves,
    'connect to its own port': reaches,
}
found = {}
for name, tried in tries.items():
    try: tried()
    except OSError as error: found[name] = str(error)
    else: found[name] = ''
print(json.dumps(found))
"""

_RIGHT = [
    "write in its directory",
    "listen on a socket of its own",
    "connect to its own socket",
    "listen on loopback",
    "connect to its own port",
]
"""The accesses that must work, and no others."""


def try_fence(services: Services, plan: Plan, run: str) -> list[Finding]:
    """Return findings about whether the fence of a drill holds a process back, if this process can
    set up a fence."""
    fences = Fences(closed=tuple(hidden_places(services, plan)), limits=FenceLimits.usual(30.0))
    try:
        if not fences.parts:
            return [_finding(plan, f"drills run without a fence: {listed(fences.missing.items())}")]
        done, failed = _done(fences, run_directory(services, run))
        if failed:
            return [Finding("fence", "error", "", failed, "see docs/sandbox.md.")]
        wrong = [d for d, why in done.items() if not why and d not in _RIGHT]
        if wrong and not fences.missing:
            text = f"a process behind the fence could {', '.join(wrong)}"
            return [Finding("fence", "error", "", text, "this is a bug in drd: please report it.")]
        if lacks := [f"{d} ({done.get(d)})" for d in _RIGHT if done.get(d) != ""]:
            text = f"a process behind the fence could not {', '.join(lacks)}"
            return [Finding("fence", "error", "", text, "see docs/sandbox.md.")]
        if fences.missing:
            text = f"a part of the fence is missing: {listed(fences.missing.items())}"
            if wrong:
                text += f"; a process behind the rest of the fence could {', '.join(wrong)}"
            return [_finding(plan, text)]
        limits = limits_in_words("control group" if fences.grouped else "rlimits")
        parts = parts_in_words(fences.parts)
        held = f"drd tried the fence: programs in a drill cannot use {parts} of this host; {limits}"
        return [Finding("fence", "ok", "", held)]
    finally:
        fences.close()


def _finding(plan: Plan, text: str) -> Finding:
    required = plan.drill.fence == "required"
    hint = (
        "until the whole fence works, drills of this plan are inconclusive on this host; "
        "docs/sandbox.md says what the kernel needs."
        if required
        else "docs/sandbox.md says what the kernel needs."
    )
    return Finding("fence", "warning" if not required else "error", "", text, hint)


def _done(fences: Fences, directory: Path) -> tuple[dict[str, str], str]:
    """Return the results of each access, with the error if it failed, and why the fence could not
    be set up.
    """
    python = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin")
    with _targets_outside(directory) as (own, secret, port, path):
        words = (str(secret), str(own), str(os.getpid()), str(port), path)
        argv = (python or sys.executable, "-I", "-S", "-c", _SCRIPT, *words)
        reads = [] if python else map(os.path.realpath, (sys.prefix, sys.base_prefix))
        fence = fences.fence("trial", [own], reads=reads)
        done = process.run(Command(argv, cwd=own, fence=fence, deadline_s=30.0))
    if fences.failures():
        return {}, f"drd cannot set up the fence: {'; '.join(fences.failures())}"
    try:
        return dict(json.loads(done.stdout)), ""
    except ValueError:
        return {}, f"drd could not try the fence: {done.complaint}"


@contextmanager
def _targets_outside(directory: Path) -> Iterator[tuple[Path, Path, int, str]]:
    """A directory of its own, a secret beside it, and two listeners on this host."""
    place = directory / "trial"
    own, secret, path = place / "own", place / "secret", str(place / "s")
    with suppress(OSError):
        shutil.rmtree(place)
    own.mkdir(mode=0o700, parents=True)
    secret.write_text("secret", encoding="ascii")
    try:
        with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
            tcp.bind(("127.0.0.1", 0))
            tcp.listen()
            with suppress(OSError):  # a path that is too long: then there is one test less
                unix.bind(path)
                unix.listen()
            yield own, secret, tcp.getsockname()[1], path
    finally:
        shutil.rmtree(place, ignore_errors=True)

"""Whatever a process behind a fence tries, it stays there.

A hostile backup runs its code in a drill: it looks for keys, writes where it should not, signals
drd, and calls home. Each try fails, the same in its own directory works, and what can be named is
named.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import process
from drd.process import Command, FenceLimits, Fences
from tests.fence_support import PYTHON, behind, fences, own_directory, python

pytestmark = fences

USERS = [None, "nobody"] if os.geteuid() == 0 else [None]


@pytest.fixture
def box() -> Iterator[Fences]:
    made = Fences()
    yield made
    made.close()


@pytest.fixture(params=USERS, ids=["self", "nobody"][: len(USERS)])
def user(request: pytest.FixtureRequest) -> str | None:
    return str(request.param) if request.param else None


@pytest.fixture
def own(user: str | None) -> Iterator[Path]:
    with own_directory() as place:
        inside = place / "own"
        inside.mkdir()
        if user is not None:
            import pwd

            os.chown(inside, pwd.getpwnam(user).pw_uid, -1)
        yield inside


@pytest.fixture
def outside(own: Path, user: str | None) -> Path:
    """A secret beside the fence's own directory, which rights on files alone would show."""
    file = own.parent / "secret"
    file.write_text("key")
    file.chmod(0o666)
    if user is not None:
        os.chown(file, own.stat().st_uid, -1)
    return file


def said(box: Fences, own: Path, user: str | None, script: str, *arguments: str) -> str:
    done = python(box, own, script, *arguments, user=user)
    return (done.stdout + done.stderr).strip()


FILES = {
    "read": "open(f).read()",
    "write": "open(f, 'a')",
    "cut off": "__import__('os').truncate(f, 0)",
    "remove": "__import__('os').unlink(f)",
    "rename": "__import__('os').rename(f, f + 'x')",
    "hard link": "__import__('os').link(f, own + '/l')",
    "change the mode": "__import__('os').chmod(f, 0o777)",
    "change the times": "__import__('os').utime(f, (0, 0))",
    "give away": "__import__('os').chown(f, 1, 1)",
    "set an attribute": "__import__('os').setxattr(f, 'user.x', b'1')",
    "through a link": "(__import__('os').symlink(f, own + '/s'), open(own + '/s').read())",
    "mode through a link": (
        "(__import__('os').symlink(f, own + '/s'), __import__('os').chmod(own + '/s', 0o777))"
    ),
    "mode by descriptor": "__import__('os').chmod('/proc/self/fd/%d' % __import__('os').open(f, "
    "0x200000), 0o777)",
    "list the directory": "__import__('os').listdir(__import__('os').path.dirname(f))",
}


@pytest.mark.parametrize("how", FILES)
def test_file_outside_stays_as_it_is(
    box: Fences, own: Path, outside: Path, user: str | None, how: str
) -> None:
    before = outside.stat()
    script = (
        f"import sys; f, own = sys.argv[1:]\ntry: print('DONE', {FILES[how]})\nexcept "
        "OSError as e: print(e)"
    )
    text = said(box, own, user, script, str(outside), str(own))
    assert "DONE" not in text
    assert text
    after = outside.stat()
    assert (after.st_mode, after.st_mtime, after.st_size, after.st_uid, after.st_nlink) == (
        before.st_mode, before.st_mtime, before.st_size, before.st_uid, 1,
    )  # fmt: skip


def test_own_directory_can_be_used_as_ever(box: Fences, own: Path, user: str | None) -> None:
    script = """
import os, socket
os.mkdir('d'); open('d/f', 'w').write('x'); os.chmod('d/f', 0o640)
os.rename('d/f', 'd/g'); os.link('d/g', 'd/h'); os.symlink('g', 'd/s'); os.truncate('d/g', 0)
os.utime('d/g', (5, 5))
s = socket.socket(socket.AF_UNIX); s.bind('here'); s.listen(); os.chmod('here', 0o700)
c = socket.socket(socket.AF_UNIX); c.connect('here'); c.send(b'hello'); print(s.accept()[0].recv(9))
me = os.getuid(), os.getgid()
os.chown('d/g', *me); os.chown('d/g', -1, me[1]); os.lchown('d/s', me[0], -1); os.chown('d', -1, -1)
with open('d/g') as f: os.fchown(f.fileno(), *me)
for to in ((me[0] + 1, me[1]), (me[0], me[1] + 1), (-1, 2)):
    try: print('GIVEN', os.chown('d/g', *to))
    except PermissionError: pass
"""
    assert said(box, own, user, script) == "b'hello'"
    file = (own / "d/g").stat()
    assert (stat.S_IMODE(file.st_mode), file.st_mtime) == (0o640, 5)
    assert stat.S_IMODE((own / "here").stat().st_mode) == 0o700
    assert box.attempts() == []


WATCHES = """
import ctypes, fcntl, os, sys
libc = ctypes.CDLL(None, use_errno=True)
outside = sys.argv[1]
def watch(path, mask=0x100, there=None):
    there = libc.inotify_init1(0o4000) if there is None else there
    if libc.inotify_add_watch(there, path.encode(), mask) < 0:
        raise OSError(ctypes.get_errno(), path)
    return there
os.symlink(outside, 'link')
for tried in (lambda: fcntl.fcntl(os.open('/etc/hosts', 0), 1024, 1),
              lambda: fcntl.fcntl(os.open('.', 0), 1026, 4),
              lambda: watch(outside), lambda: watch('link'), lambda: watch('../secret'),
              lambda: watch('/root'),
              lambda: watch('.', there=os.open('.', 0))):
    try: print('DONE', tried())
    except OSError as e: print(e.errno)
# and what is right
seen, nobody = watch('.'), watch('link', 0x2000002)
watch('/etc/hosts', there=seen)
with open('lock', 'w') as file: fcntl.flock(file, fcntl.LOCK_EX); fcntl.fcntl(file, fcntl.F_GETFL)
print(b'lock' in os.read(seen, 4096))
"""


def test_nothing_outside_is_watched_or_made_to_wait(
    box: Fences, own: Path, outside: Path, user: str | None
) -> None:
    *refused, healthy = said(box, own, user, WATCHES, str(outside.parent)).split()
    assert refused == ["1", "1", "13", "13", "13", "13", "22"]
    assert healthy == "True"


def test_nothing_becomes_set_user_id_or_a_device(box: Fences, own: Path, user: str | None) -> None:
    script = """
import os
for tried in (lambda: os.open('a', os.O_CREAT | os.O_WRONLY, 0o4755), lambda: os.chmod('b', 0o4755),
              lambda: os.fchmod(os.open('b', os.O_RDWR), 0o2755),
              lambda: os.mknod('c', 0o20666, 0x103),
              lambda: os.mknod('d', 0o60666, 0x800)):
    open('b', 'w')
    try: print('DONE', tried())
    except OSError as e: print(e.errno)
"""
    assert "DONE" not in said(box, own, user, script)
    assert not [f for f in own.iterdir() if f.stat().st_mode & 0o6000 or not f.is_file()]


def test_no_process_outside_can_be_seen_into_signalled_or_slowed(
    box: Fences, own: Path, user: str | None
) -> None:
    nap = process.start(Command(("sleep", "60"), user=user, env={"SECRET": "key"}))
    try:
        script = """
import os, sys, resource
pid = int(sys.argv[1])
for tried in (lambda: os.kill(pid, 9), lambda: os.kill(pid, 0), lambda: os.killpg(pid, 9),
              lambda: open(f'/proc/{pid}/environ').read(), lambda: open(f'/proc/{pid}/mem', 'rb'),
              lambda: os.readlink(f'/proc/{pid}/fd/1'), lambda: os.readlink(f'/proc/{pid}/cwd'),
              lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, 1)),
              lambda: os.sched_setaffinity(pid, {0}), lambda: os.setpriority(0, pid, 19)):
    try: print('DONE', tried())
    except OSError as e: print(e.errno)
"""
        assert "DONE" not in said(box, own, user, script, str(nap.pid))
        assert nap.exit_code is None
    finally:
        nap.stop(signal.SIGKILL)


def test_warden_cannot_be_signalled_or_seen_into(box: Fences, own: Path, user: str | None) -> None:
    script = """
import os
pid = os.getppid()
for tried in (lambda: os.kill(pid, 9), lambda: open(f'/proc/{pid}/mem', 'rb'),
              lambda: os.readlink(f'/proc/{pid}/fd/1')):
    try: print('DONE', tried())
    except OSError as e: print(e.errno)
"""
    assert "DONE" not in said(box, own, user, script)


CALLS = {
    "io_uring": (425, (8, 0)),
    "keyring": (250, (0, -3, 0)),
    "bpf": (321, (0, 0, 0)),
    "user namespace": (272, (0x10000000,)),
    "network namespace": (272, (0x40000000,)),
    "mount": (165, (0, 0, 0, 0, 0)),
    "ptrace": (101, (0, 0, 0, 0)),
    "userfaultfd": (323, (1,)),
    "perf": (298, (0, 0, -1, -1, 0)),
    "semaphores of System V": (64, (1, 1, 0o600)),
    "message queues of POSIX": (240, (0, 0, 0, 0)),
    "a call of tomorrow": (469, (0, 0, 0, 0)),
    "socketpair of datagrams": (53, (1, 2, 0, 0)),
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="by the numbers of x86_64")
@pytest.mark.parametrize("what", CALLS)
def test_system_calls_around_the_fence_are_refused(box: Fences, own: Path, what: str) -> None:
    number, arguments = CALLS[what]
    script = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall({number}, *[ctypes.c_long(a) for a in {arguments!r}]), ctypes.get_errno())
"""
    result, number = map(int, said(box, own, None, script).split())
    assert result == -1
    assert number in (1, 13, 38)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="32 bits beside 64")
def test_calls_of_another_width_end_the_process(box: Fences, own: Path) -> None:
    script = """
import ctypes
ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 + 39))
print('DONE')
"""
    done = python(box, own, script)
    assert "DONE" not in done.stdout
    assert done.exit_code == -signal.SIGSYS


def test_descriptors_of_drd_are_not_inherited(box: Fences, own: Path) -> None:
    with socket.socket(), (own.parent / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        script = (
            "import os; print(sorted(os.readlink(f'/proc/self/fd/{n}')[:5] for n in "
            "os.listdir('/proc/self/fd') if int(n) > 2 and "
            "os.path.exists(f'/proc/self/fd/{n}')))"
        )
        assert said(box, own, None, script) in ("[]", "['/proc']")


# --- the network --------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody on the host's loopback who has nothing to do with the drill."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_every_way_out_is_refused_and_named(
    box: Fences, own: Path, user: str | None, listener: socket.socket
) -> None:
    path = own.parent / "production.sock"
    with socket.socket(socket.AF_UNIX) as production, socket.socket(socket.AF_UNIX) as abstract:
        production.bind(str(path))
        production.listen()
        path.chmod(0o777)
        abstract.bind(f"\0drd-test-{os.getpid()}")
        abstract.listen()
        port = listener.getsockname()[1]
        script = f"""
import socket
def tcp(to): return lambda: socket.create_connection(to, timeout=5)
def unix(to): return lambda: socket.socket(socket.AF_UNIX).connect(to)
def udp(to): return lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', to)
for tried in (tcp(('192.0.2.7', 25)), tcp(('127.0.0.1', {port})), tcp(('2001:db8::7', 443)),
              unix({str(path)!r}), unix('\\0drd-test-{os.getpid()}'), udp(('192.0.2.8', 514)),
              udp(('192.0.2.53', 53)), lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
              lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
              lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
              lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)):
    try: print('DONE', tried())
    except OSError as e: print(e.errno)
"""
        assert "DONE" not in said(box, own, user, script)
    tried = [a.words for a in box.attempts()]
    for expected in (
        "tcp 192.0.2.7:25", f"tcp 127.0.0.1:{port}", "tcp [2001:db8::7]:443", f"socket {path}",
        f"abstract socket @drd-test-{os.getpid()}", "udp 192.0.2.8:514", "dns 192.0.2.53:53",
    ):  # fmt: skip
        assert expected in tried


def test_without_the_fence_the_same_gets_through(own: Path, listener: socket.socket) -> None:
    script = (
        "import socket; socket.create_connection(('127.0.0.1', "
        f"{listener.getsockname()[1]})); print('DONE')"
    )
    done = process.run(Command((PYTHON, "-I", "-c", script), deadline_s=20.0))
    assert done.stdout.strip() == "DONE"


def test_name_that_is_looked_up_is_named(box: Fences, own: Path) -> None:
    said(box, own, None, "import socket; socket.getaddrinfo('mail.example.org', 25)")
    assert [a.words for a in box.attempts()] == ["dns mail.example.org"]


def test_declared_host_is_found_by_its_name(own: Path, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    threading.Thread(target=lambda: listener.accept()[0].send(b"hello"), daemon=True).start()
    box = Fences(reach=(f"{socket.gethostname()}.invalid:1", f"localhost:{port}"))
    script = f"""
import socket
print(socket.create_connection(('localhost', {port}), timeout=5).recv(9))
try: socket.getaddrinfo('elsewhere.example.org', 1)
except OSError: print('refused')
"""
    assert said(box, own, None, script).splitlines() == ["b'hello'", "refused"]
    assert [a.words for a in box.attempts()] == ["dns elsewhere.example.org"]
    box.close()


def test_listening_is_for_loopback_only(box: Fences, own: Path, user: str | None) -> None:
    script = """
import socket
for family, address in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::'), (socket.AF_INET, '')):
    s = socket.socket(family); s.bind((address, 0)); s.listen(); print(s.getsockname()[0])
s = socket.socket(); s.listen(); print(s.getsockname()[0])
try: socket.socket().bind(('192.0.2.1', 80)); print('DONE')
except OSError as e: print(e.errno)
"""
    assert said(box, own, user, script).split() == [
        "127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1", "99",
    ]  # fmt: skip


LISTEN = """
import socket, sys
for family, address in ((socket.AF_INET6, '::1'), (socket.AF_INET6, '::'),
                        (socket.AF_INET, '127.0.0.1'),
                        (socket.AF_INET, '127.9.9.9'), (socket.AF_INET, '')):
    s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind((address, int(sys.argv[1]))); s.listen()
        print('DONE', address)
    except OSError as e: print(e.errno)
    s.close()
"""


def test_port_of_the_host_cannot_be_taken_on_another_address(
    box: Fences, own: Path, user: str | None, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    assert said(box, own, user, LISTEN, str(port)).split() == ["98"] * 5
    tried = {a.words for a in box.attempts()}
    assert tried == {
        f"listen [::1]:{port}", f"listen 127.0.0.1:{port}", f"listen 127.9.9.9:{port}"
    }  # fmt: skip


def test_port_that_nobody_else_has_can_be_taken(box: Fences, own: Path, user: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert said(box, own, user, LISTEN, str(port)).count("DONE") == 5
    assert box.attempts() == []


def test_low_port_cannot_be_taken(box: Fences, own: Path, user: str | None) -> None:
    assert said(box, own, user, LISTEN, "1023").split() == ["13"] * 5
    assert "listen 127.0.0.1:1023" in [a.words for a in box.attempts()]


def test_port_that_the_host_takes_before_the_drill_listens_stays_the_hosts(
    box: Fences, own: Path, user: str | None
) -> None:
    script = """
import os, socket, time
s = socket.socket(socket.AF_INET6); s.bind(('::1', 0))
open('port.new', 'w').write(str(s.getsockname()[1])); os.rename('port.new', 'port')
while not os.path.exists('go'): time.sleep(0.02)
try: s.listen(); print('DONE')
except OSError as e: print(e.errno)
"""
    argv = (PYTHON, "-I", "-c", script)
    command = Command(argv, cwd=own, user=user, fence=box.fence("it", [own]), deadline_s=30.0)
    found: list[str] = []
    waits = threading.Thread(target=lambda: found.append(process.run(command).stdout))
    waits.start()
    limit = time.monotonic() + 20
    while not (own / "port").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    with socket.create_server(("127.0.0.1", int((own / "port").read_text()))):
        (own / "go").touch()
        waits.join(30)
    assert found == ["98\n"]


def test_a_server_inside_the_fence_is_reached_by_the_drill_and_by_drd(
    box: Fences, own: Path, user: str | None
) -> None:
    server = """
import socket
s = socket.socket(); s.bind(('0.0.0.0', 0)); s.listen()
open('port.new', 'w').write(str(s.getsockname()[1]))
__import__('os').rename('port.new', 'port')
for _ in range(2): s.accept()[0].send(b'hello')
"""
    argv = (PYTHON, "-I", "-c", server)
    child = process.start(Command(argv, cwd=own, user=user, fence=box.fence("server", [own])))
    try:
        limit = time.monotonic() + 60
        while not (own / "port").exists() and time.monotonic() < limit:
            time.sleep(0.02)
        port = int((own / "port").read_text())
        with socket.create_connection(("127.0.0.1", port), timeout=30) as ours:
            assert ours.recv(9) == b"hello"
        script = (
            f"import socket; print(socket.create_connection(('127.0.0.1', {port}), "
            "timeout=5).recv(9))"
        )
        assert said(box, own, user, script) == "b'hello'"
    finally:
        child.stop(signal.SIGKILL)
    assert box.attempts() == []


def test_declared_destination_is_reached(own: Path, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    threading.Thread(target=lambda: listener.accept()[0].send(b"hello"), daemon=True).start()
    box = Fences(reach=(f"localhost:{port}",))
    script = (
        f"import socket; print(socket.create_connection(('127.0.0.1', {port}), timeout=5).recv(9))"
    )
    assert said(box, own, None, script) == "b'hello'"
    assert box.attempts() == []
    box.close()


# --- ends and limits ----------------------------------------------------------------------------


def alive(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_exit_codes_and_streams_are_those_of_the_command(box: Fences, own: Path) -> None:
    done = behind(box, own, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.exit_code, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert behind(box, own, "sh", "-c", "kill -TERM $$").exit_code == -signal.SIGTERM
    assert behind(box, own, "no-such-program").exit_code == 127


def test_processes_outside_the_group_end_with_the_command(box: Fences, own: Path) -> None:
    mark = f"61.{os.getpid()}"
    behind(box, own, "sh", "-c", f"setsid --fork sleep {mark}; (setsid sleep {mark} &) ; sleep 0.2")
    assert alive(mark) == []


def test_all_of_it_ends_when_drd_dies(own: Path) -> None:
    mark = f"62.{os.getpid()}"
    script = f"""
import os, sys
from pathlib import Path
from drd import process
from drd.process import Command, Fences
own = Path({str(own)!r})
process.start(Command(("sh", "-c", "setsid --fork sleep {mark}; trap '' TERM; sleep {mark}"),
                      cwd=own,
                      fence=Fences().fence("it", [own])))
import time; time.sleep(0.6); os.kill(os.getpid(), 9)
"""
    import sys

    process.run(Command((sys.executable, "-c", script), cwd=Path(__file__).parents[2]))
    limit = time.monotonic() + 30
    while alive(mark) and time.monotonic() < limit:
        time.sleep(0.05)
    assert alive(mark) == []


def test_deadline_ends_it_with_all_it_started(box: Fences, own: Path) -> None:
    mark = f"63.{os.getpid()}"
    argv = ("sh", "-c", f"setsid sleep {mark} & setsid sleep {mark}")
    with pytest.raises(process_deadline()):
        process.run(Command(argv, cwd=own, fence=box.fence("it", [own]), deadline_s=0.5))
    limit = time.monotonic() + 30
    while alive(mark) and time.monotonic() < limit:
        time.sleep(0.05)
    assert alive(mark) == []


def process_deadline() -> type[Exception]:
    from drd.errors import DeadlineExceeded

    return DeadlineExceeded


def test_memory_and_lifetime_are_bounded(own: Path) -> None:
    box = Fences(limits=FenceLimits(256 << 20, 64, lifetime_s=1.0))
    try:
        hungry = python(box, own, "x = bytearray(1 << 30)")
        assert hungry.exit_code != 0
        begun = time.monotonic()
        assert behind(box, own, "sleep", "30").exit_code == -signal.SIGKILL
        assert time.monotonic() - begun < 20
    finally:
        box.close()


def test_closed_places_are_not_shown_whatever_is_asked_for(own: Path, outside: Path) -> None:
    parent = own.parent
    (parent / "open").write_text("fine")
    with_closed = Fences(reads=(parent,), closed=(outside,))
    text = python(
        with_closed, own, f"print(open('{parent}/open').read())\nprint(open('{outside}').read())"
    )
    assert text.stdout.strip() == "fine"
    assert "PermissionError" in text.stderr
    with_closed.close()

"""Fixtures that every test may ask for, and the check that a run leaves no process behind."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import execnet
import hypothesis
import pytest
from sqlalchemy.pool import QueuePool

from drd import log, masking, record_writer, registry
from drd.catalogue.engine import Database
from tests import (
    light_catalogue,
    light_kit,
    light_repository,
    light_tools,
    memory,
    rewritten,
    warm,
    warm_suite,
)
from tests.e2e.prepared import backed_up, prepared
from tests.e2e.site import Site
from tests.servers import (
    MariadbServer,
    PostgresServer,
    RestServer,
    S3Server,
    SshServer,
    mariadb_server,
    postgres_server,
    rest_server,
    s3_server,
    short_directory,
    ssh_server,
)
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import left_as_found

# The directory of this run, handed down to xdist's workers and to every process that a test
# starts: by it, in a process's environment, command line or working directory, we know our own.
_RUN_DIRECTORY = "DRD_TEST_RUN"

# A machine that is busy with something else makes no example wrong.
hypothesis.settings.register_profile("drd", deadline=None)
hypothesis.settings.load_profile("drd")


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A directory of this test with a path short enough for sockets and open to other users."""
    with short_directory(_run_directory()) as path:
        yield path


@pytest.fixture
def stored() -> Iterator[Site]:
    """The small site after its first backup, for one test."""
    with prepared(backed_up) as site:
        yield site


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server for everybody: make a bucket of your own, and leave the server running."""
    with short_directory(_run_directory()) as path, s3_server(path) as server:
        yield server


@pytest.fixture(scope="session")
def ssh() -> Iterator[SshServer]:
    """An SSH server for everybody: use a directory of your own, and leave the server running."""
    with short_directory(_run_directory()) as path, ssh_server(path) as server:
        yield server


@pytest.fixture(scope="session")
def rest() -> Iterator[RestServer]:
    """A REST server for everybody: use a path of your own, and leave the server running."""
    if shutil.which("restic-rest-server") is None:
        pytest.skip("this system has no restic-rest-server")
    with short_directory(_run_directory()) as path, rest_server(path) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    """A MariaDB server for everybody: make a database of your own, and leave it running."""
    with short_directory(_run_directory()) as path, mariadb_server(path, tcp=True) as server:
        yield server


@pytest.fixture(scope="session")
def mysql() -> Iterator[MysqlServer]:
    """A MySQL server for everybody, as `mariadb`. Debian 13 does not have its programs: without
    them, the tests are skipped."""
    if missing := MysqlServer.missing():
        pytest.skip(f"this host has no {', '.join(missing)} of MySQL ({MysqlServer.hint})")
    with short_directory(_run_directory()) as path:
        server = MysqlServer(path, tcp=True)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def lasting_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for everybody. What a test makes in it stays for the next test."""
    with short_directory(_run_directory()) as path, postgres_server(path) as server:
        yield server


@pytest.fixture
def postgres(lasting_postgres: PostgresServer) -> Iterator[PostgresServer]:
    """That server for one test, whose databases, tablespaces and roles are removed afterwards."""
    with left_as_found(lasting_postgres):
        yield lasting_postgres


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Gives the lines logged since the last call, whatever was chosen or bound in this process
    before."""
    log.configure(style="json")
    yield lambda: capsys.readouterr().err
    log.configure()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A kill at a random moment races with the scheduler, so such a test may run three times. Every
    other test that fails once has failed (tests/unit/test_reruns.py)."""
    for item in items:
        if item.get_closest_marker("kills") is not None:
            item.add_marker(pytest.mark.flaky(reruns=2))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report which tests were run again, and why."""
    for report in terminalreporter.stats.get("rerun", []):
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = crash.message if crash is not None else report.longreprtext
        terminalreporter.write_line(f"RUN AGAIN {report.nodeid}: {reason}", yellow=True)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """A test closes the catalogues that it opens: each holds files until then."""
    before = len(_opened)
    yield
    left = [database for database in _opened[before:] if _connections(database)]
    del _opened[before:]
    for database in left:
        database.close()
    assert not left, f"left open: {', '.join(database.place for database in left)}"


_opened: list[Database] = []


def _connections(database: Database) -> int:
    pool = database.engine.pool
    return pool.checkedin() + pool.checkedout() if isinstance(pool, QueuePool) else 0


def _note(make: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(make)
    def noted(self: Database, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        _opened.append(self)

    return noted


Database.__init__ = _note(Database.__init__)  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _masks() -> Iterator[None]:
    """The secrets of one test hide no words of the next."""
    known = masking._secrets
    masking._secrets = deepcopy(known)
    yield
    masking._secrets = known


@pytest.fixture(autouse=True)
def _extensions() -> Iterator[None]:
    """The packages that one test names add nothing to the next."""
    before = registry._in_use, registry._unavailable
    yield
    if (registry._in_use, registry._unavailable) != before:
        registry.use(*before)


@pytest.fixture(autouse=True)
def _records() -> None:
    """What one test has read as root casts no doubt on what the next one shows."""
    record_writer.begin()


def _run_directory() -> Path:
    return Path(os.environ[_RUN_DIRECTORY])


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("reruns", None):
        raise pytest.UsageError("only tests marked `kills` are run again, so --reruns is refused")
    if not hasattr(config, "workerinput"):
        run = ExitStack()
        config.add_cleanup(run.close)
        os.environ[_RUN_DIRECTORY] = str(run.enter_context(short_directory()))
        run.enter_context(memory.in_memory(_run_directory()))
        warm.live_as_long_as_we()
        config.option.basetemp = config.option.basetemp or f"{_run_directory()}/pytest"
    light_catalogue.install()
    light_tools.install()
    light_repository.lighten_new()
    light_kit.install()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[execnet.XSpec]) -> None:
    if config.getini("testpaths") != config.args:
        return
    if not sys.dont_write_bytecode:
        rewritten.rewrite_missing(config, Path(__file__).parent)
    warm_suite.start_from_here(specs)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with light_tools.uncollected():
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a process of it is alive after its last fixture ended."""
    warm.end()
    if hasattr(session.config, "workerinput"):
        return
    deadline = time.monotonic() + 20
    while (left := _processes_of(str(_run_directory()))) and time.monotonic() < deadline:
        time.sleep(0.05)
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.ensure_newline()
        for pid, command in left.items():
            reporter.write_line(f"left running by the tests: {pid} {command}", red=True)


def _processes_of(run: str) -> dict[int, str]:
    """Every living process that bears the mark of this run, except us: id to command line."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        pid = int(directory.name)
        try:
            command = (
                (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            environment = (directory / "environ").read_bytes().decode(errors="replace")
            where = str((directory / "cwd").readlink())
        except OSError:  # ended meanwhile, or another user's
            continue
        if (
            pid != os.getpid()
            and command
            and any(run in text for text in (command, environment, where))
        ):
            found[pid] = command.strip()
    return found

"""The demo: a service is backed up, lost, drilled, recovered and compared, step by step.

Everything happens in one directory below /tmp, with servers on loopback and Unix sockets that end
with this process. KEEP=1 leaves them running afterwards, until Ctrl-C.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from contextlib import ExitStack

from demo import data
from demo.narration import (
    DemoFailed,
    Interrupted,
    Shell,
    chapter,
    ended_by_signals,
    good,
    ignore_signals,
    say,
    timed,
)
from demo.place import BUCKET, Place, address
from demo.proof import Proof
from demo.to_the_second import OLDEST, ToTheSecond
from tests.servers import (
    PostgresServer,
    S3Server,
    ServerError,
    postgres_server,
    s3_server,
    short_directory,
)

PLAN = "orders-api"


def main() -> int:
    """Run the demo. Exit 0 if every step did what it says, 1 if one did not, 128 + signal
    if ended.
    """
    begun = time.monotonic()
    try:
        with ended_by_signals(), ExitStack() as stack:
            try:
                demo = _Demo(stack)
                demo.play()
                say("", good(f"Done in {time.monotonic() - begun:.0f} s."))
                if os.environ.get("KEEP") not in (None, "", "0"):
                    demo.keep()
            finally:
                ignore_signals()  # nothing disturbs the tear-down
    except (DemoFailed, ServerError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print("\ndemo: ended; nothing of it is left", file=sys.stderr)
        return 128 + interrupted.number
    return 0


class _Demo:
    """The servers, and the story in order."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.spare: PostgresServer | None = None
        self.place = Place(stack.enter_context(short_directory()))
        self.place.make()
        chapter("A service with something to lose")
        self.s3 = self._start_s3(stack)
        self.live, self.standby = self._start_postgres(stack)
        self._fill()
        environment = self.place.environment()
        self.drd = Shell(environment, self.place.home)
        self.passwords = self.place.write_passwords(self.live, self.standby)
        self.tools = Shell({**environment, **self.passwords}, self.place.home)
        self.proof = Proof(self.tools, self.place)

    def _start_s3(self, stack: ExitStack) -> S3Server:
        with timed("an S3 server (SeaweedFS), its bucket under Object Lock"):
            server = stack.enter_context(s3_server(self.place.home / "s3"))
            server.create_bucket(BUCKET, object_lock=True)
        return server

    def _start_postgres(self, stack: ExitStack) -> tuple[PostgresServer, PostgresServer]:
        with timed("two PostgreSQL servers: the API's, and an empty one for the bad day"):
            live = stack.enter_context(postgres_server(self.place.home / "pg", password="live"))
            standby = stack.enter_context(
                postgres_server(self.place.home / "pg2", password="open sesame")
            )
        return live, standby

    def _fill(self) -> None:
        with timed("the orders API: its database, its sessions, its gateway's configuration"):
            rows = data.create_database(self.live)
            data.create_sessions(self.place.sessions)
            data.create_configuration(self.place.configuration)
        self.place.write_plan(self.s3, self.live, self.standby)
        say(
            f"{rows:,} rows in five tables with foreign keys, sequences, JSONB, a view, a trigger,",
            "two roles with passwords; 5,000 sessions in SQLite; a tree with links and odd names.",
        )

    def _drd(self, *words: str, exits: int = 0) -> None:
        self.drd.show("drd", *words, exits=exits)

    def play(self) -> None:
        self._look_at_the_plan()
        self._back_up()
        self._lose_it()
        self._rehearse()
        self._recover()
        chapter("One screen")
        self._drd("status")
        self.recover_to_the_second(self.standby)

    def _look_at_the_plan(self) -> None:
        chapter("The plan: what belongs to the service, and what was promised")
        self.tools.show("sed", "-n", "1,/^backup/p", str(self.place.plan))
        self._drd("plan", "check", PLAN)
        self._drd("doctor", PLAN)

    def _back_up(self) -> None:
        chapter("A backup, and another after some work")
        self._drd("backup", PLAN)
        say("", "A backup that was not restored is a rumour, so nothing is green yet:")
        self._drd("status", exits=3)
        data.take_new_orders(self.live)
        data.sign_in(self.place.sessions)
        data.change_configuration(self.place.configuration)
        say("", "1,500 new orders come in, 20 customers sign in, a limit is raised.")
        self._drd("backup", PLAN)
        self._drd("points", PLAN)
        self.proof.remember(self.live)

    def _lose_it(self) -> None:
        chapter("The disaster")
        data.strike(self.live, self.place.sessions, self.place.configuration)
        say("Tables are dropped, the sessions are zeros, the configuration is overwritten:")
        self.tools.show("psql", address(self.live), "-c", "select count(*) from orders", exits=1)
        self.tools.show("cat", str(self.place.configuration / "nginx.conf"))

    def _rehearse(self) -> None:
        chapter("Does the backup come back? A drill, in a sandbox that touches nothing")
        self._drd("drill", PLAN)

    def _recover(self) -> None:
        chapter("The recovery: the same steps, into the empty server")
        self._drd("recover", PLAN, "--target", "standby", "--dry-run")
        self._drd("recover", PLAN, "--target", "standby", "--yes")
        say("", "Is it what was there before the disaster? Asked of other tools than drd:", "")
        self.proof.compare(self.standby)

    def recover_to_the_second(self, server: PostgresServer) -> None:
        """`server` has the orders now."""
        if server.major < OLDEST:
            say("", f"PostgreSQL {server.major}: the part about its WAL needs {OLDEST} or newer.")
            return
        repository = self.s3.repository(BUCKET, "orders-server")
        self.spare = ToTheSecond(self.place, repository, server).play(self.stack)

    def _way_to_spare(self) -> list[str]:
        if self.spare is None:
            return []
        psql = f"PGPASSWORD={shlex.quote(self.spare.password or '')} psql"
        return [f"{psql} {shlex.quote(address(self.spare))}     # up to the last second"]

    def keep(self) -> None:
        """Print how to explore it, and wait for a signal."""
        variables = {**self.place.variables(), **self.passwords}
        exports = " ".join(f'{k}="{v}"' for k, v in variables.items())
        chapter("Everything is still running. Look around:")
        say(
            f"export {exports}",
            f"drd points {PLAN}; drd runs; drd drill {PLAN} --point random; drd --help",
            f"psql {shlex.quote(address(self.standby))}     # what came back",
            *self._way_to_spare(),
            f"ls -lR {self.place.home}",
            "",
            "Ctrl-C ends it and removes everything.",
        )
        try:
            signal.pause()
        except Interrupted as interrupted:
            if interrupted.number != signal.SIGINT:
                raise
            say("", "Ended; nothing of it is left.")


if __name__ == "__main__":
    sys.exit(main())

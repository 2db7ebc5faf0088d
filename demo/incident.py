"""The demo of an incident: a key leaks, a database with the data of 5,000 people is destroyed, and
drd carries the response from the first suspicion to the last report.

Only commands, in one directory below /tmp, on loopback; nothing is left of it. Names, addresses and
reports are invented.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

from demo.mail import MailServer, mail_server
from demo.narration import (
    DemoFailed,
    Interrupted,
    Shell,
    chapter,
    ended_by_signals,
    good,
    ignore_signals,
    say,
)
from tests.servers import short_directory

PLAN = "orders-api"
PEOPLE = {"DE": 4100, "FR": 500, "AT": 400}

_SETTINGS = """\
state: sqlite:///state/drd.db
plans: plans
work_dir: work
cache_dir: cache
records: {key: {file: @HOME@/secrets/records}}
organisation:
  jurisdictions: [DE]
  timezone: Europe/Berlin
  facts: {role: controller, entity: other}
contacts:
  - {name: customers of orders, kind: customer, mail: customers@example.com}
notify:
  - {kind: smtp, name: mail, host: 127.0.0.1, port: @PORT@, tls: none,
     to: [oncall@example.com], sender: orders@example.org, on: [letter]}
"""

_LOG = """\
203.0.113.7 GET /v1/orders?page=1 200 key=partner-key
203.0.113.7 GET /v1/orders?page=2 200 key=partner-key
203.0.113.7 POST /v1/admin/sql 200 key=partner-key
"""


def main() -> int:
    """Run the demo. Exit 0 if every step did what it says, 1 if one did not, 128 + signal
    if ended.
    """
    begun = time.monotonic()
    try:
        with ended_by_signals(), ExitStack() as stack:
            try:
                home = stack.enter_context(short_directory())
                _Demo(home, stack.enter_context(mail_server())).play()
                say("", good(f"Done in {time.monotonic() - begun:.0f} s."))
            finally:
                ignore_signals()  # nothing disturbs the tear-down
    except DemoFailed as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print("\ndemo: ended; nothing of it is left", file=sys.stderr)
        return 128 + interrupted.number
    return 0


class _Demo:
    """The service, and the story in order."""

    def __init__(self, home: Path, mail: MailServer) -> None:
        self.home, self.mail = home, mail
        for name in ("api", "plans", "standby", "secrets", "evidence"):
            (home / name).mkdir()
        settings = _SETTINGS.replace("@HOME@", str(home)).replace("@PORT@", str(mail.port))
        (home / "drd.yaml").write_text(settings)
        template = Path(__file__).with_name("incident.yaml").read_text()
        (home / f"plans/{PLAN}.yaml").write_text(template.replace("@HOME@", str(home)))
        for name in ("restic", "partner-key"):
            self._secret(name, secrets.token_urlsafe(24))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "DRD_CONFIG": str(home / "drd.yaml"), "PATH": path}
        self.shell = Shell(environment, home)

    def _secret(self, name: str, value: str) -> None:
        file = self.home / "secrets" / name
        file.touch(mode=0o600)
        file.write_text(value)

    @property
    def database(self) -> Path:
        return self.home / "api/orders.db"

    def _drd(self, *words: str, exits: int = 0) -> None:
        self.shell.show("drd", *words, exits=exits)

    def _incident(self, *words: str) -> None:
        self._drd("incident", *words)

    def _entry(self, verb: str, key: str) -> str:
        """Return the number of the newest entry that a verb lists."""
        listed = json.loads(self.shell.output(f"drd incident {verb} --json"))[key]
        return str(listed[-1]["entry"])

    def play(self) -> None:
        self._service()
        self._suspicion()
        self._reach()
        self._contain()
        self._recover()
        self._tell()
        self._learn()
        self._give_away()

    def _service(self) -> None:
        chapter("Before: a service, its backup, and the key that signs what is recorded")
        with closing(sqlite3.connect(self.database)) as database, database:
            database.execute("create table customers (name text, address text, country text)")
            for country, number in PEOPLE.items():
                rows = ((f"Customer {n}", f"Street {n}", country) for n in range(number))
                database.executemany("insert into customers values (?, ?, ?)", rows)
        say(f"{sum(PEOPLE.values()):,} people are in the database of {PLAN}.")
        self._drd("records", "init")
        self._drd("backup", PLAN)

    def _suspicion(self) -> None:
        chapter("02:10. Support sees strange orders, and the database is gone")
        with closing(sqlite3.connect(self.database)) as database, database:
            database.execute("drop table customers")
        say("Anybody may report a suspicion. Somebody on call opens the incident from it:")
        words = "customers see orders of others, and the database is empty"
        self._incident("report", words, "--plan", PLAN, "--by", "Kim, support")
        self._incident("open", "--report", "1", "--severity", "critical", "--no-questions")
        self._incident("assign", "Anna")
        self._incident("anchor", "aware", "now")

    def _reach(self) -> None:
        chapter("Whose data is it? drd counts the people in the restore point from before")
        self._incident("scope", "--count")
        self._incident("obligation", "--fact", "personal_data=true", "--fact", "risk=high")

    def _contain(self) -> None:
        chapter("What happened? Evidence, an indicator, a hypothesis, and containment")
        log = self.home / "evidence/gateway.log"
        log.write_text(_LOG)
        self._incident("evidence", "log of the gateway, 01:30 to 02:10", "--file", str(log))
        self._incident(
            "indicator", "203.0.113.7", "--text", "address of the requests", "--expires", "30d"
        )
        self._incident("hypothesis", "the key of a partner was published")
        self._incident("task", "replace partner-key", "--to", "Bert", "--due", "1h")
        self._secret("partner-key", secrets.token_urlsafe(24))
        self._incident("log", "blocked partner-key at the gateway, and made a new one", "--measure")
        self._incident("task", "--done", "2")
        self._incident("anchor", "contained", "now")
        self._incident("state", "contained")

    def _recover(self) -> None:
        chapter("The recovery, into a clean place; it enters the timeline by itself")
        self._drd("recover", PLAN, "--target", "standby", "--yes", "--incident", "1")
        self._incident("anchor", "recovered_regular", "now")
        self._incident("state", "recovered")

    def _tell(self) -> None:
        chapter("Who must be told, until when? drd proposes, a person decides")
        self._incident("anchor", "high_risk_determined", "now")
        self._incident("obligation")
        self._incident(
            "obligation", "eu-gdpr-33", "--applies", "--reason", "names and addresses were read"
        )
        self._incident(
            "obligation", "eu-gdpr-34", "--applies", "--reason", "fraud with the addresses"
        )
        self._incident(
            "obligation", "eu-gdpr-33-5", "--applies", "--reason", "each breach is recorded"
        )
        self._incident("obligation", "eu-gdpr-33", "--draft")
        self._write()
        say("", "The reports are submitted:")
        for name, reference, channel in (
            ("eu-gdpr-33", "LDA-2026-4711", "portal"),
            ("eu-gdpr-34", "mailing 88", "e-mail"),
            ("eu-gdpr-33-5", "register, page 12", "internal register"),
        ):
            self._incident(
                "obligation", name, "--submitted", "now",
                "--reference", reference, "--channel", channel,
            )  # fmt: skip

    def _write(self) -> None:
        chapter("What customers are told: nothing leaves before a person has approved it")
        words = "Orders and addresses were read by a stranger on 28 November. The key is blocked."
        self._incident("message", "draft", "customers", "--text", words)
        self._drd("incident", "message", "send", "customers", exits=2)
        shown = self.shell.output("drd incident message preview 1")
        say("$ drd incident message preview 1", shown)
        digest = shown.split()[-1]
        self._incident("message", "approve", "1", "--digest", digest, "--by", "Carla, legal")
        self._incident("message", "send", "1")
        if len(self.mail.mails) != 1 or words not in self.mail.mails[0].get_content():
            raise DemoFailed("the mail server did not get the mail that was approved")
        say("", f"The mail server got: {self.mail.mails[0]['Subject']}")

    def _learn(self) -> None:
        chapter("The root cause names its evidence")
        evidence, supposed = (
            self._entry("evidence", "evidence"),
            self._entry("hypothesis", "hypotheses"),
        )
        self._incident("hypothesis", "--supported", supposed, "--evidence", evidence)
        self._incident(
            "cause", "a partner published the key with test data",
            "--evidence", evidence, "--hypothesis", supposed,
        )  # fmt: skip
        self._incident("anchor", "handled", "now")
        self._incident("obligation")
        self._incident("close", "--reason", "keys are changed, data is back, all were told")
        self._incident("show", "1")

    def _give_away(self) -> None:
        chapter("For auditors: everything is signed, and openssl alone can check it")
        self._incident("export", "1", str(self.home / "given"))
        self.shell.show("sh", str(self.home / "given/verify.sh"))
        self._drd("records", "anchor")
        self._drd("records", "verify")


if __name__ == "__main__":
    sys.exit(main())

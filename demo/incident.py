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
from tests.servers.gateway import ADMIN, Gateway

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
playbooks: playbooks
people: [{name: Anna, roles: [lead]}, {name: Bert, roles: [operator]}]
contacts:
  - {name: customers of orders, kind: customer, mail: customers@example.com}
notify:
  - {kind: smtp, name: mail, host: 127.0.0.1, port: @PORT@, tls: none,
     to: [oncall@example.com], sender: orders@example.org, on: [letter]}
"""

_PLAYBOOK = """\
playbook: contain-partner
title: Contain a partner at the gateway
about: Limits all clients, and revokes the leaked key, and proves that it is refused.
use_when: The key of a partner leaked.
inputs:
  - {name: gateway, what: address of the admin API}
  - {name: token, what: token of the admin API, secret: true}
  - {name: leaked, what: the leaked key, secret: true}
tasks:
  - name: contain
    text: Limit the clients, revoke the key.
    role: operator
    due: aware + 30m
    steps:
      - name: limit
        http:
          url: "${gateway}/limit"
          method: PUT
          headers: &admin {Authorization: "Bearer ${token}"}
          body: '{"per_minute": 10}'
        before: {http: {url: "${gateway}/limit", headers: *admin}}
        rollback:
          repeat: safe
          http: {url: "${gateway}/limit", method: PUT, headers: *admin, body: "${before}"}
        repeat: safe
        expires: 4h
      - name: revoke
        http: {url: "${gateway}/keys/1", method: DELETE, headers: *admin}
        done_when: {http: {url: "${gateway}/keys/1", headers: *admin, expect: 404}}
        final: a revoked key stays revoked; issue a new one
      - name: prove-refused
        http: {url: "${gateway}/api", headers: {Authorization: "Bearer ${leaked}"}, expect: 401}
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
                gateway = stack.enter_context(closing(Gateway()))
                _Demo(home, stack.enter_context(mail_server()), gateway).play()
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

    def __init__(self, home: Path, mail: MailServer, gateway: Gateway) -> None:
        self.home, self.mail, self.gateway = home, mail, gateway
        for name in ("api", "plans", "playbooks", "standby", "secrets", "evidence"):
            (home / name).mkdir()
        settings = _SETTINGS.replace("@HOME@", str(home)).replace("@PORT@", str(mail.port))
        (home / "drd.yaml").write_text(settings)
        template = Path(__file__).with_name("incident.yaml").read_text()
        (home / f"plans/{PLAN}.yaml").write_text(template.replace("@HOME@", str(home)))
        (home / "playbooks/contain-partner.yaml").write_text(_PLAYBOOK)
        self._secret("restic", secrets.token_urlsafe(24))
        self._secret("partner-key", gateway.keys["1"])
        self._secret("leaked-key", gateway.keys["1"])
        self._secret("gateway-token", ADMIN)
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
        say("", "First preserve what would be overwritten, then contain:")
        self._incident("preserve", "--reason", "before we contain it", "--by", "Anna")
        leaked = self.gateway.keys["1"]
        say("", f"The gateway answers {self.gateway.status(leaked)} to the leaked key.")
        given = {
            "gateway": self.gateway.url,
            "token": f"file:{self.home}/secrets/gateway-token",
            "leaked": f"file:{self.home}/secrets/leaked-key",
        }
        words = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
        self._drd("playbook", "run", "contain-partner", *words, "--incident", "1", "--yes")
        status = self.gateway.status(leaked)
        if status != 401:
            raise DemoFailed(f"the gateway answers {status} to the leaked key")
        say("", f"The gateway answers {status} to the leaked key.")
        self._incident("anchor", "contained", "now")
        self._incident("state", "contained")

    def _recover(self) -> None:
        chapter("The recovery, from the clean restore point; it enters the timeline by itself")
        self._incident("clean-points")
        words = ("recover", PLAN, "--target", "standby", "--yes", "--incident", "1", "--clean")
        say("", "A credential in the scope was not replaced: a person has to approve that.")
        with self.shell.beside("drd", *words):
            run = self._waiting()
            self._secret("partner-key", secrets.token_urlsafe(24))
            self._incident("rotated", "partner-key", "--by", "Bert")
            self._drd("approve", run, "re-secure", "--by", "Anna", "--comment", "Bert replaced it")
        self._incident("anchor", "recovered_regular", "now")
        self._incident("state", "recovered")

    def _waiting(self) -> str:
        """Return the recovery, when it waits for a person."""
        limit = time.monotonic() + 120
        while time.monotonic() < limit:
            runs = json.loads(self.shell.output(f"drd runs {PLAN} --json"))["runs"]
            waiting = [r for r in runs if r["kind"] == "recovery" and r["state"] == "waiting"]
            if waiting:
                return str(waiting[0]["run"])
            time.sleep(1)
        raise DemoFailed("the recovery does not ask for the approval")

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
        say("", "A lesson is done when its proof has passed:")
        words = ("add", "prove that the orders come back", "--owner", "Bert", "--due", "14d")
        self._incident("action", "1", *words, "--verified-by", f"drill:{PLAN}")
        self._drd("drill", PLAN)
        self._incident("action", "1")
        self._incident("anchor", "handled", "now")
        self._incident("obligation")
        self._incident("close", "--reason", "keys are changed, data is back, all were told")
        self._incident("postmortem", "1", "--output", str(self.home / "postmortem.md"))
        text = (self.home / "postmortem.md").read_text()
        say("", *(line for line in text.splitlines() if line.startswith("#")))
        self._incident("show", "1")

    def _give_away(self) -> None:
        chapter("For auditors: everything is signed, and openssl alone can check it")
        self._incident("export", "1", str(self.home / "given"))
        self.shell.show("sh", str(self.home / "given/verify.sh"))
        self._drd("records", "anchor")
        self._drd("records", "verify")


if __name__ == "__main__":
    sys.exit(main())

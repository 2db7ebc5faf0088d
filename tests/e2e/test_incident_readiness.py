"""What an incident left undone is a finding of the readiness of its plans, until it is done."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.daemons import until
from tests.e2e.site import Site, small_site
from tests.notify_support import mail_server

OURS = """\
people:
  - {{name: anna, email: anna@us.example, roles: [lead]}}
contacts:
  - {{name: Acme, kind: customer, mail: it@acme.example}}
notify:
  - {{kind: smtp, host: 127.0.0.1, port: {port}, tls: none, to: [t@us.example],
      sender: a@us.example}}
"""


def findings(site: Site) -> dict[str, str]:
    [plan] = site.drd("readiness", "shop", "--json", code=None).json["plans"]
    return {one["code"]: one["text"] for one in plan["findings"]}


def late(found: dict[str, str]) -> dict[str, str]:
    """The findings, once an item is late."""
    return found if "action-items" in found else {}


def test_contacts_that_bounce_and_items_that_are_late_are_findings(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    with mail_server() as post:
        with (site.base / "drd.yaml").open("a") as file:
            file.write(OURS.format(port=post.port))
        site.drd("backup", "shop")
        site.drd("incident", "open", "orders leak", "--plan", "shop", "--severity", "critical")
        words = ("customers", "--text", "We know of it.", "--next-update", "1h")
        site.drd("incident", "message", "draft", *words)
        shown = json.loads(site.drd("incident", "message", "preview", "1", "--json").out)
        digest = shown["digest"][:12]
        site.drd("incident", "message", "approve", "1", "--digest", digest, "--by", "anna")
        site.drd("incident", "message", "send", "1")
    assert not {"action-items", "contacts-bounced"} & set(findings(site))
    site.drd("incident", "action", "add", "look at it", "--owner", "anna", "--due", "1s")
    back = ("--to", "Acme", "--reason", "550 user unknown")
    site.drd("incident", "message", "bounced", "1", *back)
    site.drd("incident", "close", "--reason", "all is back")
    found = until(lambda: late(findings(site)), "the late item")
    assert "see message 1 of incident 1" in found["contacts-bounced"]
    assert "of incident 1 was due" in found["action-items"]
    assert "Acme" not in str(found)
    assert "look at it" not in str(found)
    told = site.drd("readiness", "shop", code=None).out
    assert "action items of incidents are overdue" in told
    assert "find the addresses (drd incident message list 1)" in told

    item = site.drd("incident", "action", "1", "--json").json["actions"][0]["action"]
    site.drd("incident", "action", "1", "done", str(item), "--reason", "looked")
    known = (site.base / "drd.yaml").read_text()
    (site.base / "drd.yaml").write_text(known.replace("it@acme.example", "new@acme.example"))
    assert not {"action-items", "contacts-bounced"} & set(findings(site))

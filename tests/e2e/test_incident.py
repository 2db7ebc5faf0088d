"""An incident by the command line: opened, worked on, closed, and read by a person."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pyrage
import pytest
import stix2

from tests.e2e.daemons import daemon, until
from tests.e2e.site import PASSWORD, Site, make_tree, one_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(one_tree(made.base / "etc", made.base / "back"))
    return made


def test_from_the_first_word_to_the_end(site: Site) -> None:
    with (site.base / "drd.yaml").open("a") as file:
        file.write(f"records: {{key: {{file: {site.base}/secrets/records}}}}\n")
    site.drd("records", "init")
    assert "no incident is open" in site.drd("incident").out
    told = site.drd("incident", "log", "too early", code=2).err
    assert 'HINT: to open an incident: drd incident open "TITLE"' in told
    assert "did you mean shop?" in site.drd("incident", "open", "x", "--plan", "shp", code=2).err

    opened = site.drd("incident", "open", "orders leak", "--plan", "shop", "--json").json
    assert (opened["incident"], opened["state"], opened["plans"]) == (1, "detected", ["shop"])
    site.drd("incident", "log", "blocked the key", "--at", "-2h", "--by", "Anna B.")
    told = site.drd("incident", "anchor", "aware", "-1h").out
    assert " recorded for 20" in told
    assert (
        "to correct this time, a reason is necessary"
        in site.drd("incident", "anchor", "aware", "now", code=2).err
    )
    site.drd("incident", "severity", "1", "critical")
    site.drd("incident", "assign", "anna")
    site.drd("incident", "role", "legal", "bert")
    site.drd("incident", "task", "change the key", "--due", "1h", "--to", "bert")
    site.drd("incident", "task", "--done", "1")
    site.drd("incident", "decide", "orders stay off", "--reason", "data at risk")
    site.drd("incident", "link", "https://tickets.example/4711")
    site.drd("backup", "shop")
    done = site.drd("incident", "state", "contained").out
    assert done.startswith("incident 1 (orders leak): contained")
    told = site.drd("incident", "log", "two words", "unquoted", code=2).err
    assert "put a text of several words in quotes" in told

    _investigate(site)
    document = site.drd("incident", "show", "--json").json
    assert document["investigation"]["cause"]["text"] == "a key was public"
    assert (document["severity"], document["lead"]) == ("critical", "anna")
    assert document["tasks"][0]["done_at"] is not None
    assert [line["kind"] for line in document["timeline"]].count("run.end") == 1
    early = document["timeline"][0]
    assert (early["text"], early["by"]) == ("blocked the key", "Anna B.")

    site.drd("incident", "log", "--star", str(early["entry"]))
    starred = site.drd("incident", "show", "1", "--starred").out
    assert f"{early['entry']}* Anna B." in starred
    assert "decided" not in starred
    assert starred.splitlines()[-1] in site.drd("incident", "1", "--starred").out

    paper = site.drd("incident", "print").out
    assert "<h1>Incident 1: orders leak</h1>" in paper
    assert "blocked the key" in paper
    assert "eu-gdpr-33" in paper
    assert "Root cause: a key was public; evidence" in paper

    site.drd("incident", "open", "another secret")
    shown = site.drd("incident", "show", "1", "--json").json
    there = site.base / "given"
    made = site.drd("incident", "export", "1", str(there), "--json").json
    assert (made["incident"], made["directory"]) == (1, str(there))
    assert json.loads((there / "timeline.json").read_text()) == shown
    assert "blocked the key" in (there / "timeline.txt").read_text()
    shared = stix2.parse((there / "indicators.stix.json").read_text(), version="2.1")
    assert "203.0.113.7" in shared.objects[0].pattern
    given = (there / "records.txt").read_text()
    assert "blocked the key" in given
    assert "another secret" not in given
    assert given.count("body - withheld") == 1  # the other incident; a key is always in it
    assert {path.stat().st_mode & 0o077 for path in there.iterdir()} == {0}
    done = subprocess.run(["sh", there / "verify.sh"], check=False, timeout=60)
    assert done.returncode == 0, done
    _changed_files_are_found(site, there)
    _unsigned_seal_is_told(site)
    site.drd("incident", "export", "1", "2", "3", code=2)
    assert "exists already" in site.drd("incident", "export", "1", str(there), code=2).err
    site.drd("incident", "close", "2", "--reason", "not related")

    site.drd("incident", "scope", "--remove", "shop")
    refused = site.drd("recover", "shop", "--target", "standby", "--yes", "--incident", "7", code=2)
    assert "there is no incident 7" in refused.err
    site.drd("recover", "shop", "--target", "standby", "--yes", "--incident", "1")
    kinds = [line["kind"] for line in site.drd("incident", "show", "--json").json["timeline"]]
    assert kinds[-2:] == ["incident.recovery", "evidence"]

    site.drd("incident", "close", "--reason", "keys are changed")
    assert "no incident is open" in site.drd("incident", "show", code=2).err
    [_, listed] = site.drd("incident", "list", "--all", "--json").json["incidents"]
    assert (listed["state"], listed["title"]) == ("closed", "orders leak")
    site.drd("incident", "state", "1", "detected", code=2)
    site.drd("incident", "state", "1", "detected", "--reason", "it goes on")
    assert "decided: orders stay off: data at risk" in site.drd("incident", "show").out


def _changed_files_are_found(site: Site, there: Path) -> None:
    """Of the bundle every file is sealed: by the script and by drd each change is found."""
    assert "# Post-mortem of incident 1" in (there / "postmortem.md").read_text()
    [item] = json.loads((there / "evidence.json").read_text())["evidence"]
    assert item["bytes"] == 12
    assert json.loads((there / "messages.json").read_text())["messages"] == []
    assert "no fault" not in site.drd("records", "verify", str(there), code=5).out
    page = there / "postmortem.html"
    whole = page.read_bytes()
    page.write_bytes(whole.replace(b"leak", b"peak"))
    (there / "more file.txt").touch()
    found = subprocess.run(
        ["sh", there / "verify.sh"], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 1
    assert "postmortem.html was changed or removed" in found.stdout
    assert "a file does not belong to this export: more file.txt" in found.stdout
    told = site.drd("records", "verify", str(there), code=1).out
    assert "postmortem.html was changed (file)" in told
    assert "more file.txt does not belong to this export (file)" in told
    page.write_bytes(whole)
    (there / "more file.txt").unlink()


def _unsigned_seal_is_told(site: Site) -> None:
    """Without its key drd cannot seal the files of an export so that others can trust them."""
    key, there = site.base / "secrets/records", site.base / "unsigned"
    key.rename(site.base / "secrets/away")
    told = site.drd("incident", "export", "1", str(there)).err
    assert "drd could not sign the entry that seals the files of this export" in told
    assert "but nobody signed it" in site.drd("records", "verify", str(there), code=1).out
    (site.base / "secrets/away").rename(key)


def _investigate(site: Site) -> None:
    file = site.base / "gateway.log"
    file.write_text("GET /orders\n")
    site.drd("incident", "evidence", "log of the gateway", "--file", str(file))
    [item] = site.drd("incident", "evidence", "--json").json["evidence"]
    assert (item["where"], item["bytes"]) == (str(file), 12)
    supposed = site.drd("incident", "hypothesis", "a key was public", "--json").json["entry"]
    refused = site.drd("incident", "hypothesis", "--supported", str(supposed), code=2).err
    assert "--evidence or --reason is missing" in refused
    shows = ("--evidence", str(item["entry"]))
    site.drd("incident", "hypothesis", "--supported", str(supposed), *shows)
    told = site.drd("incident", "cause", "a key was public", code=2).err
    assert f"add --evidence ENTRY. Entries with evidence: {item['entry']}" in told
    assert "incident 1 has no item of evidence with entry 1" in site.drd(
        "incident", "cause", "a key was public", "--evidence", "1", code=2
    ).err  # fmt: skip
    site.drd("incident", "cause", "1", "a key was public", *shows)
    told = site.drd("incident", "indicator", "203[.]0.113[.]7", "--seen", "-1h", "--expires", "30d")
    assert re.search(r"entry \d+ recorded, seen 20\S+ \S+ \S+, expires 20\S+ ", told.out)
    listed = site.drd("incident", "indicator").out.splitlines()[1].split()
    assert listed[1:3] == ["ip", "203.0.113.7"]
    there = site.base / "stix.json"
    site.drd("incident", "indicator", "--stix", str(there))
    assert list(json.loads(there.read_text())) == ["type", "id", "objects"]
    assert stix2.parse(there.read_text(), version="2.1").objects[0].pattern == (
        "[ipv4-addr:value = '203.0.113.7']"
    )


def test_a_restricted_incident_leaves_the_host_encrypted(site: Site) -> None:
    """In the copy of the catalogue, in anchors, in exports; an identity of a role opens it."""
    config, lead = site.base / "drd.yaml", pyrage.x25519.Identity.generate()
    site.secret("lead", f"{lead}\n")
    identity = ("--identity", f"{site.base}/secrets/lead")
    with config.open("a") as file:
        file.write(f"records: {{key: {{file: {site.base}/secrets/records}}}}\n")
    site.drd("records", "init")
    told = site.drd("incident", "open", "an insider", "--restricted").err
    assert "its entries are not encrypted, because drd.yaml does not contain keys for roles" in told
    site.drd("incident", "close", "1", "--reason", "a trial")
    before = config.read_text()
    config.write_text(f"{before}incident: {{roles: {{lead: {{age: [age1nonsense]}}}}}}\n")
    assert "'age1nonsense' is not a public key" in site.drd("config", "check", code=2).out
    config.write_text(f"{before}incident: {{roles: {{lead: {{age: [{lead.to_public()}]}}}}}}\n")

    told = site.drd("incident", "open", "the payroll", "--plan", "shop", "--restricted").out
    assert "In repositories and exports its entries are encrypted for: lead" in told
    site.drd("incident", "log", "7 Elm Street")
    site.drd("backup", "shop")
    own = ["-r", site.repository, "--no-cache", "dump", "--tag", "component:drd", "latest"]
    password = {"RESTIC_PASSWORD": PASSWORD, "PATH": site.env()["PATH"]}
    copy = subprocess.run(
        ["restic", *own, "/drd.tar"], capture_output=True, check=True, env=password
    ).stdout
    assert b"incident.log" in copy
    assert b"Elm Street" not in copy
    assert b"payroll" not in copy

    there = site.base / "given"
    site.drd("incident", "export", "2", str(there))
    given = {path.name: path.read_bytes() for path in there.iterdir()}
    assert not any(b"Elm Street" in data or b"payroll" in data for data in given.values())
    assert b"Elm Street" in pyrage.decrypt(given["timeline.txt.age"], [lead])
    assert subprocess.run(["sh", there / "verify.sh"], check=False, timeout=60).returncode == 0
    assert "Elm Street" in site.drd("records", "decrypt", str(there), *identity).out
    site.drd("records", "export", str(site.base / "all"))
    assert "Elm Street" not in (site.base / "all/records.txt").read_text()

    site.drd("records", "anchor", "--incidents")
    for name in ("drd.db", "drd.db-wal", "drd.db-shm"):
        (site.base / "state" / name).unlink(missing_ok=True)
    site.drd("catalogue", "rebuild", "shop")
    assert "Elm Street" not in site.drd("incident", "show").out
    shown = site.drd("incident", "show", *identity).out
    assert "the payroll" in shown
    assert "7 Elm Street" in shown
    assert site.drd("records", "verify", "--json").json["sealed"]


def test_duties_to_report_from_the_facts_to_the_last_report(short_tmp: Path) -> None:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    config = site.base / "drd.yaml"
    config.write_text(
        config.read_text() + "regimes: regimes\norganisation: {jurisdictions: [DE, US-CA], "
        "timezone: Europe/Berlin, facts: {role: controller, entity: essential}}\n"
    )
    (site.base / "regimes").mkdir()
    own = site.base / "regimes" / "acme.yaml"
    own.write_text("id: acme\nextends: contract\nrule: {within: {hours: 48}}\n")
    site.plan(
        one_tree(site.base / "etc", site.base / "back")
        + "data: [{what: customers, people: 5000, residents: {US-CA: 600, DE: 4400}, "
        "encrypted: false}]\n"
    )
    site.drd("backup", "shop")
    site.drd("incident", "open", "orders leak", "--plan", "shop")
    site.drd("incident", "anchor", "aware", "-10h")
    site.drd("incident", "anchor", "discovered", "-10h")

    def duty(*words: str) -> dict[str, dict[str, object]]:
        document = site.drd("incident", "obligation", *words, "--json").json
        return {clock["id"]: clock for clock in document["clocks"]}

    clocks = duty()
    assert (clocks["eu-gdpr-33"]["state"], clocks["eu-gdpr-33"]["missing"]) == (
        "undecided",
        ["risk"],
    )
    assert clocks["us-ca-ag"]["proposed"] is True  # 600 residents, by the plan
    assert clocks["us-hipaa-individuals"]["proposed"] is False
    assert not {"uk-gdpr-33", "us-tx-ag"} & clocks.keys()
    duty("--fact", "risk=high", "--fact", "residents.US-CA=500")
    assert duty()["us-ca-ag"]["proposed"] is False

    told = site.drd("incident", "obligation", "eu-gdpr-33", "--applies", code=2).err
    assert "--reason is missing: why eu-gdpr-33 applies" in told
    both = ["eu-gdpr-33", "--applies", "--does-not-apply"]
    assert "cannot be combined" in site.drd("incident", "obligation", *both, code=2).err
    assert "no regime given" in site.drd("incident", "obligation", "--applies", code=2).err
    duty("eu-gdpr-33", "--applies", "--reason", "addresses")
    duty("1", "acme", "--applies", "--reason", "clause 12.3")
    duty("us-ca-ag", "--does-not-apply", "--reason", "only 500")
    assert duty()["eu-gdpr-33"]["state"] == "running"
    assert duty()["us-ca-ag"]["reason"] == "only 500"
    duty("--fact", "residents.US-CA=501")
    again = site.drd("incident", "obligation", "us-ca-ag").out
    assert "UNDECIDED" in again
    assert "decided that this regime does not apply: only 500. The facts changed" in " ".join(
        again.split()
    )
    duty("us-ca-ag", "--does-not-apply", "--reason", "one counted twice")
    assert duty()["us-ca-ag"]["state"] == "not-applicable"

    own.write_text("id: acme\nextends: contract\nrule: {within: {hours: 8}}\n")
    changed = site.drd("incident", "obligation", "acme")
    assert "the file of regime acme changed after somebody decided" in changed.err
    assert "OVERDUE" not in changed.out  # the clock runs by the text that was decided on
    duty("acme", "--applies", "--reason", "new clause")
    assert duty("acme")["acme"]["state"] == "overdue"
    draft = site.drd("incident", "obligation", "eu-gdpr-33", "--draft").out
    assert "5000 people" in draft
    assert "MISSING: consequences" in draft
    assert "- To: supervisory authority" in draft
    assert "4 items missing: nature, contact, consequences, measures" in draft
    with daemon(site) as running:
        subjects = ["incident 1", "incident 1, acme"]  # of what is undecided, of what is late

        def alerts() -> list[dict[str, str]]:
            told = site.drd("alerts", "--json").json["alerts"]
            return sorted((a for a in told if not a["plan"]), key=lambda a: a["subject"])

        until(lambda: [a["subject"] for a in alerts()] == subjects, "the alerts", running)
        assert [a["severity"] for a in alerts()] == ["warning", "critical"]
    late = site.drd("incident", "obligation", "acme", "--submitted", "-1h", code=2).err
    assert "is late" in late
    sent = ["--submitted", "-1h", "--reference", "4711", "--reason", "nobody was there"]
    assert duty("acme", *sent)["acme"]["state"] == "filed-late"
    why = ("--late", "--reason", "the clerk was ill")
    assert duty("acme", *why)["acme"]["late_reason"] == "the clerk was ill"
    report = site.base / "report.md"
    report.write_text("what we send\n")
    keeping = ("incident", "obligation", "eu-gdpr-33", "--keep", str(report), "--json")
    [kept] = site.drd(*keeping).json["versions"]
    report.write_text("something else\n")
    wrong = ("--submitted", "-1h", "--version", "1")
    told = site.drd("incident", "obligation", "eu-gdpr-33", *wrong, code=2).err
    assert f"kept versions: {kept['version']}" in told
    sent = ["--submitted", "-1h", "--version", str(kept["version"])]
    duty("eu-gdpr-33", *sent, "--reference", "A-1", "--channel", "portal")
    shown = ("--draft", "--version", str(kept["version"]))
    assert site.drd("incident", "obligation", "eu-gdpr-33", *shown).out == "what we send\n"

    hold = ["us-ca-1798.82", "--hold", "law-enforcement", "--reason", "letter of the police"]
    told = site.drd("incident", "obligation", *hold, code=2).err
    assert "--until is missing: the time at which the hold ends" in told
    duty("us-ca-1798.82", "--applies", "--reason", "500 residents")
    assert duty(*hold, "--until", "720h")["us-ca-1798.82"]["state"] == "on-hold"
    wrong = ["eu-gdpr-33", "--hold", "law-enforcement", "--until", "2h", "--reason", "x"]
    assert (
        "nobody can delay this report: submit the report when it is due"
        in site.drd("incident", "obligation", *wrong, code=2).err
    )

    assert "not submitted" in site.drd("incident", "state", "closed", code=2).err
    told = site.drd("incident", "close", code=2).err
    assert "1 report of incident 1 is not submitted: us-ca-1798.82" in told
    screen = site.drd("incident", "obligation").out
    assert "filed-late      acme: Notice that an agreement asks for" in screen
    assert "UNDECIDED       eu-nis2-ew: Significant incident (NIS 2), early warning" in screen
    assert "more: not needed according to the known facts, and nobody has decided" in screen
    assert "This is not legal advice" in screen
    site.drd("incident", "obligation", "--ics", str(site.base / "due.ics"))
    calendar = (site.base / "due.ics").read_bytes().decode()
    assert "UID:incident-1-eu-nis2-ew-due@drd\r\n" in calendar
    events = calendar.split("BEGIN:VEVENT\r\n")[1:]
    of_acme = [event for event in events if "UID:incident-1-acme-" in event]
    assert of_acme
    assert all("STATUS:CANCELLED\r\n" in event for event in of_acme), "it was submitted"
    timeline = site.drd("incident", "show").out
    assert "us-ca-ag does not apply: only 500" in timeline
    assert "reference 4711, late" in timeline
    assert "acme: why the report was late: the clerk was ill" in timeline
    assert "undecided; next eu-nis2-ew, due" in " ".join(timeline.split())
    assert site.drd("records", "verify", "--here", code=None).code in (0, 5)
    duty("us-ca-1798.82", "--does-not-apply", "--reason", "no residents there after all")
    site.drd("incident", "anchor", "aware", "-100h", "--reason", "a mail was found")
    told = site.drd("incident", "close", "--reason", "nothing else", code=2).err
    assert "nobody has recorded why 1 report of incident 1 came late: eu-gdpr-33" in told
    duty("eu-gdpr-33", "--late", "--reason", "nobody had read the mail")
    told = site.drd("incident", "close", "--reason", "nothing else concerns us")
    assert "are needed: eu-" in told.err + told.out
    assert "no incident is open" in site.drd("incident").out


def test_a_report_waits_until_somebody_examines_it(site: Site) -> None:
    filed = site.drd("incident", "report", "strange logins", "--json").json
    assert (filed["incident"], filed["state"], len(filed["tasks"])) == (1, "reported", 1)
    assert filed["next_at"] is not None
    site.drd("incident", "report", "a noise")
    assert "no incident is open" in site.drd("incident", "log", "x", code=2).err
    assert (
        "incident 1: strange logins (reported, next task or update in"
        in site.drd("status", code=None).out
    )

    secret = ("incident", "open", "an insider", "--plan", "shop", "--restricted")
    site.drd(*secret)
    for words in ((), ("--json",), ("--nagios",)):
        seen = site.drd("status", *words, code=None).out
        assert "insider" not in seen, words
    assert (
        "incident 3: restricted (detected, next task or update in"
        in site.drd("status", code=None).out
    )
    [restricted, *reports] = site.drd("status", "--json", code=None).json["incidents"]
    assert [(i["incident"], i["state"]) for i in reports] == [(1, "reported"), (2, "reported")]
    assert (restricted["title"], restricted["plans"], restricted["restricted"]) == (None, [], True)
    shown = site.drd("incident", "show", "3").out
    assert "an insider" in shown
    assert "restricted" in shown
    assert "nobody has decided" in site.drd("incident", "close", "3", code=2).err
    site.drd("incident", "close", "3", "--reason", "a test")

    opened = site.drd("incident", "open", "--report", "1", "--plan", "shop", "--json").json
    assert (opened["title"], opened["state"]) == ("strange logins", "detected")
    assert opened["next_at"] == opened["updates"][0]["due_at"]
    assert opened["moments"].keys() == {"suspected"}
    assert "is not a report that waits" in site.drd("incident", "open", "--report", "1", code=2).err
    assert "reason" in site.drd("incident", "close", "2", code=2).err
    site.drd("incident", "close", "2", "--reason", "a test of ours")
    assert "opened: strange logins; plans shop" in site.drd("incident", "show").out
    assert "no title given" in site.drd("incident", "open", code=2).err

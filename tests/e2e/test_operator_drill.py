"""Operator drills: people answer, and it counts for the person whom the kernel names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import warm
from tests.e2e.runbook_site import until
from tests.e2e.site import Site, small_site

RUNBOOK = """\
training: {operators: {people: 1, within: 180d}}
runbook:
  - {name: data, restore: all}
  - {name: go-ahead, approve: {by: commander, why: is it right}}
  - {name: plug, manual: plug it in, rehearse: simulate, with: [/bin/true]}
  - {name: fragile, command: {run: [/bin/false]}, on_failure: ask}
  - {name: look, check: all}
"""
ANNA, BERT = 1, 2
PEOPLE = """\
people:
  - {name: Anna, user: daemon, roles: [commander]}
  - {name: Bert, user: bin, roles: [commander]}
records: {key: {file: %s}}
"""
OPERATOR = ("drill", "shop", "--scenario", "operator")


def operated(site: Site, *words: str) -> warm.Started:
    return warm.start((*OPERATOR, *words), env=site.env(), login=ANNA)


def waiting(site: Site, step: str) -> str:
    """The run of the drill that waits at this step."""
    query = "select run from steps where name = ? and state = 'waiting'"
    until(lambda: bool(site.catalogue(query, step)), f"{step} waits")
    return str(site.catalogue(query, step)[-1][0])


def said(site: Site, login: int, *words: str, code: int = 0) -> str:
    done = warm.run(words, env=site.env(), login=login)
    assert done.returncode == code, done
    return (done.stdout + done.stderr).decode()


def ended(child: warm.Started) -> tuple[dict[str, Any], str]:
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, (out, err)
    return json.loads(out), err.decode()


def states(site: Site) -> list[tuple[str, str]]:
    told = site.drd("training", "--json").json["people"]
    return [(p["person"], q["state"]) for p in told for q in p["qualifications"]]


def test_operator_drill_counts_for_whom_the_kernel_names(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    plan, config = site.base / "plans/shop.yaml", site.base / "drd.yaml"
    plan.write_text(plan.read_text() + RUNBOOK)
    config.write_text(config.read_text() + PEOPLE % (site.base / "key"))
    site.drd("records", "init")
    site.drd("backup", "shop")
    assert (
        "allowed only with the scenario operator"
        in site.drd("drill", "shop", "--blind", code=2).err
    )

    child = operated(site, "--json")
    run = waiting(site, "go-ahead")
    shown = site.drd("run", "show", run).out
    assert "this is a drill, change nothing outside of it: commander (Anna, Bert)" in shown
    assert "does not wait for a person" in said(
        site, ANNA, "done", run, "plug", "--by", "Anna", code=2
    )
    said(site, BERT, "approve", run, "go-ahead")
    waiting(site, "plug")
    said(site, ANNA, "done", run, "plug")
    waiting(site, "fragile")
    said(site, ANNA, "retry", run, "fragile")
    until(lambda: 'attempt": 2' in site.drd("run", "show", run, "--json").out, "it was tried again")
    waiting(site, "fragile")
    assert states(site) == []
    child.kill()  # what has not ended counts for nobody
    child.wait(timeout=60)
    assert "has ended" in said(site, ANNA, "skip", run, "fragile", "--why", "late", code=2)

    plan.write_text(plan.read_text().replace("/bin/false", "/bin/true"))
    for words, person in (((), "Anna"), (("--blind", "--by", "Bert"), "")):
        child = operated(site, "--json", *words)
        run = waiting(site, "go-ahead")
        said(site, BERT, "approve", run, "go-ahead")
        shown = site.drd("run", "show", waiting(site, "plug")).out
        assert ("drd done" in shown) is not bool(words)
        said(site, ANNA, "done", run, "plug")
        document, err = ended(child)
        operator = document["operator"]
        assert (document["result"], document["scenario"]) == ("passed", "operator")
        assert document["rta_s"] == operator["machine_s"]
        assert operator["people_s"] == document["phases"]["decide_s"] > 0
        told = [(s["step"], s["action"], s["user"]) for s in operator["steps"]]
        assert told == [("go-ahead", "approve", "bin"), ("plug", "done", "daemon")]
        assert ("# Recovery of shop" in err, "go-ahead: waiting" in err) == (
            (True, False) if words else (False, True)
        )
        warned = "--by names Bert, but Anna (user daemon) starts this drill, so it will count for"
        assert (warned in err) is bool(words)
        assert operator["counts"] is bool(person), operator
        assert operator["why"] == (
            "" if person else "--by names Bert, but Anna (user daemon) started the drill"
        )
        assert document["coverage"]["granted"] == []
        assert states(site) == [("Anna", "valid")]
    told = site.drd("status", "--json", code=None).out
    assert "no drill has measured the time yet; an operator drill passed" in told
    found = site.drd("readiness", "shop", "--json", code=None).json["plans"][0]["findings"]
    [unmeasured] = [f for f in found if f["code"] == "drill"]
    assert unmeasured["text"].startswith("no drill has measured the time of a recovery yet; an ")
    [finding] = [f for f in found if f["code"] == "operator-drills"]
    assert finding["severity"] == "ok"
    kinds = [r["kind"] for r in site.drd("records", "list", "shop", "--json").json["records"]]
    assert kinds.count("training.drill") == 2
    site.drd("records", "verify", "--here", code=5)  # whole, without an anchor
    site.assert_clean()

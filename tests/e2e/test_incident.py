"""An incident by the command line: opened, worked on, closed, and read by a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.site import Site, make_tree, one_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(one_tree(made.base / "etc", made.base / "back"))
    return made


def test_from_the_first_word_to_the_end(site: Site) -> None:
    assert "no incident is open" in site.drd("incident").out
    told = site.drd("incident", "log", "too early", code=2).err
    assert 'HINT: to open one: drd incident open "TITLE"' in told
    assert "did you mean shop?" in site.drd("incident", "open", "x", "--plan", "shp", code=2).err

    opened = site.drd("incident", "open", "orders leak", "--plan", "shop", "--json").json
    assert (opened["incident"], opened["state"], opened["plans"]) == (1, "detected", ["shop"])
    site.drd("incident", "log", "blocked the key", "--at", "-2h", "--by", "Anna B.")
    site.drd("incident", "anchor", "aware", "-1h")
    assert (
        "a correction needs a reason" in site.drd("incident", "anchor", "aware", "now", code=2).err
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
    assert "put a text into quotes" in told

    document = site.drd("incident", "show", "--json").json
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

    site.drd("incident", "close", "--reason", "keys are changed")
    assert "no incident is open" in site.drd("incident", "show", code=2).err
    [listed] = site.drd("incident", "list", "--all", "--json").json["incidents"]
    assert (listed["state"], listed["title"]) == ("closed", "orders leak")
    site.drd("incident", "state", "1", "detected", code=2)
    site.drd("incident", "state", "1", "detected", "--reason", "it goes on")
    assert "decided: orders stay off: data at risk" in site.drd("incident", "show").out

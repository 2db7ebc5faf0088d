"""`drd plan new` recognises APIs, and refuses by name what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from drd.cli.main import main
from drd.errors import UsageError
from drd.kinds.http import discovery
from tests.servers.scripted import Scripted

Output = pytest.CaptureFixture[str]


def component(config: Path, url: str, output: Output) -> dict[str, Any]:
    """The component that a new plan has for this address."""
    words = ["plan", "new", "--config", str(config), "--name", "edge", "--output", "-"]
    assert main([*words, "--no-files", "--no-sqlite", "--no-postgres", "--http", url]) == 0
    (found,) = yaml.safe_load(output.readouterr().out)["components"].values()
    return dict(found)


def test_a_known_api_becomes_a_component(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "plans").mkdir()
    config = tmp_path / "drd.yaml"
    config.write_text(f"state: sqlite:///{tmp_path}/drd.db\nplans: plans\n")
    lists = {"/services": [{"id": "a"}], "/routes": [], "/upstreams": None}
    answers = {path: {"data": items, "next": None} for path, items in lists.items()}
    kong = Scripted({"/": {"tagline": "Welcome to kong", "version": "3.4"}, **answers})
    caddy = Scripted({"/config/": {"apps": {}}})
    try:
        found = component(config, kong.url, capsys)
        assert [d["save_as"] for d in found["documents"]][:2] == ["service-{id}", "route-{id}"]
        may_be_empty = {d["get"]: d.get("may_be_empty", False) for d in found["documents"]}
        assert may_be_empty == {
            "/services": False,
            "/routes": True,
            "/upstreams": True,
            "/consumers": False,  # nothing is known of it
            "/plugins": False,
        }
        found = component(config, caddy.url, capsys)
        assert found["documents"][0]["put_back"] == {"update": "POST /config/apps"}
        assert {h.get("Authorization") for h in caddy.headers} == {None}
    finally:
        kong.close()
        caddy.close()


def test_other_addresses_are_refused_by_name() -> None:
    other = Scripted({"/": ["nginx"], "/config/": {"other": 1}})
    try:
        for given, says in (
            (other.url, "drd does not recognise the API"),
            ("http://127.0.0.1:9", "nothing answers at http://127.0.0.1:9"),
            ("kong:8001", "kong:8001 is not the address of a web server"),
        ):
            with pytest.raises(UsageError, match=says) as refused:
                discovery.wishes([given])
            assert refused.value.hint
    finally:
        other.close()

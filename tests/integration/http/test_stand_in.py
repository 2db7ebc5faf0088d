"""A drill puts documents of any declared shape into drd's stand-in, and reads the same back."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from drd.kinds.http.kind import HttpKind
from drd.kinds.http.sandbox import HttpSandbox
from drd.kinds.http.settings import HttpSettings
from drd.model.difference import difference
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Stream, no_progress
from drd.testing.snapshots import workplace
from tests.servers.scripted import Scripted

PAGE = Path(__file__).parents[3] / "docs" / "http.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
EXAMPLES = [yaml.safe_load(b) for b in BLOCKS if b.startswith(("documents:", "token:"))]


def dashboard(uid: str) -> dict[str, Any]:
    return {"uid": uid, "title": f"Board {uid}", "panels": [{"id": 1}], "id": 7, "version": 3}


def record(name: str, content: str) -> dict[str, Any]:
    return {"id": f"r-{name}", "type": "A", "name": name, "content": content, "ttl": 60}


def client(name: str) -> dict[str, Any]:
    return {"id": f"c-{name}", "clientId": name, "redirectUris": ["b", "a"]}


CLIENTS = "/admin/realms/shop/clients?max=100&first="
SERVERS: Mapping[str, dict[str, Any]] = {
    "/config/apps": {"/config/apps": {"http": {"servers": {"a/b": {}}}}},
    "/api/search?type=dash-db&limit=100": {
        "/api/search?type=dash-db&limit=100&page=1": [{"uid": "a b"}, {"uid": "c"}],
        "/api/search?type=dash-db&limit=100&page=2": [],
        "/api/dashboards/uid/a%20b": {"dashboard": dashboard("a b"), "meta": {}},
        "/api/dashboards/uid/c": {"dashboard": dashboard("c"), "meta": {}},
    },
    "/admin/realms/shop": {
        "/admin/realms/shop": {"realm": "shop", "enabled": True},
        f"{CLIENTS}0": [client("web"), client("https://app")],
        f"{CLIENTS}2": [],
    },
    "/client/v4/zones/ZONE/dns_records?per_page=100": {
        "/client/v4/zones/ZONE/dns_records": {
            "result": [record("www", "192.0.2.1"), record("www", "192.0.2.2")],
            "result_info": {"total_count": 2},
        },
    },
    "/kv": {"/kv": [{"Key": "a/b", "Value": "eA=="}, {"Key": "c", "Value": "eQ=="}]},
}
KEYS_AND_VALUES = {
    "documents": [
        {
            "get": "/kv",
            "save_as": "{Key}",
            "put_back": {
                "update": {
                    "request": "PUT /txn",
                    "body": [{"KV": {"Verb": "set", "Key": "{Key}", "Value": "{Value}"}}],
                },
                "delete": "DELETE /kv/{Key}",
            },
        }
    ]
}


def first(example: Mapping[str, Any]) -> str:
    return str(example["documents"][0]["get"])


@pytest.mark.parametrize("example", [*EXAMPLES, KEYS_AND_VALUES], ids=first)
def test_an_example_is_captured_and_rehearsed(example: dict[str, Any], tmp_path: Path) -> None:
    server = Scripted(SERVERS[first(example)])
    settings = {"kind": "http", "url": server.url, "documents": example["documents"]}
    component = Component("api", "http", HttpSettings.model_validate(settings))
    assert list(component.settings.contradictions()) == []  # type: ignore[attr-defined]
    kind, place = HttpKind(), workplace(tmp_path / "w")
    with kind.source(component, place).open() as capture:
        assert isinstance(capture.payload, Stream)
        data = Path(capture.payload.command.argv[-1]).read_bytes()
        snapshot = ComponentSnapshot(
            "api", "http", "captured", capture.data_time, "0" * 64, len(data), facts=capture.facts
        )
        snapshot = replace(snapshot, fingerprint=capture.fingerprint())
    server.close()
    sandbox = kind.sandbox(component, snapshot, place)
    assert isinstance(sandbox, HttpSandbox)
    try:
        sandbox.prepare()
        (sandbox.landing() / "api.json").write_bytes(data)
        sandbox.restore(snapshot, {}, on_progress=no_progress)
        inspector = sandbox.inspector()
        now = inspector.fingerprint(snapshot.fingerprint, 60)  # type: ignore[arg-type]
        assert difference(snapshot.fingerprint, now, owners=True).equal  # type: ignore[arg-type]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(inspector.environment["DRD_URL"] + first(example))
    finally:
        sandbox.close()
    assert list(place.directory.iterdir()) == []

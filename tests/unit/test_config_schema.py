"""The JSON Schema, the reference, and the files that are made from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from drd.config.json_schema import plan_schema
from drd.config.reference import reference
from drd.config.yaml import read
from drd.registry import KINDS
from tests.config_support import EXAMPLES, GOOD, changed

ROOT = EXAMPLES.parent


def errors(text: str | bytes) -> list[Any]:
    raw = text if isinstance(text, bytes) else text.encode()
    return list(validator().iter_errors(read(raw, "x").data))


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(plan_schema())


def test_schema_is_one_of_draft_2020_12() -> None:
    assert plan_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(plan_schema())


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_schema_accepts_the_examples(path: Path) -> None:
    assert errors(path.read_bytes()) == []
    assert path.read_text().startswith("# yaml-language-server: $schema=plan.schema.json\n")


@pytest.mark.parametrize(
    "text",
    [
        changed("kind: sqlite", "kind: sqlite\n    fingerprint: off"),
        changed("kind: sqlite", "kind: sqlite\n    before: {command: [x], timeout: 1m}"),
        changed("kind: postgres", "kind: postgres\n    fingerprint: {mode: digest}"),
        changed("{credential: shop-dsn}", "host=/run dbname=x"),
        changed("every: 10m", 'cron: "@daily"'),
        changed("every: 7d", "every: 1h30m, restore_point: latest"),
        changed("every: 10m", "every: auto"),
        changed("every: 10m", 'every: 10m, blackout: [{from: "22:00", to: "24:00", days: [mon]}]'),
        GOOD + 'prune: {every: never}\nverification: {cron: "@weekly", read_all_within: 30d}\n',
        GOOD + "runbook: [{restore: all}, {check: [rows], name: x}]\n",
        GOOD + "targets: {a: {db: {dsn: {env: X}}, etc: {path: /x}}}\n",
    ],
)
def test_schema_accepts_what_a_plan_may_say(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    "text",
    [
        changed("plan: shop", "paln: shop"),
        changed("plan: shop", "plan: Shop"),
        changed("rpo: 1h", "rpo: 1"),
        changed("kind: sqlite", "kind: mysql"),
        changed("every: 10m", "every: never"),
        changed("every: 10m", 'every: 10m, blackout: [{from: "22", to: "24:00"}]'),
        changed("every: 10m", 'every: 10m, blackout: [{from: "22:00"}]'),
        GOOD + "prune: {every: auto}\n",
        changed("kind: sqlite", "kind: sqlite\n    x: 1"),
        changed("  store:", "  Store:"),
        changed("kind: sqlite", "kind: sqlite\n    before: {comand: [x]}"),
        changed("{credential: shop-restic}", "hunter2"),
        changed("{credential: shop-restic}", "{credential: a, file: b}"),
        GOOD + "runbook: [{dance: all}]\n",
    ],
)
def test_schema_refuses_what_a_plan_may_not_say(text: str) -> None:
    assert errors(text)


def keys_without_description(schema: dict[str, Any]) -> Iterator[str]:
    forms = {"plan": schema, **schema["$defs"]}
    for name, form in forms.items():
        for key, about in form["properties"].items():
            if not about.get("description") and "$ref" not in about and key != "kind":
                yield f"{name}.{key}"
        if name != "plan" and not form.get("description"):
            yield name


def test_every_key_is_described() -> None:
    assert list(keys_without_description(plan_schema())) == []


def test_schema_file_of_the_examples_is_up_to_date() -> None:
    """Made by `drd plan schema > plans/plan.schema.json`."""
    assert json.loads((EXAMPLES / "plan.schema.json").read_text()) == plan_schema()


def test_reference_is_up_to_date() -> None:
    """Made by `drd plan schema --markdown > docs/plan-reference.md`."""
    assert (ROOT / "docs/plan-reference.md").read_text() == reference(plan_schema())


def test_heading_of_a_kind_has_its_article(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drd.config.reference.KINDS", [replace(KINDS["sqlite"], name="ini")])
    assert "### for an ini component\n" in reference(plan_schema())


def test_reference_names_every_key() -> None:
    text = reference(plan_schema())
    for form in (plan_schema(), *plan_schema()["$defs"].values()):
        for key in form["properties"]:
            assert f"| `{key}` |" in text or f"### {key}\n" in text

"""What a drill proves of a plan: every key is on one side, and the hash follows it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from drd.config.json_schema import plan_schema
from drd.config.plan_file import load_plan
from drd.config.writing import yaml_text
from drd.model.proof import NOT_PROVEN, is_proven, proof_hash
from drd.model.snapshot import json_digest
from tests.config_support import EXAMPLES, GOOD, changed, load


def _listed(keys: str) -> list[str]:
    return keys.split()


PROVEN = _listed("""
    plan components consistency checks runbook erasures targets
    drill drill.fence drill.reach drill.read
    repositories repositories.* repositories.*.url repositories.*.password repositories.*.s3
    repositories.*.copy_of repositories.*.sftp repositories.*.rest repositories.*.b2
    repositories.*.azure repositories.*.gs repositories.*.rclone
    repositories.*.made_by repositories.*.only repositories.*.command repositories.*.pgbackrest
""")
"""A drill proves these, and what is below them and not listed here."""

UNPROVEN = _listed("""
    owner description
    objectives objectives.rpo objectives.rto objectives.window
    backup backup.every backup.cron backup.timezone backup.blackout backup.timeout backup.retries
    backup.jitter
    copy copy.every copy.cron copy.timezone copy.blackout copy.timeout
    retention retention.keep_within retention.last retention.hourly retention.daily
    retention.weekly retention.monthly retention.yearly retention.max_repack retention.every
    prune prune.every prune.cron prune.timezone prune.blackout prune.timeout
    verification verification.every verification.cron verification.timezone verification.blackout
    verification.timeout verification.read_all_within
    drill.every drill.cron drill.timezone drill.blackout drill.timeout drill.restore_point
    drill.scenarios drill.restore drill.full_every
    repositories.*.protection
    repositories.*.read_up_to
    heartbeat heartbeat.url heartbeat.on
    kit kit.required kit.recipients kit.shares kit.file kit.passphrase kit.identity kit.verify
    readiness readiness.exceptions
    training training.operators training.awareness review review.every review.last
    tier business_owner depends_on endpoints credentials data risks controls
""")
"""No drill proves these: a new key of such a section needs a thought before it is listed."""


def keys_of_the_schema() -> Iterator[str]:
    """Every section of a plan, and every key of the sections of which a key is listed above."""
    schema = plan_schema()
    listed = {key.split(".", maxsplit=1)[0] for key in (*UNPROVEN, *PROVEN) if "." in key}
    for name, node in schema["properties"].items():
        yield name
        if name in listed or name not in PROVEN:
            yield from _below(schema, node, name)


def _below(schema: Mapping[str, Any], node: Mapping[str, Any], place: str) -> Iterator[str]:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    for each in node.get("patternProperties", {}).values() or [node.get("additionalProperties")]:
        if isinstance(each, dict):
            yield f"{place}.*"
            yield from _below(schema, each, f"{place}.*")
            return
    for name in node.get("properties", {}):
        yield f"{place}.{name}"


def test_every_key_of_a_plan_is_proven_by_a_drill_or_is_known_not_to_be() -> None:
    keys = list(keys_of_the_schema())
    assert sorted(keys) == sorted([*PROVEN, *UNPROVEN])
    for key in keys:
        path = key.split(".")
        sections = (path[: n + 1] for n in range(len(path)))
        assert all(is_proven(section) for section in sections) is (key in PROVEN), key


def test_the_page_names_the_keys_that_no_drill_proves() -> None:
    page = (Path(__file__).parents[2] / "docs/readiness.md").read_text()
    table = page.split("### Changes that need a drill\n", 1)[1].split("\n### ", 1)[0]
    first_columns = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    assert sorted(re.findall(r"`([^`]+)`", " ".join(first_columns))) == sorted(NOT_PROVEN)


WHOLE = GOOD.replace("/shop\n", "/shop\n    protection: versioning\n", 1).replace(
    "drill: {every: 7d}",
    """\
owner: payments
description: what customers buy
copy: {every: 2h}
prune: {every: 5d}
verification: {every: 5d}
drill: {every: 7d, fence: required, reach: ["db1:5432"], read: [/etc/app]}
heartbeat: {url: {credential: beat}}
kit: {required: true, recipients: [age1xyz]}
readiness: {exceptions: [{finding: kit missing, reason: r, until: 2099-12-31}]}
targets: {standby: {etc: {path: /y}, store: {path: /z}}}
runbook:
  - {name: before, command: {run: [/bin/true]}}
  - {restore: all}
  - {check: all}
""",
)
"""A plan with every section."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    if not pairs:
        yield path
    for key, inner in pairs:
        yield from leaves(inner, (*path, key))


def test_the_hash_follows_every_value_that_a_drill_proves_and_no_other(tmp_path: Path) -> None:
    resolved: Any = load(tmp_path, WHOLE).plan.resolved
    before, sides = proof_hash(resolved), {True: 0, False: 0}
    for path in leaves(resolved):
        other = deepcopy(resolved)
        holder = other
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = "another value"
        words = [str(key).removesuffix("_s") for key in path]
        if words[0] == "repositories":
            words[1] = "*"
        proves_nothing = any(".".join(words[:n]) in UNPROVEN for n in range(1, len(words) + 1))
        assert (proof_hash(other) == before) is proves_nothing, path
        sides[proves_nothing] += 1
    assert min(sides.values()) > 25


HARMLESS = [
    ("rpo: 1h, rto: 1h", "rpo: 2h, rto: 3h, window: 30d"),
    ("rto: 1h}", "rto: 1h}\nowner: me\ndescription: mine"),
    ("backup: {every: 10m}", 'backup: {cron: "5 * * * *", timezone: Europe/Berlin, timeout: 2h}'),
    ("backup: {every: 10m}", 'backup: {every: auto, blackout: [{from: "06:00", to: "06:30"}]}'),
    ("backup: {every: 10m}", "backup: {every: 10m}\ncopy: {every: 3h}\nprune: {every: never}"),
    ("daily: 7", "daily: 8, every: never"),
    ("drill: {every: 7d}", "drill: {every: 8d, restore_point: {random_within: 9d}, timeout: 1h}"),
    ("drill: {every: 7d}", 'drill: {cron: "@weekly", scenarios: [database-loss, host-loss]}'),
    ("drill: {every: 7d}", "drill: {every: 7d}\nverification: {read_all_within: 60d}"),
    ("bucket/shop", "bucket/shop\n    protection: object-lock"),
    ("drill: {every: 7d}", "drill: {every: 7d}\nheartbeat: {url: {credential: x}}"),
    ("drill: {every: 7d}", "drill: {every: 7d}\nkit: {required: true}"),
]


@pytest.mark.parametrize(("old", "new"), HARMLESS)
def test_a_new_schedule_owner_or_objective_is_proven_already(
    tmp_path: Path, old: str, new: str
) -> None:
    before, after = load(tmp_path, GOOD).plan, load(tmp_path, changed(old, new)).plan
    assert after.proof == before.proof
    if "heartbeat" not in new and "kit:" not in new:
        assert after.digest != before.digest


@pytest.mark.parametrize("expects", ["within rpo", "within  RPO"])
def test_a_check_that_compares_with_the_rpo_proves_nothing_about_another_rpo(
    tmp_path: Path, expects: str
) -> None:
    resolved: Any = deepcopy(load(tmp_path, GOOD).plan.resolved)
    resolved["checks"] = [*resolved["checks"], {"kind": "sql", "expect": expects}]
    stricter = deepcopy(resolved)
    stricter["objectives"]["rpo_s"] /= 60
    assert proof_hash(stricter) != proof_hash(resolved)
    stricter["objectives"]["rpo_s"] = resolved["objectives"]["rpo_s"]
    stricter["objectives"]["rto_s"] = 1.0
    assert proof_hash(stricter) == proof_hash(resolved)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_order_and_the_form_of_a_file_prove_nothing(tmp_path: Path, path: Path) -> None:
    loaded = load_plan(path)
    text = yaml_text(dict(reversed(loaded.as_written.items())))
    assert load(tmp_path, text, path.name).plan.proof == loaded.plan.proof


def resolved_of(*expects: object, rpo_s: float = 3600.0, **own: float) -> dict[str, object]:
    """A resolved plan with a check of component `db` for each expectation."""
    components = {
        name: {"kind": "sqlite", **({"rpo_s": own[name]} if name in own else {})}
        for name in ("db", "store")
    }
    checks = [{"component": "db", "expect": expect} for expect in expects]
    return {"objectives": {"rpo_s": rpo_s}, "components": components, "checks": checks}


@pytest.mark.parametrize("expect", ["within rpo", " Within  RPO "])
def test_an_rpo_is_proven_if_a_check_compares_with_it(expect: str) -> None:
    before = proof_hash(resolved_of("> 0", expect))
    assert proof_hash(resolved_of("> 0", expect, rpo_s=60.0)) != before
    assert proof_hash(resolved_of("> 0", expect, db=60.0)) != before
    assert proof_hash(resolved_of("> 0", expect, store=60.0)) == before, "no check compares it"


@pytest.mark.parametrize("expects", [(), ("> 0",), (5,), (None,), (["within", "rpo"],)])
def test_an_rpo_that_no_check_compares_with_is_not_proven(expects: tuple[object, ...]) -> None:
    before = proof_hash(resolved_of(*expects))
    assert proof_hash(resolved_of(*expects, rpo_s=60.0, db=30.0)) == before


@pytest.mark.parametrize("checks", [None, "within rpo", {"expect": "within rpo"}, ["within rpo"]])
def test_checks_of_another_form_compare_with_nothing(checks: object) -> None:
    """Extensions and later versions may resolve them so."""
    for rpo_s in (60.0, 3600.0):
        resolved = resolved_of(rpo_s=rpo_s) | {"checks": checks}
        plain = {"components": resolved["components"], "checks": checks}
        assert proof_hash(resolved) == json_digest(plain)


def test_the_proof_of_a_plan_without_own_objectives_is_that_of_former_versions() -> None:
    resolved = resolved_of("within rpo")
    former = {**resolved, "objectives": {"rpo_s": 3600.0}}
    assert proof_hash(resolved) == json_digest(former)

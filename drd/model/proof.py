"""The hashes of a resolved plan: the hash of its text, and the hash of what a drill of it
proves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drd.model.snapshot import json_digest

INVENTORY = (
    "tier", "business_owner", "depends_on", "endpoints", "credentials", "data", "risks", "controls",
)  # fmt: skip
"""What a plan says about its service, apart from how to restore it; and the checks of the live
service."""

_NO_PART = ("heartbeat", "kit", "readiness", "training", "review", *INVENTORY)
"""Sections that are no part of the plan hash: notifications, holders of the kit, accepted findings,
what is required of people, the inventory. Evidence of an older drd carries this hash, so it must
not change.
"""

NOT_PROVEN = frozenset(
    {
        *_NO_PART,
        "owner",
        "description",
        "objectives",
        "backup",
        "copy",
        "retention",
        "prune",
        "verification",
        "drill.every",
        "drill.cron",
        "drill.timezone",
        "drill.blackout",
        "drill.timeout",
        "drill.restore_point",
        "drill.scenarios",
        "drill.restore",
        "drill.full_every",
        "repositories.*.protection",
        "repositories.*.read_up_to",
        "components.*.limits",
        "components.*.rpo",
    }
)
"""The keys of a plan that say nothing about what a recovery restores and runs, with all keys below
them. A drill proves all other keys, also those of later versions (docs/readiness.md, Changes that
need a drill).
"""


def plan_hash(resolved: Mapping[str, object]) -> str:
    """Return the hash of the text in force: what runs, manifests and kits were made from."""
    return json_digest({k: v for k, v in resolved.items() if k not in _NO_PART})


def proof_hash(resolved: Mapping[str, object]) -> str:
    """Return the hash of what a drill of the plan proves; evidence contains this hash. The hash
    includes an RPO if a check of the plan compares with it.
    """
    proven = _proven(resolved, ())
    comparing = [check for check in _checks(resolved) if _compares_with_rpo(check)]
    if comparing:
        objectives = resolved["objectives"]
        assert isinstance(objectives, Mapping)
        proven["objectives"] = {"rpo_s": objectives["rpo_s"], **_own_of(resolved, comparing)}
    return json_digest(proven)


def _own_of(
    resolved: Mapping[str, object], checks: Sequence[object]
) -> dict[str, dict[str, object]]:
    """Return the RPOs of their own that the components of these checks have."""
    components = resolved.get("components")
    assert isinstance(components, Mapping)
    names = {check.get("component") for check in checks if isinstance(check, Mapping)}
    own = {n: c["rpo_s"] for n, c in components.items() if n in names and "rpo_s" in c}
    return {"of_components": own} if own else {}


def _checks(resolved: Mapping[str, object]) -> Sequence[object]:
    checks = resolved.get("checks")
    return checks if isinstance(checks, list | tuple) else ()


def _compares_with_rpo(check: object) -> bool:
    expects = check.get("expect") if isinstance(check, Mapping) else None
    return isinstance(expects, str) and expects.lower().split() == ["within", "rpo"]


def is_proven(path: Sequence[str]) -> bool:
    """Return whether a drill proves the key at this path of a resolved plan, if it proves the
    section that the key is in.
    """
    words = [*path[:-1], path[-1].removesuffix("_s")]  # of durations, which are seconds
    if words[0] in ("repositories", "components") and len(words) > 1:
        words[1] = "*"
    return ".".join(words) not in NOT_PROVEN


def _proven(section: Mapping[str, object], path: tuple[str, ...]) -> dict[str, object]:
    return {
        key: _proven(value, (*path, key)) if isinstance(value, Mapping) else value
        for key, value in section.items()
        if is_proven((*path, key))
    }

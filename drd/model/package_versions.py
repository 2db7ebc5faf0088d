"""The versions of packages of others: the versions of a drill, and the versions in use."""

from __future__ import annotations

from collections.abc import Mapping

from drd.model.drill_facts import PackageFacts


def package_key(name: str) -> str:
    """Return the key of a package of others among the versions in a manifest and in evidence."""
    return f"extension {name}"


def other_packages(then: Mapping[str, str], now: Mapping[str, object]) -> tuple[PackageFacts, ...]:
    """Return the packages of which a drill had another version. `then` has the versions that the
    drill used, `now` the first numbers of the versions of the plan's packages."""
    changed = []
    for name, number in now.items():
        before = then.get(package_key(name))
        if isinstance(before, str) and before.partition(".")[0] != str(number):
            changed.append(PackageFacts(name, before, str(number)))
    return tuple(changed)

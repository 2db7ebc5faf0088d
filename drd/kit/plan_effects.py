"""List what a plan or a drd.yaml would make drd run, read, write and connect to. A person must see
this before root uses a text from a repository.

Everything in a text is shown, except what is known to be harmless: an unknown key is shown. A
person must accept what could run something, or give others something of the host: a command, a
query of a database server, a secret that goes anywhere but to the named repository, what a drill
may read and reach, to whom a recovery kit opens, who may use drd and who gets its messages, and an
unknown key that may hold any text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from drd.fields import CLOSED_PATTERNS
from drd.kit.given_away import GIVES, PLACES, is_given_away
from drd.kit.stored_text import (
    KeyPath,
    StoredText,
    is_any,
    is_as_named,
    is_at_named,
    is_here,
    is_named,
    is_ours,
    is_place,
    is_secret,
    is_url,
    leaves,
    patterns,
    secret_ref,
    stored,
    unsaid_places,
    url_beside,
)
from drd.model.plan import SecretRef
from drd.model.text import escaped
from drd.ports.kinds import KeyUse, KindSpec
from drd.registry import KINDS

_PLAN = """
plan owner description objectives consistency backup copy prune verification readiness
training review
components.*.kind components.*.may_be_empty components.*.copied_as components.*.limits
repositories.*.protection repositories.*.copy_of repositories.*.s3.region
repositories.*.s3.bucket_lookup repositories.*.made_by repositories.*.only
checks.*.name checks.*.kind checks.*.component checks.*.database
checks.*.timeout checks.*.budget checks.*.tolerance
runbook.*.name runbook.*.restore runbook.*.check runbook.*.approve runbook.*.wait runbook.*.manual
runbook.*.notify runbook.*.erasures runbook.*.needs runbook.*.group runbook.*.when runbook.*.retries
runbook.*.pause runbook.*.timeout runbook.*.on_failure runbook.*.repeat runbook.*.rehearse
runbook.*.reason
drill.every drill.cron drill.timezone drill.blackout drill.timeout drill.restore_point
drill.scenarios
drill.fence heartbeat.on kit.required kit.shares kit.verify
tier business_owner depends_on endpoints credentials.*.name credentials.*.rotate_with risks
data.*.what data.*.categories data.*.special data.*.people data.*.residents data.*.where
data.*.encrypted data.*.processors
"""
_DAEMON = """
plans limits log alerts kit.required kit.shares kit.verify incident.severities
incident.approval.roles incident.intake.label incident.intake.severities incident.intake.plans
organisation.jurisdictions organisation.timezone records.keep_bodies
"""

_DATA = """
repositories.*.url repositories.*.s3.ca_cert repositories.*.rest.ca_cert
repositories.*.rest.user repositories.*.gs.project_id repositories.*.pgbackrest.stanza
components.*.ca_cert targets.*.*.ca_cert
checks.*.expect
regimes playbooks exercises templates awareness
people.*.name people.*.phone records.timestamp
notify.*.name notify.*.user notify.*.sender notify.*.plans notify.*.ca_cert
contacts.*.name contacts.*.plans contacts.*.language contacts.*.hours contacts.*.timezone
contacts.*.note contacts.*.phone contacts.*.portal contacts.*.address
on_call.*.role on_call.*.people on_call.*.since on_call.*.hours on_call.*.timezone
absences.*.person absences.*.from absences.*.to absences.*.substitute
organisation.facts.* incident.open.*.alert incident.open.*.plans
"""
"""Places, addresses and names: a recovery shows where it would write before it does."""

_HOSTS_OWN = (
    "/root", "/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/ssl/private", "/etc/drd",
    "/var/lib/drd",
    "/var/lib/drd-sandboxes", "/run", "/var/run", "/proc", "/sys", "/dev",
)  # fmt: skip
"""The directories in which a host keeps its own secrets. What a component names is stored in the
repository, where everyone with its password can read it."""


_HARMLESS = {"plan": patterns(_PLAN), "daemon": patterns(_DAEMON)}
_ONLY_DATA = patterns(_DATA)
_QUERIES = patterns("checks.*.query")


class PlanEffect(NamedTuple):
    """`line` reads as `components.db.before.command: ["sh", "-c", "…"]`, without control
    characters. `asks` means that a person must accept it."""

    line: str
    asks: bool


def orders(
    text: str,
    *,
    url: str,
    access: Mapping[str, object] = MappingProxyType({}),
    known: Collection[SecretRef] = (),
    beside: Collection[str] = (),
) -> list[PlanEffect]:
    """Return the orders in a text. The repository at `url` is not an order. The `known` secrets of
    this repository are not orders either, unless the text has other settings than `access` which
    decide where they are sent. `beside` are the other texts of the same host."""
    whole = stored(text, url, access, known)
    if whole is None:
        return []
    texts = filter(None, (stored(other, url, access, known) for other in beside))
    restored = [place for one in (whole, *texts) for place in _restored(one)]
    return [
        _effect(key, value, whole, restored)
        for key, value in (*_values(whole), *unsaid_places(whole))
        if not is_ours(key, value, whole)
    ]


def _values(text: StoredText) -> Iterator[tuple[KeyPath, Any]]:
    return leaves(text.data, (), _HARMLESS["plan" if "plan" in text.data else "daemon"])


def _effect(
    key: KeyPath, value: Any, text: StoredText, restored: Collection[_Restored]
) -> PlanEffect:
    line = f"{escaped(_dotted(key))}: {json.dumps(value, default=str)}"
    if (within := _restored_file(key, value, restored)) is not None:
        return PlanEffect(f"{line}, which a recovery of {escaped(within)} replaces", asks=True)
    return PlanEffect(line, _asks(key, value, text))


def stored_orders(
    plans: dict[str, str],
    config: str | None,
    *,
    url: str,
    access: Mapping[str, object],
    known: Collection[SecretRef],
) -> dict[str, list[PlanEffect]]:
    """The orders of each file, by its name, including files without orders."""
    texts = {f"plans/{name}.yaml": text for name, text in plans.items()}
    texts |= {"drd.yaml": config} if config is not None else {}
    return {
        name: orders(text, url=url, access=access, known=known, beside=texts.values())
        for name, text in texts.items()
    }


def _dotted(key: KeyPath) -> str:
    return ".".join(str(part) for part in key)


# --- what has to be accepted ------------------------------------------------------------------


def _asks(key: KeyPath, value: Any, text: StoredText) -> bool:
    if isinstance(value, dict):
        return not (is_secret(value) and _stays_home(key, value, text))
    if (used := _use_by_kind(key, text)) is not None:
        return _asks_of_kind(*used, value)
    if is_any(key, _QUERIES):
        return not _is_of_a_file(key, text)
    if is_any(key, GIVES) or is_any(key, PLACES):
        return is_given_away(key, value, text)
    if is_url(key):
        return not is_here(value)
    if is_place(key, text):
        return not is_as_named(key, text)
    return not (is_any(key, _ONLY_DATA) or _is_closed(key, text))


def _stays_home(key: KeyPath, value: dict[Any, Any], text: StoredText) -> bool:
    """Return whether a secret does not come from a command, and goes only to the named repository
    or to a place on this host. A known secret becomes a file on this host."""
    if key[0] == "state":
        return True  # the catalogue begins as a file there
    if key[0] != "repositories":
        return False
    url, is_known = url_beside(key, text), secret_ref(value) in text.known
    if is_named(url, text):
        return is_known and is_at_named(key, text)
    return is_here(url) and key[2:] == ("password",) and (is_known or "command" not in value)


def _is_of_a_file(key: KeyPath, text: StoredText) -> bool:
    """Return whether a check asks a file, where its query can only read. A database server has
    functions that read and write files or connect to other hosts, and the text chooses the login.
    """
    spec = _kind_of(text.data["checks"][key[1]].get("component"), text)
    return spec is not None and spec.queries_only_read


def _kind_of(component: object, text: StoredText) -> KindSpec | None:
    components = text.data.get("components")
    settings = components.get(component) if isinstance(components, dict) else None
    kind = str(settings.get("kind")) if isinstance(settings, dict) else ""
    return KINDS[kind] if kind in KINDS else None  # noqa: SIM401 - it is no dict


def _use_by_kind(key: KeyPath, text: StoredText) -> tuple[KindSpec, KeyUse] | None:
    """Return what the kind of a component says about a key of its own or of a target for it."""
    spec, use = None, None
    if key[0] == "components" and len(key) == 3:
        spec = _kind_of(key[1], text)
        use = spec.keys.get(str(key[2])) if spec is not None else None
    elif key[0] == "targets" and len(key) == 4:
        spec = _kind_of(key[2], text)
        use = spec.target_keys.get(str(key[3])) if spec is not None else None
    return (spec, use) if spec is not None and use is not None else None


def _asks_of_kind(spec: KindSpec, use: KeyUse, value: Any) -> bool:
    if use is KeyUse.RUNS:
        return True
    if use is KeyUse.READS:
        places = value if isinstance(value, list) else [value]
        return any(_is_hosts_own(str(place)) for place in places)
    return use is KeyUse.CONNECTS and not spec.stays_here(str(value))


def _is_closed(key: KeyPath, text: StoredText) -> bool:
    """Return whether the schema allows only one of a few words, a number, a time or a name."""
    nodes = text.view.nodes(key, text.data)
    if any(node.get("type") == "array" for node in nodes):
        nodes = [n for n in nodes if n.get("type") != "array"] + text.view.nodes(
            (*key, 0), text.data
        )
    return bool(nodes) and all(_is_one_of_few(node) for node in nodes)


def _is_one_of_few(node: Mapping[str, Any]) -> bool:
    if "enum" in node or "const" in node or node.get("pattern") in CLOSED_PATTERNS:
        return True
    return node.get("type") in ("integer", "number", "boolean", "null")


def _is_hosts_own(path: str) -> bool:
    """Return whether a path is, contains or lies in one of the places in which a host keeps its own
    secrets."""
    place = os.path.normpath(_absolute(path)).rstrip("/") + "/"
    return any(place.startswith(f"{own}/") or f"{own}/".startswith(place) for own in _HOSTS_OWN)


# --- files that come back from the repository -------------------------------------------------


class _Restored(NamedTuple):
    """A path that a recovery writes, and the key that names it."""

    path: str
    key: str


def _restored(text: StoredText) -> Iterator[_Restored]:
    for key, value in _values(text):
        used = _use_by_kind(key, text)
        if used is not None and used[1] in (KeyUse.READS, KeyUse.WRITES):
            for path in value if isinstance(value, list) else [value]:
                yield _Restored(str(path), _dotted(key))


def _restored_file(key: KeyPath, value: Any, restored: Collection[_Restored]) -> str | None:
    """Return which restored path contains the file of a secret or a certificate, or is it. Whoever
    has the repository's password writes that file: an rclone.conf runs commands, a known_hosts or a
    certificate lets another server pose as the repository."""
    file = value.get("file") if isinstance(value, dict) else value if key[-1] == "ca_cert" else None
    if not isinstance(file, str):
        return None
    for place in restored:
        if any(
            Path(resolved(_absolute(file))).is_relative_to(resolved(_absolute(place.path)))
            for resolved in (os.path.normpath, os.path.realpath)
        ):
            return place.key
    return None


def _absolute(path: str) -> str:
    return "/" + path.lstrip("/")

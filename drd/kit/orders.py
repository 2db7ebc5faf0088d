"""What a plan or a drd.yaml would have drd run, read, write and connect to: what a person has to see before a
text that came out of a repository is root's.

Everything that a text says is shown, but for what is known to be harmless: a key that nobody thought of here
is shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from drd.config.yaml import read
from drd.model.location import normal_url
from drd.model.plan import SecretRef
from drd.model.text import escaped

_PLAN = """
plan owner description objectives backup copy retention prune verification readiness
components.*.kind components.*.may_be_empty components.*.exclude components.*.one_file_system
components.*.fingerprint components.*.method components.*.compression
repositories.*.protection repositories.*.copy_of repositories.*.s3.region repositories.*.s3.bucket_lookup
checks.*.name checks.*.kind checks.*.component checks.*.timeout checks.*.budget checks.*.tolerance
runbook.*.name runbook.*.restore runbook.*.check runbook.*.approve runbook.*.wait runbook.*.manual
runbook.*.notify runbook.*.erasures runbook.*.needs runbook.*.group runbook.*.when runbook.*.retries
runbook.*.pause runbook.*.timeout runbook.*.on_failure runbook.*.repeat runbook.*.rehearse runbook.*.reason
drill.every drill.cron drill.timezone drill.blackout drill.timeout drill.restore_point drill.scenarios
drill.fence heartbeat.on heartbeat.timeout kit.required kit.shares kit.verify
"""
_DAEMON = "plans limits log alerts kit.required kit.shares kit.verify"

_DATA = """
components.*.path components.*.paths components.*.dsn targets.*.*.path targets.*.*.dsn
repositories.*.url repositories.*.password repositories.*.s3.access_key repositories.*.s3.secret_key
repositories.*.s3.session_token repositories.*.s3.ca_cert checks.*.query checks.*.expect
drill.reach drill.read heartbeat.url kit.recipients kit.file kit.passphrase kit.identity
state work_dir cache_dir public_dir run_as groups.read groups.operate metrics.http metrics.textfile
people.*.name people.*.user people.*.roles notify.*.kind notify.*.name notify.*.url notify.*.on
notify.*.to notify.*.from notify.*.host notify.*.port notify.*.user notify.*.password notify.*.plans
"""
"""Places, addresses and queries: a recovery shows where it would write before it does."""

_Key = tuple[str, ...]


def _patterns(text: str) -> frozenset[_Key]:
    return frozenset(tuple(words.split(".")) for words in text.split())


_HARMLESS = {"plan": _patterns(_PLAN), "daemon": _patterns(_DAEMON)}
_ONLY_DATA = _patterns(_DATA)
_SECRETS = {"file", "env", "credential", "command"}


class Order(NamedTuple):
    """`line` reads as `components.db.before.command: ["sh", "-c", "…"]`, with nothing in it that a terminal
    takes for more than text. `runs` says that it is, or may be, more than a place or an address: a
    command, a step, a key that nobody thought of."""

    line: str
    runs: bool


def orders(text: str, *, url: str, known: Collection[SecretRef] = ()) -> list[Order]:
    """What the text orders. The repository at `url` is no order, nor are the secrets that are `known`
    and references to drd's own directory of credentials."""
    data = read(text.encode(), "text", allow_empty=True).data
    if not isinstance(data, dict):
        return []
    harmless = _HARMLESS["plan" if "plan" in data else "daemon"]
    return [
        Order(f"{escaped('.'.join(key))}: {json.dumps(value, default=str)}", _runs(key, value))
        for key, value in _leaves(data, (), harmless)
        if not _is_ours(key, value, url, known)
    ]


def _runs(key: _Key, value: Any) -> bool:
    of_command = isinstance(value, dict) and "command" in value
    return of_command or not any(_matches(key, pattern) for pattern in _ONLY_DATA)


def _leaves(value: Any, key: _Key, harmless: frozenset[_Key]) -> Iterator[tuple[_Key, Any]]:
    """Lists of plain values, the words of a command, are one."""
    if any(_matches(key, pattern) for pattern in harmless):
        return
    if isinstance(value, dict) and value and not _is_secret(value):
        for name, item in value.items():
            yield from _leaves(item, (*key, str(name)), harmless)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*key, str(index)), harmless)
    elif value not in (None, [], {}):
        yield key, value


def _matches(key: _Key, pattern: _Key) -> bool:
    return len(key) == len(pattern) and all(
        p in ("*", k) for k, p in zip(key, pattern, strict=True)
    )


def _is_secret(value: dict[Any, Any]) -> bool:
    return len(value) == 1 and set(value) <= _SECRETS


def _is_ours(key: _Key, value: Any, url: str, known: Collection[SecretRef]) -> bool:
    if isinstance(value, dict):
        ((source, what),) = value.items()
        ref = SecretRef(source, tuple(what) if isinstance(what, list) else what)
        # One of a file keeps its place, and is written there.
        return source == "credential" or (source != "file" and any(ref == k for k in known))
    if key[:1] == ("repositories",) and key[2:] == ("url",):
        try:
            return normal_url(str(value)) == url
        except ValueError:
            return False
    return False


def stored_orders(
    plans: dict[str, str], config: str | None, *, url: str, known: Collection[SecretRef]
) -> dict[str, list[Order]]:
    """By the name of the file; each is there, also one that orders nothing."""
    texts = {f"plans/{name}.yaml": text for name, text in plans.items()}
    texts |= {"drd.yaml": config} if config is not None else {}
    return {name: orders(text, url=url, known=known) for name, text in texts.items()}

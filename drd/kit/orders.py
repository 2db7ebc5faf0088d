"""What a plan or a drd.yaml would have drd run, read, write and connect to: what a person has to see before a
text that came out of a repository is root's.

Everything that a text says is shown, but for what is known to be harmless: a key that nobody thought of here
is shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

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

_Key = tuple[str, ...]
_HARMLESS = {
    name: frozenset(tuple(words.split(".")) for words in text.split())
    for name, text in (("plan", _PLAN), ("daemon", _DAEMON))
}
_SECRETS = {"file", "env", "credential", "command"}


def orders(text: str, *, url: str, known: Collection[SecretRef] = ()) -> list[str]:
    """A line each, as `components.db.before.command: ["sh", "-c", "…"]`, with nothing in it that a terminal
    takes for more than text. The repository at `url` is none, nor are the secrets that are `known` and
    references to drd's own directory of credentials."""
    data = read(text.encode(), "text", allow_empty=True).data
    if not isinstance(data, dict):
        return []
    harmless = _HARMLESS["plan" if "plan" in data else "daemon"]
    return [
        f"{escaped('.'.join(key))}: {json.dumps(value, default=str)}"
        for key, value in _leaves(data, (), harmless)
        if not _is_ours(key, value, url, known)
    ]


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
) -> dict[str, list[str]]:
    """By the name of the file; each is there, also one that orders nothing."""
    texts = {f"plans/{name}.yaml": text for name, text in plans.items()}
    texts |= {"drd.yaml": config} if config is not None else {}
    return {name: orders(text, url=url, known=known) for name, text in texts.items()}

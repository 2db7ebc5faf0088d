"""The part of drd.yaml that runs use, as the daemon passes it to their processes.

A changed file has no effect, and breaks no run, until a reload has read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drd.config.daemon import DaemonSettings
from drd.model.plan import KitWatch, SecretRef

VARIABLE = "DRD_SETTINGS"
"""The variable in the environment of a run's process. It contains places, numbers, names and
references to secrets, never a secret.
"""

_PATHS = (
    "plans_dir", "work_dir", "cache_dir", "own_public_dir", "file", "regimes_dir", "playbooks_dir",
    "exercises_dir", "templates_dir", "awareness_dir",
)  # fmt: skip
_VALUES = (
    "state_url", "run_as", "per_repository", "log_format", "log_level", "kit_required", "roles",
    "users", "read_group", "extensions",
)  # fmt: skip
_REFS = ("state_password", "own_records_key")


@dataclass(frozen=True, slots=True)
class PlanInForce:
    """The text of a plan that the daemon has in force, and its file."""

    plan: str
    file: str
    text: str

    def to_bytes(self) -> bytes:
        """Convert for a pipe to the process of a run; `from_bytes` is the inverse."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> PlanInForce:
        return cls(**json.loads(raw))


def to_text(settings: DaemonSettings) -> str:
    """Convert settings to a text for `from_environment`, which reads back what runs need."""
    paths = {k: getattr(settings, k) for k in _PATHS}
    watch = settings.kit_watch
    refs = {k: getattr(settings, k) for k in _REFS}
    return json.dumps(
        {k: getattr(settings, k) for k in _VALUES}
        | {k: None if path is None else str(path) for k, path in paths.items()}
        | {"kit_watch": asdict(watch) if watch is not None else None}
        | {k: None if ref is None else asdict(ref) for k, ref in refs.items()}
    )


def from_environment(environment: Mapping[str, str]) -> DaemonSettings | None:
    """Read the settings that the daemon passed; None for a process that the daemon did not start,
    which reads drd.yaml itself. Then the members that extensions add are in use. Raises ConfigError
    if an extension has changed.
    """
    text = environment.get(VARIABLE)
    if text is None:
        return None
    parsed = json.loads(text)
    # A daemon of an older version does not pass all of them.
    paths = {k: Path(parsed[k]) if parsed.get(k) is not None else None for k in _PATHS}
    names = tuple(parsed.get("extensions", ()))
    roles = {name: tuple(held) for name, held in parsed["roles"].items()}
    watch = _watch(parsed["kit_watch"]) if parsed.get("kit_watch") else None
    refs = {k: _ref(parsed[k]) if parsed.get(k) else None for k in _REFS}
    known = {"roles": roles, "kit_watch": watch, "extensions": names}
    settings = DaemonSettings(**{**parsed, **paths, **refs, **known})
    if names:
        from drd.config.extensions import use_those_of

        use_those_of(names, settings.file)
    return settings


def _watch(data: Mapping[str, Any]) -> KitWatch:
    openers = {
        name: _ref(ref) for name in ("passphrase", "identity") if (ref := data[name]) is not None
    }
    return KitWatch(data["file"], data["every_s"], **openers)


def _ref(data: Mapping[str, Any]) -> SecretRef:
    value = data["value"]
    return SecretRef(data["source"], tuple(value) if isinstance(value, list) else value)

"""drd.yaml at a reload: what applies at once, what waits for a restart, what is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from drd import registry
from drd.bootstrap import App
from drd.config.daemon import DaemonSettings
from drd.daemon.credentials import require_credentials

_AT_START_ONLY = {
    "state_url": "state",
    "state_password": "state",
    "own_public_dir": "public_dir",
    "work_dir": "work_dir",
    "cache_dir": "cache_dir",
}
"""Settings by their key that stay the same while runs go on."""

_KEYS = {
    "plans_dir": "plans",
    "run_as": "run_as",
    "log_format": "log",
    "log_level": "log",
    "metrics_textfile": "metrics",
    "metrics_http": "metrics",
    "channels": "notify",
    "extensions": "extensions",
    "people": "people",
    "users": "people",
    "read_group": "groups",
    "operate_group": "groups",
    "alert_rules": "alerts",
    "kit_required": "kit",
    "kit_recipients": "kit",
    "kit_shares": "kit",
    "kit_watch": "kit",
}
"""Settings by the key of drd.yaml that they come from; the others are limits."""


@dataclass(frozen=True, slots=True)
class Reread:
    """The result of reading drd.yaml again: `changed` and `waiting` are its keys."""

    settings: DaemonSettings
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def reread(app: App) -> Reread:
    """Return the current drd.yaml, except for what only a restart can change.

    Raises ConfigError, including for a channel or a kit that names a credential which the service
    did not get at its start."""
    with registry.unless_refused():
        return _reread(app)


def _reread(app: App) -> Reread:
    before, now = app.settings, app.read_settings()
    differ = [
        f.name
        for f in fields(DaemonSettings)
        if f.name not in ("file", "warnings") and getattr(before, f.name) != getattr(now, f.name)
    ]
    new_channels = [c for c in now.channels if c not in before.channels]
    require_credentials(new_channels, str(now.file))
    if now.kit_watch != before.kit_watch:
        require_credentials(now.kit_watch, str(now.file))
    kept = {name: getattr(before, name) for name in differ if name in _AT_START_ONLY}
    taken = [name for name in differ if name not in kept]
    return Reread(
        replace(now, **kept),
        tuple(dict.fromkeys(_KEYS.get(name, "limits") for name in taken)),
        tuple(_AT_START_ONLY[name] for name in kept),
    )

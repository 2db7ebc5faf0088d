"""Apply drd.yaml at a reload: some changes apply at once, some wait for a restart, some are
refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from drd import registry
from drd.bootstrap import App
from drd.config.daemon import DaemonSettings
from drd.daemon.credentials import require_credentials
from drd.errors import ConfigError
from drd.registry import Added

_AT_START_ONLY = {
    "state_url": "state",
    "state_password": "state",
    "own_public_dir": "public_dir",
    "own_records_key": "records",
    "work_dir": "work_dir",
    "cache_dir": "cache_dir",
}
"""Settings, by their key, that stay the same while runs continue."""

_KEYS = {
    "plans_dir": "plans",
    "run_as": "run_as",
    "log_format": "log",
    "log_level": "log",
    "metrics_textfile": "metrics",
    "metrics_http": "metrics",
    "intake": "incident",
    "opening_rules": "incident",
    "severities": "incident",
    "triage_s": "incident",
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
"""Settings, by the key of drd.yaml from which they come; all others are limits."""


@dataclass(frozen=True, slots=True)
class Reread:
    """The result of reading drd.yaml again: `changed` and `waiting` are its keys."""

    settings: DaemonSettings
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def reread(app: App) -> Reread:
    """Return the current drd.yaml, except for what only a restart can change.

    Raises ConfigError, including for a channel, a kit or an intake that names a credential which
    the service did not get at its start, and for a package that would lose a member which is in
    use."""
    with registry.unless_refused():
        return _reread(app)


def _reread(app: App) -> Reread:
    in_use = registry.in_use()
    before, now = app.settings, app.read_settings()
    _require_packages(now, in_use)
    differ = [
        f.name
        for f in fields(DaemonSettings)
        if f.name not in ("file", "warnings") and getattr(before, f.name) != getattr(now, f.name)
    ]
    new_channels = [c for c in now.channels if c not in before.channels]
    require_credentials(new_channels, str(now.file))
    if now.kit_watch != before.kit_watch:
        require_credentials(now.kit_watch, str(now.file))
    if now.intake != before.intake:
        require_credentials(now.intake, str(now.file))
    kept = {name: getattr(before, name) for name in differ if name in _AT_START_ONLY}
    taken = [name for name in differ if name not in kept]
    return Reread(
        replace(now, **kept),
        tuple(dict.fromkeys(_KEYS.get(name, "limits") for name in taken)),
        tuple(_AT_START_ONLY[name] for name in kept),
    )


def _require_packages(now: DaemonSettings, in_use: Sequence[Added]) -> None:
    """Refuse a drd.yaml that names a package of which a member in use could not be used any more:
    the plans that use it keep what they have."""
    stay = {(one.family, one.name, one.extension.name) for one in registry.in_use()}
    lose = {
        one.extension.name
        for one in in_use
        if (one.family, one.name, one.extension.name) not in stay
    }
    lost = [
        warning._replace(severity="error", message=one.why)
        for one in registry.unavailable()
        if one.name in lose
        for warning in now.warnings
        if warning.path == f"extensions[{now.extensions.index(one.name)}]"
    ]
    if lost:
        raise ConfigError(lost)

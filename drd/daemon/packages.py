"""Problems with the packages of drd.yaml, as the daemon reports them."""

from __future__ import annotations

from collections.abc import Sequence

from drd.config.extensions import outdated
from drd.model.alert_facts import PackageTrouble
from drd.model.message import ChannelSpec, Urgency
from drd.model.text import some
from drd.registry import NOTIFIERS, Unavailable, unavailable


def package_troubles(channels: Sequence[ChannelSpec]) -> tuple[PackageTrouble, ...]:
    """Return what is wrong with each package. A problem is critical if drd cannot send any message
    because of it."""
    silent = [channel for channel in channels if channel.kind not in NOTIFIERS]
    works = any(c.kind in NOTIFIERS and not c.is_heartbeat for c in channels)
    troubles = {name: PackageTrouble(name, text, remedy=_RESTART) for name, text in outdated()}
    for package in unavailable():
        lost = [c.name for c in silent if package.may_add("notifiers", c.kind)]
        severity: Urgency = "critical" if lost and not works else "warning"
        text = package.text + _of_channels(package, lost, works=works)
        if package.name in troubles:
            text += f"; {troubles[package.name].text}"
        remedy = _RESTART if package.name in troubles else "drd doctor"
        troubles[package.name] = PackageTrouble(package.name, text, severity, remedy)
    return tuple(troubles.values())


_RESTART = "systemctl restart drd"


def _of_channels(package: Unavailable, lost: Sequence[str], *, works: bool) -> str:
    if not lost:
        return ""
    may = "" if package.members is not None else ", which this package may add,"
    text = f"; these channels{may} do not deliver messages: {some(lost)}"
    return text if works else f"{text}; there is no other channel, so nobody gets drd's messages"

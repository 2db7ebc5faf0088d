"""`drd daemon`: the service itself, in the foreground."""

from __future__ import annotations

import argparse
import signal

from drd import log
from drd.bootstrap import app
from drd.config.daemon import DaemonSettings
from drd.daemon.sd_notify import ServiceManager
from drd.daemon.service import BUSY_S, Daemon
from drd.daemon.standby import Standby


def run(args: argparse.Namespace) -> int:
    # Until a handler is installed: a start reads everything anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    manager = ServiceManager.from_environment()
    with app(args.config, busy_s=BUSY_S, service=True) as opened:

        def choose_log(settings: DaemonSettings) -> None:
            level = "error" if args.quiet else settings.log_level
            log.configure(level=level, style=settings.log_format)

        choose_log(opened.settings)
        for warning in opened.settings.warnings:
            log.get().warning("configuration.warning", what=str(warning))
        standby = Standby(opened, manager)
        signal.signal(signal.SIGHUP, lambda *_: standby.reload_soon())
        standby.wait(only_for_disk=not manager.connected)
        return Daemon(opened, args.config, manager, choose_log).run()

"""A service whose catalogue cannot be opened at its start tells of it, once."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from drd.bootstrap import App
from drd.daemon.sd_notify import ServiceManager
from drd.daemon.standby import Standby
from drd.errors import CatalogueError

CONFIG = """
state: sqlite:///{base}/state/drd.db
work_dir: work
cache_dir: cache
notify:
  - {{kind: exec, name: script, command: [sh, -c, "cat >> {base}/told"]}}
"""


def told(base: Path) -> list[str]:
    there = base / "told"
    if not there.exists():
        return []
    found, decoder, text = [], json.JSONDecoder(), there.read_text()
    while text.strip():
        message, end = decoder.raw_decode(text.lstrip())
        text = text.lstrip()[end:]
        found.append(message["text"])
    return found


def test_a_catalogue_that_cannot_be_opened_is_reported_once_and_waited_for(tmp_path: Path) -> None:
    (tmp_path / "drd.yaml").write_text(CONFIG.format(base=tmp_path))
    (tmp_path / "state").mkdir()
    database = tmp_path / "state/drd.db"
    database.write_bytes(b"not a database" * 1000)
    app = App(str(tmp_path / "drd.yaml"))
    standby = Standby(app, ServiceManager(), pause_s=0.05)
    waiting = threading.Thread(target=standby.wait, daemon=True)
    waiting.start()
    limit = time.monotonic() + 60
    while not told(tmp_path) and time.monotonic() < limit:
        time.sleep(0.02)
    time.sleep(0.3)
    [first] = told(tmp_path)
    assert first.startswith("drd cannot use its catalogue: drd's catalogue is damaged")
    assert waiting.is_alive()

    (tmp_path / "new.yaml").write_text(CONFIG.replace("script", "other").format(base=tmp_path))
    (tmp_path / "new.yaml").replace(tmp_path / "drd.yaml")
    standby.reload_soon()
    while app.settings.channels[0].name != "other" and time.monotonic() < limit:
        time.sleep(0.02)
    assert app.settings.channels[0].name == "other"
    assert waiting.is_alive()

    database.unlink()
    waiting.join(20)
    assert not waiting.is_alive()
    while len(told(tmp_path)) < 2 and time.monotonic() < limit:
        time.sleep(0.02)
    assert "The problem was: drd cannot use its catalogue: " in told(tmp_path)[1]
    assert app.catalogue.plans.names() == []
    app.close()


def test_without_systemd_only_trouble_of_the_disk_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "drd.yaml").write_text(CONFIG.format(base=tmp_path))
    (tmp_path / "state").mkdir()
    (tmp_path / "state/drd.db").write_bytes(b"not a database" * 1000)
    app = App(str(tmp_path / "drd.yaml"))
    standby = Standby(app, ServiceManager(), pause_s=0.01)
    with pytest.raises(CatalogueError, match="is damaged"):
        standby.wait(only_for_disk=True)
    assert told(tmp_path) == []
    app.close()


class Killed(ServiceManager):
    """The daemon dies at its first sign of life."""

    def watchdog(self) -> None:
        raise KeyboardInterrupt


def test_the_next_daemon_continues_and_resolves_the_alert_of_one_that_ended(
    tmp_path: Path,
) -> None:
    """With the same id: else an incident in a pager stays open for ever."""
    config = CONFIG.replace("cat >> {base}/told", "cat >> {base}/told; echo >> {base}/told")
    (tmp_path / "drd.yaml").write_text(config.format(base=tmp_path))
    (tmp_path / "state").mkdir()
    database = tmp_path / "state/drd.db"
    database.write_bytes(b"not a database" * 1000)

    def sent(times: int) -> list[tuple[str, str]]:
        limit, file = time.monotonic() + 60, tmp_path / "told"
        while time.monotonic() < limit:
            lines = list(filter(None, file.read_text().split("\n"))) if file.exists() else []
            if len(lines) >= times:
                break
            time.sleep(0.02)
        found = [json.loads(line) for line in lines]
        return [(m["event"], m["alert"]) for m in found]

    for _ in range(2):
        app = App(str(tmp_path / "drd.yaml"))
        with pytest.raises(KeyboardInterrupt):
            Standby(app, Killed(), pause_s=0.05).wait()
        [(_, alert)] = sent(1)
        app.close()
    remembered = tmp_path / "state/unrecorded-alerts.json"
    assert remembered.stat().st_mode & 0o777 == 0o600

    app = App(str(tmp_path / "drd.yaml"))
    standby = Standby(app, ServiceManager(), pause_s=0.05)
    waiting = threading.Thread(target=standby.wait, daemon=True)
    waiting.start()
    limit = time.monotonic() + 60
    while standby._trouble is None and time.monotonic() < limit:
        time.sleep(0.02)  # the catalogue is mended only after the daemon has tried it
    database.unlink()
    waiting.join(60)
    assert sent(2) == [("firing", alert), ("resolved", alert)]
    assert json.loads(remembered.read_bytes()) == []
    app.close()

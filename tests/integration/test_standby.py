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

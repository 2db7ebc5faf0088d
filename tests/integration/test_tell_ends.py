"""A command tells people of the runs that it has ended, where no daemon does."""

from __future__ import annotations

from pathlib import Path

from drd.bootstrap import App, Console
from drd.cli.tell_ends import tell_ends
from drd.ports.notify import UNROUTED
from tests.notify_support import message

CONFIG = """
state: sqlite:///{base}/state/drd.db
work_dir: work
cache_dir: cache
notify:
  - {{kind: exec, name: script, command: ["false"], on: [recovery]}}
"""


def test_a_channel_that_pauses_after_an_error_is_named_as_well(tmp_path: Path) -> None:
    """Otherwise the person believes that others know of the recovery."""
    (tmp_path / "drd.yaml").write_text(CONFIG.format(base=tmp_path))
    (tmp_path / "state").mkdir()
    said: list[str] = []
    app = App(str(tmp_path / "drd.yaml"), Console(warn=said.append))
    for _ in range(2):
        said.clear()
        end = message("recovered", event="recovery")
        app.catalogue.outbox.add([(UNROUTED, end)], app.clock.now())
        tell_ends(app)
        [warning] = said
        assert warning.startswith("channel script has not accepted the message: ")
    app.close()

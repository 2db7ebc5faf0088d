"""The commands that restore documents without drd are carried out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from drd.errors import SecretUnavailable
from drd.kinds.http.by_hand import by_hand
from drd.kinds.http.settings import HttpTarget
from drd.model.plan import SecretRef
from tests.integration.http.support import World
from tests.servers.rest_api import TOKEN, RestApi

HEAD = """\
set -euo pipefail
restic() { cat -- "$SAVED"; }
snapshot() { echo 1; }
fact() { echo gateway.json; }
"""


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_documents_are_put_back_and_compared_by_hand(tmp_path: Path) -> None:
    world, source, target = World(tmp_path), RestApi(), RestApi()
    world.documents[0]["put_back"]["create"] = {"request": "POST /services", "body": "{document}"}
    try:
        for number in range(2):  # one page: by hand only the first is compared
            source.add(f"shop/{number}", port=number, tags=["b", "a"])
        source.settings = {"theme": "dark"}
        _, data = world.captured(source)
        (tmp_path / "saved").write_bytes(data)
        to = HttpTarget.model_validate(world.api(target))
        hand = by_hand(world.component(source), to, place="here", resolve=lambda _: TOKEN)
        for name, text in hand.files.items():
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_bytes(text)
        script = HEAD + "".join(p.commands for p in hand.passages)
        assert TOKEN not in script
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "KIT": str(tmp_path), "SAVED": str(tmp_path / "saved")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "gateway: service-{name} as at the backup" in done.stdout
        assert "gateway: settings as at the backup" in done.stdout
        assert (target.names(), target.settings) == (source.names(), source.settings)

        def unavailable(_: SecretRef) -> str:
            raise SecretUnavailable("credential gateway is not here")

        here = by_hand(world.component(source), None, place="here", resolve=unavailable)
        assert "Authorization (credential gateway is not here)" in here.passages[0].text
    finally:
        source.close()
        target.close()

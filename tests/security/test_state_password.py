"""A catalogue in PostgreSQL with a password had nowhere for it but drd.yaml, which anybody may read
and which lies in every repository and kit. Now drd.yaml names where it is.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from drd.catalogue.summary import read_status
from drd.config.daemon import load_settings
from drd.config.location import places
from drd.config.run_settings import VARIABLE, from_environment, to_text
from drd.errors import ConfigError
from drd.model.plan import SecretRef
from tests.e2e.site import PASSWORD as REPOSITORY_PASSWORD
from tests.e2e.site import Site, small_site
from tests.servers import PostgresServer, postgres_server

PASSWORD = "river-9 stone:4711"


def database_site(base: Path, server: PostgresServer) -> Site:
    site = small_site(base)
    server.execute("create database drd")
    site.secret("state", f"{PASSWORD}\n")
    config = base / "drd.yaml"
    rest = config.read_text().split("\n", 1)[1]
    url = f"postgresql://postgres@/drd?host={server.socket_dir}&port={server.port}"
    config.write_text(
        f"state:\n  url: {url}\n  password: {{command: [cat, {base}/secrets/state]}}\n{rest}"
    )
    return site


def test_password_in_the_url_is_not_in_errors(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    config = short_tmp / "drd.yaml"
    rest = config.read_text().split("\n", 1)[1]
    for url in (
        "postgresql://u:geheim99@/x?host=/nowhere",
        "postgresql://u@/x?host=/nowhere&password=geheim99",
    ):
        config.write_text(f"state: {url}\n{rest}")
        for words in (("status",), ("runs",), ("doctor",)):
            told = site.drd(*words, code=None)
            assert "geheim99" not in told.out + told.err, words


def test_catalogue_behind_a_password_is_used_by_every_reader(short_tmp: Path) -> None:
    with postgres_server(short_tmp / "pg", password=PASSWORD) as server:
        site = database_site(short_tmp, server)
        assert "complete" in site.drd("backup", "shop").out or site.points()
        status = site.drd("status", "--json", code=None).json
        [plan] = status["plans"]
        assert plan["plan"] == "shop"
        config = short_tmp / "drd.yaml"
        at = places(config, explicit=True)
        assert [p.plan for p in read_status(at.state_url, None, at.state_password).plans] == [
            "shop"
        ]

        settings = load_settings(config, explicit=True)
        handed = to_text(settings)
        assert PASSWORD not in handed + config.read_text() + repr(settings)
        again = from_environment({VARIABLE: handed})
        assert again is not None
        assert (again.state_url, again.state_password) == (
            settings.state_url,
            SecretRef("command", ("cat", f"{short_tmp}/secrets/state")),
        )

        site.secret("state", "wrong-password")
        refused = site.drd("runs", code=1)
        assert "wrong-password" not in refused.err
        assert PASSWORD not in refused.err
        site.secret("state", PASSWORD)
        stored = subprocess.run(
            ["restic", "-r", site.repository, "dump", "--tag", "component:drd", "latest", "/"],
            env={**os.environ, "RESTIC_PASSWORD": REPOSITORY_PASSWORD},
            capture_output=True,
            check=True,
        ).stdout
        assert b"drd.yaml" in stored
        assert PASSWORD.encode() not in stored
        assert json.loads(site.drd("runs", "--json").out)["runs"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("state: postgresql://u:hunter2@h/d\n", "contains a password"),
        ("state: {url: 'postgresql://u:hunter2@h/d'}\n", "contains a password"),
        ("state: {url: 'postgresql://u@h/d', password: hunter2}\n", "must be a reference"),
        (
            "state: {url: 'sqlite:////x/drd.db', password: {env: X}}\n",
            "has a password, but SQLite files have none",
        ),
    ],
)
def test_password_in_the_open_is_refused_and_not_repeated(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "drd.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, explicit=True)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_plain_url_means_what_it_did(tmp_path: Path) -> None:
    """The healthy twin."""
    file = tmp_path / "drd.yaml"
    file.write_text("state: postgresql://u@h/d\n")
    settings = load_settings(file, explicit=True)
    assert (settings.state_url, settings.state_password) == ("postgresql://u@h/d", None)
    assert places(file, explicit=True).state_password is None

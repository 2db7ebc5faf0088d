"""How the end of a recovery reads: its times against the objectives, and what to do next."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Any

import pytest

from drd.cli import render
from drd.cli.aftermath import measured, print_next, print_places

AT = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
TIMES: dict[str, Any] = {"rta_s": 41.0, "rpa_s": 120.0, "rto_s": 3600.0, "rpo_s": 300.0}
COMMAND = "vacuumdb --analyze-in-stages --dbname='postgresql:///orders?host=/var/run/postgresql'"
ANALYZE = {"component": "db", "text": "collect planner statistics", "command": COMMAND}
DONE = {"component": None, "text": "remove the kept copies for good", "command": "drd done 4f2a"}


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"within_rto": True}, "recovered in 41s (RTO 1h), lost 2m of data (RPO 5m)"),
        (
            {"within_rto": False, "rto_s": 30.0},
            "recovered in 41s (RTO 30s: missed), lost 2m of data (RPO 5m)",
        ),
        (
            {"within_rto": None},
            (
                "recovered in 41s (the RTO of 1h is for the whole service), with data of "
                "2026-11-28 00:30:00 UTC"
            ),
        ),
    ],
)
def test_the_duration_stands_beside_the_rto(times: dict[str, Any], said: str) -> None:
    assert measured({**TIMES, **times}, AT) == said


def test_the_next_tasks_fit_into_80_columns_with_a_long_command_that_can_be_pasted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "terminal_width", lambda _: 80)
    print_next({"next": [ANALYZE, DONE]})
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "  next       1. db: collect planner statistics:",
        "                vacuumdb --analyze-in-stages \\",
        "                  --dbname='postgresql:///orders?host=/var/run/postgresql'",
        "             2. remove the kept copies for good: drd done 4f2a",
    ]
    pasted = said[said.index("vacuumdb") : said.index("2. remove")].replace("\\\n", "")
    assert shlex.split(pasted) == shlex.split(COMMAND)


def test_the_places_of_the_data_and_its_users_are_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = {"component": "conf", "places": ["/srv/standby/etc/nginx", "/srv/standby/etc/ssl"]}
    used = {"component": "db", "what": 'database "shop"', "by": ["1 session of app"]}
    print_places({"now_at": [place], "in_use": [used]})
    assert capsys.readouterr().out.splitlines() == [
        "  now at     conf: /srv/standby/etc/nginx",
        "  now at     conf: /srv/standby/etc/ssl",
        '  in use     db: database "shop", by 1 session of app',
    ]
    seen = 'db: database "shop", by 1 session of app'
    again = used | {"started_by": ["go"], "seen_after": ["go"]}
    print_places({"in_use": [again, again | {"started_by": []}]})
    assert capsys.readouterr().out.splitlines() == [
        '  in use     db: database "shop", by 1 session of app, started by step go',
        f"  in use     {seen}, first seen after step go had started services",
    ]
    print_places({})  # from a daemon of a former version
    print_next({})
    assert capsys.readouterr().out == ""

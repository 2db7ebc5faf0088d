"""The one screen: what a person reads, at any width."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drd.cli.render import NO_LIMIT, measure, notes, plain, table, wrap
from drd.cli.status import MANY, render, status_command
from drd.flows.status.overview import StatusDocument, collect
from drd.model.cells import Cell
from drd.model.cells import Note as Line
from drd.model.facts import CopyFacts, DaemonFacts, PlanFacts, RepositoryFacts, StatusFacts
from tests.status_support import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    ago,
    alert,
    drill,
    failures,
    healthy,
    incomplete,
    point,
    repository,
)

CATALOG = healthy(
    plan="catalog",
    rpo_s=HOUR,
    rto_s=15 * MINUTE,
    digest="digest-2",
    newest=point(41 * MINUTE),
    interval_s=30 * MINUTE,
    backup_p95_s=22 * MINUTE,
)
BILLING = healthy(
    plan="billing",
    rpo_s=HOUR,
    rto_s=2 * HOUR,
    newest=point(3 * HOUR + 2 * MINUTE),
    failures=failures(),
    last_drill=None,
    last_passed_drill=None,
)


THE_SCREEN = (
    "3 plans: 1 met, 1 at risk, 1 breached                                        "
    "  2026-11-25 00:31 UTC\n"
    "\n"
    "PLAN        VERDICT   WOULD LOSE NOW  RPO  COMES BACK IN  RTO  LAST DRILL    "
    " READINESS    ATTAINED\n"
    "billing     breached  3h 02m          1h   unknown        2h   never         "
    " needs drill  99.71 %\n"
    "catalog     at risk   41m             1h   1m 34s         15m  passed 2d ago "
    " needs drill  100 %\n"
    "orders-api  met       4m 12s          15m  1m 34s         30m  passed 2d ago "
    " ready        100 %\n"
    "\n"
    "billing  last complete backup 3h 02m ago: pg_dump cannot connect (11 tries, "
    "last 4m ago)       drd run show 4f2a\n"
    "         never drilled, so nobody knows whether it can be restored           "
    "                  drd drill billing\n"
    "catalog  a backup usually takes 22m and starts every 30m: exposure reaches 52m, "
    "the RPO is 1h\n"
    "         plan changed since its last drill                                   "
    "                  drd drill catalog"
)


def document(*facts: PlanFacts) -> StatusDocument:
    return collect(lambda: StatusFacts(facts), [], NOW)


def screen(*facts: PlanFacts, width: int = 120) -> list[str]:
    return render(document(*facts), width, colour=False).split("\n")


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


def test_the_screen_of_three_plans() -> None:
    assert "\n".join(screen(healthy(), CATALOG, BILLING)) == THE_SCREEN


def test_columns_are_lost_from_the_right_but_never_verdict_or_reason() -> None:
    headers = []
    for width in range(10, 130):
        lines = screen(healthy(), CATALOG, BILLING, width=width)
        head = next(line for line in lines if line.startswith("PLAN"))
        headers.append(head)
        text = " ".join(lines)
        assert head.split()[:2] == ["PLAN", "VERDICT"]
        for words in ("breached", "at risk", "met", "drd drill billing"):
            assert words in text
        assert {"pg_dump", "cannot", "connect", "tries,", "22m"} <= set(text.split())
        assert len(head) <= max(width, len("orders-api  VERDICT"))
    assert all(wider.startswith(narrower) for narrower, wider in pairwise(headers))
    assert len(set(headers)) == 8


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = failures(3, "cannot connect to the server: " + "word " * 60)
    lines = screen(healthy(), BILLING._replace(failures=long, alerts=(alert(),)), width=width)
    assert max(map(len, lines)) <= width


def test_a_pipe_loses_nothing_and_breaks_no_reason() -> None:
    error = "word " * 60 + "end"
    lines = screen(BILLING._replace(failures=failures(3, error)), width=NO_LIMIT)
    reason = next(line for line in lines if "word" in line)
    assert reason.endswith("end (3 tries, last 4m ago)  drd run show 4f2a")
    assert "ATTAINED" in lines[2]


def test_no_plan_tells_how_to_begin() -> None:
    assert "drd plan new" in screen()[2]


def test_one_plan_is_not_plans() -> None:
    assert screen(healthy())[0].startswith("1 plan: 1 met ")


def test_nothing_to_say_below_the_table_of_healthy_plans() -> None:
    assert len(screen(healthy())) == 4


def test_without_a_point_everything_would_be_lost() -> None:
    row = screen(healthy(newest=None, first_loaded_at=ago(DAY)))[3]
    assert "breached  everything" in row
    assert row.endswith("not ready  0.00 %")


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (drill(), "passed 2d ago"),
        (drill("failed", since_s=3 * HOUR + 60), "failed 3h ago"),
        (drill("inconclusive", since_s=5 * MINUTE), "inconclusive 5m ago"),
        (drill(since_s=-HOUR), "passed in the future"),
        (drill(rehearsed=(7, 7)), "passed 2d ago"),
        (drill(rehearsed=(5, 7)), "passed 2d ago, 5 of 7 steps"),
        (None, "never"),
    ],
)
def test_the_last_drill_is_shown_with_its_result_and_age(last: object, word: str) -> None:
    assert f" {word} " in screen(healthy(last_drill=last))[3]


def test_alerts_stand_below_the_reasons() -> None:
    lines = screen(healthy(alerts=(alert(),)))
    assert lines[-1] == "orders-api  no backup for 3h (alert a1 for 2h)"


def test_an_alert_whose_reason_is_said_already_is_named_beside_it() -> None:
    late = alert(id="3f9a", kind="rpo", severity="critical")
    own = alert(id="77aa", state="acknowledged", acknowledged_by="anna")
    lines = screen(healthy(newest=point(HOUR), alerts=(late, own)))
    assert lines[-2] == (
        "orders-api  last complete backup 1h ago, no backup was tried since (alert 3f9a for 2h)"
        "  drd backup orders-api"
    )
    assert lines[-1] == "            no backup for 3h (alert 77aa, acknowledged by anna)"


@pytest.mark.parametrize("exposure_s", [MINUTE, HOUR])
def test_a_failure_that_a_reason_gives_is_not_said_again_by_its_alert(exposure_s: float) -> None:
    own = alert(id="77aa", kind="backup-failing", text="backup failed: pg_dump cannot connect")
    found = screen(
        healthy(newest=point(exposure_s), failures=failures(2), alerts=(own,)), width=NO_LIMIT
    )
    [told] = [line for line in found if "pg_dump cannot connect" in line]
    assert "(2 tries, last 4m ago) (alert 77aa for 2h)" in told


def test_an_incomplete_point_is_not_said_again_by_its_alert() -> None:
    own = alert(id="77aa", kind="point-incomplete", text="newest point is incomplete: db: gone")
    left = failures(2, "db: gone")._replace(run="9b0d")
    facts = healthy(newest=None, incomplete=incomplete(), failures=left, alerts=(own,))
    [told] = [line for line in screen(facts, width=NO_LIMIT) if "db: gone" in line]
    assert "(alert 77aa for 2h)" in told


def test_alerts_about_drd_itself_are_at_the_end() -> None:
    until = NOW + timedelta(hours=8)
    channel = alert(
        id="c1", state="acknowledged", acknowledged_by="anna", acknowledged_until=until,
        text="channel mail cannot deliver messages", remedy="drd notify test",
    )  # fmt: skip
    several = collect(lambda: StatusFacts([healthy()], (channel,)), [], NOW)
    lines = render(several, NO_LIMIT, colour=False).splitlines()
    assert lines[-1] == (
        "drd  channel mail cannot deliver messages (alert c1, acknowledged by anna until "
        "2026-11-25 08:31 UTC)  drd notify test"
    )


@pytest.mark.parametrize(
    ("daemon", "installed", "line"),
    [
        (DaemonFacts(ago(HOUR), True, "1"), True, "drd  the daemon was stopped 1h ago: scheduled"),
        (
            DaemonFacts(ago(DAY), False, "1"),
            True,
            "drd  the daemon's last sign of life was 1d ago: scheduled runs do not start",
        ),
        (
            None,
            True,
            "drd  the service is installed but has never run: scheduled runs do not start",
        ),
        (DaemonFacts(ago(20), False, "1"), True, ""),
        (None, False, ""),
    ],
)
def test_a_daemon_that_does_not_run_is_the_last_line(
    daemon: DaemonFacts | None, installed: bool, line: str
) -> None:
    found = StatusFacts([healthy()], daemon=daemon)
    lines = render(collect(lambda: found, [], NOW, installed=installed), 300, False).splitlines()
    assert lines[-1].startswith(line or "orders-api  met")
    assert line == "" or "  systemctl " in lines[-1]


def test_attainment_shows_a_hundred_only_when_nothing_was_missed() -> None:
    missed = ((ago(HOUR), ago(HOUR - 0.01)),)
    assert screen(healthy(missed=missed))[3].endswith("99.99 %")


@pytest.mark.parametrize("width", [30, 80, NO_LIMIT])
def test_colours_change_nothing_but_colours(width: int) -> None:
    several = document(healthy(), CATALOG, BILLING)
    coloured = render(several, width, colour=True)
    assert "\x1b[31mbreached\x1b[0m" in coloured
    assert "\x1b[32mmet\x1b[0m" in coloured
    assert uncoloured(coloured) == render(several, width, colour=False)


def test_unknown_is_never_green() -> None:
    coloured = render(document(healthy(last_drill=None, last_passed_drill=None)), 120, colour=True)
    assert "\x1b[32m" not in coloured


def test_an_error_can_neither_colour_nor_move_the_cursor() -> None:
    hostile = failures(1, "bad\x1b[2J\x1b[31m\rpg_dump\x07 \udcff name\u202e")
    text = render(document(BILLING._replace(failures=hostile)), 80, colour=False)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert "\\udcff" in text
    text.encode()


# --- layout ---------------------------------------------------------------------------------------


def test_table_aligns_wide_letters() -> None:
    rows = [[Cell("注文"), Cell("met")], [Cell("orders"), Cell("met")]]
    lines = table(["PLAN", "V"], rows, width=80, keep=2, colour=False)
    assert lines == ["PLAN    V", "注文    met", "orders  met"]


@given(st.text(max_size=200), st.integers(1, 60))
@settings(max_examples=200)
def test_wrapped_lines_keep_every_word_and_fit(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert " ".join(lines).split() == plain(text).split()
    assert all(measure(line) <= width or " " not in line for line in lines)


def test_a_subject_is_named_once() -> None:
    items = [Line("a", Cell("one"), ""), Line("a", Cell("two"), "x"), Line("b", Cell("three"), "")]
    assert notes(items, width=60, colour=False) == ["a  one", "   two    x", "b  three"]


def test_each_command_of_a_sentence_has_a_line_of_its_own() -> None:
    items = [Line("a", Cell("one"), "x\nyy"), Line("b", Cell("three"), "z")]
    assert notes(items, width=60, colour=False) == ["a  one    x", "          yy", "b  three  z"]
    assert notes(items, width=8, colour=False) == [
        "a  one",
        "   > x",
        "   > yy",
        "b  three",
        "   > z",
    ]


def test_a_copy_stands_beside_what_would_be_lost_and_says_when_it_is_behind() -> None:
    copies = (
        CopyFacts("near", "primary", ago(10 * MINUTE), ago(5 * MINUTE)),
        CopyFacts("offsite", "primary", ago(2 * HOUR), ago(HOUR)),
        CopyFacts("third", "offsite"),
    )
    screen = shown(healthy(copies=copies), CATALOG)
    header, first, second = (re.split(r"\s{2,}", line.strip()) for line in screen[2:5])
    assert header[2:5] == ["WOULD LOSE NOW", "RPO", "COPY"]
    assert second[header.index("COPY")] == "2h"
    assert first[header.index("COPY")] == "-"
    below = " ".join(" ".join(screen[5:]).split())
    assert "copy offsite of primary is 2h behind drd copy orders-api" in below
    assert "copy third of offsite contains no restore point drd copy orders-api" in below
    assert "near" not in below
    assert not any("COPY" in line for line in shown(healthy(), CATALOG))


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"lost": "replaced", "lost_since": ago(HOUR)}, "drd doctor orders-api"),
        (
            {"damage": "pack 1 is gone", "damaged_since": ago(HOUR), "sound": None},
            "drd verify orders-api --repository offsite",
        ),
        ({"missing": 1, "missing_since": ago(HOUR), "sound": None}, "drd copy orders-api"),
    ],
)
def test_a_copy_whose_points_cannot_be_read_is_not_one_that_nothing_has_reached(
    changes: dict[str, Any], command: str
) -> None:
    copy = CopyFacts("offsite", "primary", ago(10 * MINUTE), ago(5 * MINUTE))

    def notes_of_copy(offsite: RepositoryFacts) -> str:
        places = (repository(), offsite)
        text = " ".join(shown(healthy(copies=(copy,), repositories=places)))
        found = re.search(r"copy offsite of primary.*", " ".join(text.split()))
        return found[0] if found else ""

    sound = repository("offsite", copy_of="primary")
    assert notes_of_copy(sound) == ""
    told = notes_of_copy(sound._replace(**changes))
    assert "arrived" not in told
    assert command in told
    assert command == "drd copy orders-api" or "drd copy" not in told


def shown(*plans: PlanFacts) -> list[str]:
    document = collect(lambda: StatusFacts(list(plans)), [], NOW)
    return render(document, NO_LIMIT, colour=False).splitlines()


def test_terminal_shows_one_screen_of_many_plans_worst_first() -> None:
    many = [healthy(plan=f"service{number}") for number in range(100)]
    facts = document(*many, CATALOG, BILLING)
    whole = render(facts, 120, colour=False).split("\n")
    assert len(whole) == 2 + 1 + 102 + 1 + 4  # head, columns, plans, why
    assert [line.split()[0] for line in whole[3:6]] == ["billing", "catalog", "service0"]
    short = render(facts, 120, colour=False, at_most=MANY).split("\n")
    assert short[0].startswith("102 plans: 100 met, 1 at risk, 1 breached")
    assert short[: 3 + MANY] == whole[: 3 + MANY]
    assert short[3 + MANY :] == [
        "",
        "and 62 more plans: 62 met. All plans: drd status --all; one plan: drd status PLAN",
        *whole[-4:],
    ]


def test_a_screen_that_is_longer_than_the_terminal_ends_with_what_is_worst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        (tmp_path / f"service{number}.yaml").write_text(f"plan: service{number}\n")

    def shown(lines: str) -> list[str]:
        monkeypatch.setenv("LINES", lines)
        out = Terminal()
        status_command(
            state_url=f"sqlite:///{tmp_path}/none.db",
            plans_dir=tmp_path,
            plan=None,
            json=False,
            nagios=False,
            colour=False,
            now=NOW,
            out=out,
        )
        return out.getvalue().splitlines()

    whole = shown("60")
    assert shown("10") == [
        *whole,
        "",
        "7 plans: 7 unknown",
        "unknown: service0, service1, service2, service3, service4 and 2 more; drd status service0",
    ]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError

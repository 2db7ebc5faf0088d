"""The one screen: what a person reads, at any width."""

from __future__ import annotations

import re
import shlex
import subprocess
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drd.cli.render import NO_LIMIT, cut, measure, notes, plain, table, wrap
from drd.cli.status import status_command
from drd.cli.status_table import MANY, render
from drd.flows.status.nagios import nagios
from drd.flows.status.overview import StatusDocument, collect
from drd.model.cells import Cell
from drd.model.cells import Note as Line
from drd.model.drd_facts import DaemonFacts, IncidentFacts, records_damage, records_faults
from drd.model.facts import AlertFacts, CopyFacts, PlanFacts, RepositoryFacts, StatusFacts
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


THE_SCREEN = """\
3 plans: 1 breached, 1 needs drill, 1 ok                             2026-11-25 00:31 UTC

PLAN        STATE        WOULD LOSE NOW  RPO  COMES BACK IN  RTO  RPO KEPT  LAST DRILL
billing     breached     3h 02m          1h   unknown        2h   99.71 %   never
  RPO exceeded: the newest complete backup has data of 2026-11-24 21:29:00 UTC (RPO 1h). Cause: pg_dump cannot connect
  (11 tries, last at 2026-11-25 00:27:00 UTC)
  > drd run show 4f2a
catalog     needs drill  41m             1h   1m 34s         15m  100 %     passed 2d ago
  the plan changed since its last drill
  > drd drill catalog
orders-api  ok           4m 12s          15m  1m 34s         30m  100 %     passed 2d ago"""


def document(*facts: PlanFacts) -> StatusDocument:
    return collect(lambda: StatusFacts(facts), [], NOW)


def screen(*facts: PlanFacts, width: int = 120) -> list[str]:
    return render(document(*facts), width, colour=False).split("\n")


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


def test_the_screen_of_three_plans() -> None:
    assert "\n".join(screen(healthy(), CATALOG, BILLING)) == THE_SCREEN


def head_of(lines: list[str]) -> str:
    """The last line of the table's header."""
    return next(line for line in lines if line.startswith("PLAN"))


def test_columns_without_room_are_named_and_state_and_reasons_always_shown() -> None:
    left_out = set()
    for width in range(21, 130):
        lines = screen(healthy(), CATALOG, BILLING, width=width)
        text = " ".join(lines)
        assert head_of(lines).split()[:2] == ["PLAN", "STATE"]
        for words in ("breached", "needs drill", "ok", "> drd drill catalog"):
            assert words in text
        assert {"pg_dump", "cannot", "connect", "tries,"} <= set(text.split())
        assert max(len(line) for line in lines[1:] if "> drd" not in line) <= max(width, 25)
        shown = next(iter(re.findall(r"too narrow: (.*?)\. To see all of a plan", text)), "")
        for name in ("LOSE NOW", "BACK IN", "RTO", "KEPT", "LAST DRILL"):
            assert (name in head_of(lines)) != (name in shown), (width, name)
        left_out.add(shown)
    assert len(left_out) == 7
    assert "" in left_out


def test_80_columns_have_room_for_everything_and_for_a_long_name() -> None:
    long = CATALOG._replace(plan="catalogue-of-all-products")
    lines = screen(healthy(), long, BILLING, width=80)
    assert lines[2:5] == [
        "                             WOULD          COMES         RPO",
        "PLAN            STATE        LOSE NOW  RPO  BACK IN  RTO  KEPT     LAST DRILL",
        "billing         breached     3h 02m    1h   unknown  2h   99.71 %  never",
    ]
    at = lines.index("catalogue-of-all-products")
    assert lines[at + 1] == (
        "                needs drill  41m       1h   1m 34s   15m  100 %    passed 2d ago"
    )
    assert max(map(len, lines)) <= 80


def test_a_long_word_is_broken_and_a_command_is_not() -> None:
    word = "/var/run/" + "x" * 90
    lines = screen(BILLING._replace(failures=failures(1, f"cannot open {word}")), width=60)
    assert max(map(len, lines)) <= 60
    assert word in "".join(line.strip() for line in lines)
    assert "  > drd run show 4f2a" in lines


def test_a_last_drill_that_is_too_long_gets_several_lines() -> None:
    last = drill("inconclusive", since_s=5 * MINUTE, rehearsed=(5, 7))
    lines = screen(healthy(last_drill=last), width=80)
    column = lines[3].index("LAST DRILL")
    assert lines[4][column:] == "inconclusive 5m ago, 5"
    assert lines[5] == " " * column + "of 7 steps"
    assert max(map(len, lines)) <= 80


def test_a_command_that_is_too_long_continues_behind_a_backslash(tmp_path: Path) -> None:
    """What people copy does the same in a shell as the whole command."""
    command = "drd evidence show --json 'a name with blanks and more than one word' " + " ".join(
        f"--component part-{n}" for n in range(9)
    )
    noted = healthy(alerts=(alert(remedy=command),))
    lines = screen(noted, width=80)
    assert max(map(len, lines)) <= 80
    begin = next(n for n, line in enumerate(lines) if line.startswith("  > "))
    pasted = "\n".join(lines[begin:])[4:]
    (tmp_path / "drd").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "drd").chmod(0o755)
    run = ["/bin/sh", "-c", pasted]
    environ = {"PATH": str(tmp_path)}
    done = subprocess.run(run, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == shlex.split(command)[1:]


def test_an_explanation_behind_a_command_is_not_part_of_it() -> None:
    command = "drd kit export orders-api --to FILE --passphrase-file PASSPHRASE-FILE"
    why = "(FILE: where to write the kit; keep it away from this host)"
    lines = screen(healthy(alerts=(alert(remedy=f"{command} {why}"),)), width=80)
    begin = lines.index(f"  > {command}")
    assert " ".join(line.strip() for line in lines[begin + 1 :]) == why


def test_each_line_of_a_comment_behind_a_command_is_a_comment() -> None:
    remedy = "drd doctor  # " + "root sees only a part of the remedy " * 5
    lines = screen(healthy(alerts=(alert(remedy=remedy.strip()),)), width=80)
    begin = lines.index("  > drd doctor")
    assert len(lines) > begin + 2
    assert all(line.startswith("    # ") for line in lines[begin + 1 :])


def test_a_sentence_that_says_what_to_do_continues_without_a_sign() -> None:
    remedy = "write the secret to " + "/etc/drd/credentials/" + "x" * 40 + " again (owner root)"
    lines = screen(healthy(alerts=(alert(remedy=remedy),)), width=80)
    begin = next(n for n, line in enumerate(lines) if line.startswith("  > "))
    assert " ".join(line.strip() for line in lines[begin:]) == f"> {remedy}"
    assert len(lines) > begin + 1


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = failures(3, "cannot connect to the server: " + "word " * 60)
    lines = screen(healthy(), BILLING._replace(failures=long, alerts=(alert(),)), width=width)
    assert max(map(len, lines)) <= width


def test_a_pipe_loses_nothing_and_breaks_no_reason() -> None:
    error = "word " * 60 + "end"
    lines = screen(BILLING._replace(failures=failures(3, error)), width=NO_LIMIT)
    reason = next(line for line in lines if "word" in line)
    assert reason.endswith("end (3 tries, last at 2026-11-25 00:27:00 UTC)")
    assert "  > drd run show 4f2a" in lines
    assert "LAST DRILL" in lines[2]


def test_no_plan_tells_how_to_begin() -> None:
    assert "drd plan new" in screen()[2]


def test_one_plan_is_not_plans() -> None:
    assert screen(healthy())[0].startswith("1 plan: 1 ok ")


def test_nothing_to_say_below_the_table_of_healthy_plans() -> None:
    assert len(screen(healthy())) == 4


def test_without_a_point_everything_would_be_lost() -> None:
    row = screen(healthy(newest=None, first_loaded_at=ago(DAY)))[3]
    assert "breached  everything" in row
    assert re.search(r"never +30m +0.00 % +passed", row)


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
    assert screen(healthy(last_drill=last))[3].endswith(f" {word}")


def test_an_alert_without_another_reason_is_the_reason() -> None:
    lines = screen(healthy(alerts=(alert(),)))
    assert lines[3].startswith("orders-api  at risk")
    assert lines[4:] == ["  no backup for 3h (alert a1 for 2h)"]
    assert len(screen(healthy(alerts=(alert(severity="info"),)))) == 4


def test_only_the_worst_reason_is_shown_with_its_alert() -> None:
    late = alert(id="3f9a", kind="rpo", severity="critical")
    own = alert(id="77aa", state="acknowledged", acknowledged_by="anna")
    lines = screen(healthy(newest=point(HOUR), alerts=(own, late)))
    assert lines[3].startswith("orders-api  breached")
    assert lines[4].startswith("  RPO exceeded: the newest complete backup has data of ")
    assert " ".join(" ".join(lines[4:6]).split()).endswith(
        "drd has recorded no later backup run (alert 3f9a for 2h)"
    )
    assert lines[6:] == ["  > drd backup orders-api"]


def test_a_plan_file_that_is_not_in_force_is_shown_beside_a_worse_reason() -> None:
    edited = healthy(newest=point(HOUR), load_error="changed", edited=True)
    lines = screen(edited, width=NO_LIMIT)
    assert lines[3].startswith("orders-api  breached")
    assert lines[5:] == [
        "  > drd backup orders-api",
        (
            "  the plan file was edited, but not reloaded: drd still uses the plan that it "
            "loaded at 2026-11-24 00:31 UTC"
        ),
        "  > drd backup orders-api",
    ]
    alone = screen(healthy(load_error="changed", edited=True), width=NO_LIMIT)
    assert alone[3].startswith("orders-api  at risk")
    assert alone[4:] == lines[6:]


@pytest.mark.parametrize("exposure_s", [MINUTE, HOUR])
def test_an_alert_does_not_repeat_a_failure_that_a_reason_gives(exposure_s: float) -> None:
    own = alert(id="77aa", kind="backup-failing", text="backup failed: pg_dump cannot connect")
    found = screen(
        healthy(newest=point(exposure_s), failures=failures(2), alerts=(own,)), width=NO_LIMIT
    )
    [told] = [line for line in found if "pg_dump cannot connect" in line]
    assert "(2 tries, last at 2026-11-25 00:27:00 UTC) (alert 77aa for 2h)" in told


def test_an_alert_does_not_repeat_that_a_point_is_incomplete() -> None:
    own = alert(id="77aa", kind="point-incomplete", text="newest point is incomplete: db: gone")
    left = failures(2, "db: gone")._replace(run="9b0d")
    facts = healthy(newest=None, incomplete=incomplete(), failures=left, alerts=(own,))
    [told] = [line for line in screen(facts, width=NO_LIMIT) if "db: gone" in line]
    assert "(alert 77aa for 2h)" in told


def test_open_incidents_are_named_with_what_is_next() -> None:
    incidents = (
        IncidentFacts(3, "orders leak", "contained", "high", False, NOW, NOW + timedelta(hours=2)),
        IncidentFacts(4, "", "detected", "", True, NOW, NOW - timedelta(minutes=5)),
        IncidentFacts(5, "many words " * 10, "reported", "", False, NOW),
    )
    found = collect(lambda: StatusFacts([healthy()], incidents=incidents), [], NOW)
    lines = render(found, NO_LIMIT, colour=False).splitlines()
    words = " ".join(" ".join(lines[lines.index("drd") + 1 :]).split())
    assert words == (
        "incident 4: restricted (detected, next task or update overdue by 5m) > drd incident show 4 "
        "incident 3: orders leak (contained, high, next task or update in 2h) > drd incident show 3 "
        "incident 5: many words many words many words many words many… (reported) "
        "> drd incident show 5"
    )


def test_overdue_reports_are_first_and_undecided_ones_of_several_incidents_are_one_line() -> None:
    def undecided(number: int) -> AlertFacts:
        words = f"nobody has decided whether 44 reports of incident {number} are needed"
        return alert(id=str(number), kind="report-undecided", severity="warning", text=words)

    late = alert(id="9", kind="report-due", severity="critical", text="the report x was due")
    facts = StatusFacts([healthy()], alerts=(undecided(1), undecided(2), late))
    text = render(collect(lambda: facts, [], NOW), NO_LIMIT, colour=False).partition("drd\n")[2]
    assert text.startswith("  the report x was due")
    assert "2 incidents have reports on which nobody has decided" in text
    assert "drd incident list" in text
    assert "44 reports" not in text
    one = StatusFacts([healthy()], alerts=(undecided(1), late))
    assert "44 reports of incident 1" in render(collect(lambda: one, [], NOW), 200, colour=False)


def test_several_updates_are_one_line_with_the_worst() -> None:
    def due(number: int, severity: str, since_s: float) -> AlertFacts:
        words = f"the next update of incident {number} to internal is due"
        return alert(
            id=str(number), kind="update-due", severity=severity, text=words, since=ago(since_s)
        )

    alerts = (due(1, "warning", DAY), due(2, "critical", 60), due(3, "critical", HOUR))
    found = collect(lambda: StatusFacts([healthy()], alerts=alerts), [], NOW)
    text = " ".join(render(found, NO_LIMIT, colour=False).split())
    assert "update of incident 3 to internal is due; 2 more updates are due (alert 3" in text
    assert "incident 2" not in text


def test_changed_records_are_a_line_until_an_alert_names_them() -> None:
    noted = {"here": records_faults([(n, "body") for n in range(1, 8)]), "anchors": {"count": 0}}
    facts = StatusFacts([healthy()], records_damage=records_damage(noted))
    text = " ".join(render(collect(lambda: facts, [], NOW), NO_LIMIT, colour=False).split())
    assert "records found 7 faults: entry 1 (body), entry 2 (body)," in text
    assert "entry 5 (body), and 2 more > drd records verify" in text
    assert "7 faults" in nagios(collect(lambda: facts, [], NOW))[1]
    told = alert(id="r1", kind="records-changed", text="somebody changed the catalogue")
    text = render(collect(lambda: facts._replace(alerts=(told,)), [], NOW), 200, colour=False)
    assert "7 faults" not in text
    assert records_damage({"here": {"count": 0}}) == records_damage(None) == ""


def test_an_incident_that_no_repository_has_is_reported_after_some_minutes() -> None:
    one = IncidentFacts(3, "leak", "detected", "", False, NOW)
    for minutes, said in ((2, False), (12, True)):
        late = one._replace(only_here_since=NOW - timedelta(minutes=minutes))
        found = collect(lambda late=late: StatusFacts([healthy()], incidents=(late,)), [], NOW)
        text = " ".join(render(found, NO_LIMIT, colour=False).split())
        assert ("its entries of the last 12m are not yet in a repository" in text) is said
        assert ("> drd records anchor --incidents" in text) is said


def test_many_reports_leave_the_screen_short() -> None:
    reports = tuple(IncidentFacts(n, "a noise", "reported", "", False, NOW) for n in range(1, 10))
    found = collect(lambda: StatusFacts([healthy()], incidents=reports), [], NOW)
    text = render(found, NO_LIMIT, colour=False)
    assert text.count("a noise") == 5
    assert text.endswith("\n  4 more incidents and reports\n  > drd incident list")


def test_alerts_about_drd_itself_are_at_the_end() -> None:
    until = NOW + timedelta(hours=8)
    channel = alert(
        id="c1", state="acknowledged", acknowledged_by="anna", acknowledged_until=until,
        text="channel mail cannot deliver messages", remedy="drd notify test",
    )  # fmt: skip
    several = collect(lambda: StatusFacts([healthy()], (channel,)), [], NOW)
    lines = render(several, NO_LIMIT, colour=False).splitlines()
    assert lines[-3:] == [
        "drd",
        (
            "  channel mail cannot deliver messages (alert c1, acknowledged by anna until "
            "2026-11-25 08:31 UTC)"
        ),
        "  > drd notify test",
    ]


@pytest.mark.parametrize(
    ("daemon", "installed", "line"),
    [
        (DaemonFacts(ago(HOUR), True, "1"), True, "  the daemon was stopped 1h ago: scheduled"),
        (
            DaemonFacts(ago(DAY), False, "1"),
            True,
            "  the daemon's last sign of life was 1d ago: scheduled runs do not start",
        ),
        (
            None,
            True,
            "  the service is installed but has never run: scheduled runs do not start",
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
    if not line:
        assert lines[-1].startswith("orders-api  ok")
        return
    assert lines[-3] == "drd"
    assert lines[-2].startswith(line)
    assert lines[-1].startswith("  > systemctl ")


def test_attainment_shows_a_hundred_only_when_nothing_was_missed() -> None:
    missed = ((ago(HOUR), ago(HOUR - 0.01)),)
    assert " 99.99 %  " in screen(healthy(missed=missed))[3]


def test_attainment_is_shown_after_a_day() -> None:
    """The minutes before the first backup count as missed: 0.28 % would only frighten."""
    young = healthy(first_loaded_at=ago(DAY - 1))
    assert re.search(r"30m +- +passed", screen(young)[3])
    assert re.search(r"30m +\d[\d.]+ % +passed", screen(healthy(first_loaded_at=ago(DAY)))[3])


@pytest.mark.parametrize("width", [30, 80, NO_LIMIT])
def test_colours_change_nothing_but_colours(width: int) -> None:
    several = document(healthy(), CATALOG, BILLING)
    coloured = render(several, width, colour=True)
    assert "\x1b[31mbreached\x1b[0m" in coloured
    assert "\x1b[32mok\x1b[0m" in coloured
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
    assert "\\xff" in text
    text.encode()


# --- layout ---------------------------------------------------------------------------------------


def test_table_aligns_wide_letters() -> None:
    lines = table(["PLAN", "V"], [["注文", "met"], ["orders", "met"]], width=80)
    assert lines == ["PLAN    V", "注文    met", "orders  met"]


@given(st.text(max_size=200), st.integers(1, 60))
@settings(max_examples=200)
def test_wrapped_lines_keep_every_word_and_fit(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(plain(text).split())
    assert all(measure(line) <= width or len(line) == 1 for line in lines)
    if all(measure(word) <= width for word in plain(text).split()):
        assert " ".join(lines).split() == plain(text).split()


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
    facts = healthy(copies=copies)
    screen = shown(facts, CATALOG)
    header, first, _, _, second, *below = screen[2:]
    cells, first_cells, second_cells = (
        re.split(r"\s{2,}", line.strip()) for line in (header, first, second)
    )
    assert cells[2:5] == ["WOULD LOSE NOW", "RPO", "COPY"]
    assert second_cells[cells.index("COPY")] == "2h"
    assert first_cells[cells.index("COPY")] == "-"
    assert second_cells[1] == "at risk"
    assert below == ["  copy offsite of primary is 2h behind", "  > drd copy orders-api"]
    [plan] = collect(lambda: StatusFacts([facts]), [], NOW).plans
    assert [(r.text, r.remedy) for r in plan.remarks] == [
        ("copy offsite of primary is 2h behind", "drd copy orders-api"),
        ("copy third of offsite does not contain a restore point", "drd copy orders-api"),
    ]
    assert not any("COPY" in line for line in shown(healthy(), CATALOG))


def test_a_copy_that_was_just_added_is_no_fault_until_its_first_time_is_over() -> None:
    for added_s, state in ((10 * MINUTE, "ok"), (31 * MINUTE, "at risk")):
        copy = CopyFacts("offsite", "primary", added_at=ago(added_s))
        facts = StatusFacts([healthy(copies=(copy,))])
        [plan] = collect(lambda found=facts: found, [], NOW).plans
        assert plan.state == state
        [told] = [r for r in plan.remarks if "offsite" in r.text]
        assert told.remedy == "drd copy orders-api"
        assert ("is due by 2026-11-25 00:51 UTC" in told.text) == (state == "ok")
        assert (plan.copies[0].first_by is not None) == (state == "ok")


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
        facts = healthy(copies=(copy,), repositories=places)
        [plan] = collect(lambda: StatusFacts([facts]), [], NOW).plans
        told = [r for r in plan.remarks if r.text.startswith("copy offsite of primary")]
        return " ".join(f"{r.text} {r.remedy}" for r in told)

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
    assert len(whole) == 2 + 1 + 102 + 5  # head, columns, plans, why
    named = [line.split()[0] for line in whole[3:] if not line.startswith(" ")]
    assert named[:3] == ["billing", "catalog", "service0"]
    short = render(facts, 120, colour=False, at_most=MANY).split("\n")
    assert short[0].startswith("102 plans: 1 breached, 1 needs drill, 100 ok")
    assert short[: 3 + MANY + 5] == whole[: 3 + MANY + 5]
    assert short[3 + MANY + 5 :] == [
        "",
        "and 62 more plans: 62 ok. All plans: drd status --all; one plan: drd status PLAN",
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


def test_failing_backups_have_a_line_while_the_plan_is_unknown() -> None:
    lines = screen(healthy(failures=failures(), last_drill=None), width=NO_LIMIT)
    assert "  never drilled, so nobody knows whether the data can be restored" in lines
    [failing] = [line for line in lines if line.startswith("  the last backup failed: ")]
    assert lines[lines.index(failing) + 1] == "  > drd run show 4f2a"


def test_a_word_of_a_megabyte_is_broken_at_the_edge_and_cut_in_one_pass() -> None:
    word = "ab宽e\u0301" * 40_000
    lines = wrap(f"fails: {word}", 60)
    assert lines[0] == "fails:"
    assert "".join(lines[1:]) == word
    assert {measure(line) for line in lines[1:-1]} <= {59, 60}
    assert cut(word, 10) == "ab宽e\u0301ab宽…"
    assert cut("ab", 2) == "ab"
    assert cut("宽宽", 2) == "…"

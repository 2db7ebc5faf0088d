"""Status for machines: which plans it speaks of, the JSON contract, the monitoring plugin's
line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from drd.cli.status import code_of
from drd.cli.status_table import gravest, render
from drd.errors import UnknownPlan
from drd.flows.status.document import status_json
from drd.flows.status.nagios import nagios
from drd.flows.status.overview import DaemonState, StatusDocument, collect, trouble_at_rest
from drd.model.compliance import assess
from drd.model.drd_facts import DaemonFacts, IncidentFacts
from drd.model.facts import ComponentFacts, CopyFacts, PlanFacts, RefusedFacts, StatusFacts
from drd.model.verdicts import PlanState, Readiness, Verdict
from drd.plan_files import plan_files, plan_name
from tests.status_support import DAY, HOUR, NOW, ago, alert, drill, failures, healthy, point

PLAN = "# the orders\nplan: orders-api\nowner: payments team\n"


def written(directory: Path, name: str = "orders.yaml", text: str = PLAN) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def loaded_from(path: Path, **changes: Any) -> PlanFacts:
    """Facts of a plan as it was loaded from what the file now holds."""
    found = path.stat()
    return healthy(
        file=str(path),
        file_mtime_ns=found.st_mtime_ns,
        file_size=found.st_size,
        file_digest=sha256(path.read_bytes()).hexdigest(),
    )._replace(**changes)


def look(directory: Path, *facts: PlanFacts, plan: str | None = None) -> StatusDocument:
    return collect(lambda: StatusFacts(facts), plan_files(directory), NOW, plan=plan)


# --- plans in the catalogue and on disk -------------------------------------------------------


def test_plan_that_is_on_disk_as_it_was_loaded_is_not_opened(tmp_path: Path) -> None:
    """Else it would be seen to call itself something else."""
    path = written(tmp_path, text="plan: another-one\n")
    document = look(tmp_path, loaded_from(path))
    assert [(p.plan, p.readiness) for p in document.plans] == [("orders-api", Readiness.READY)]
    assert document.verdict is Verdict.MET


def test_touched_plan_is_still_the_loaded_one(tmp_path: Path) -> None:
    path = written(tmp_path)
    facts = loaded_from(path)
    os.utime(path, ns=(1, 1))
    assert look(tmp_path, facts).plans[0].readiness is Readiness.READY


def test_changed_plan_keeps_its_figures_and_says_not_loaded(tmp_path: Path) -> None:
    path = written(tmp_path)
    facts = loaded_from(path)
    path.write_text(PLAN + "# more\n")
    plan = look(tmp_path, facts).plans[0]
    assert (plan.state, plan.readiness) == ("at risk", "ready"), "what is in force is proven"
    assert plan.rpo.exposure_s == 252
    in_force = "drd still uses the plan that it loaded at 2026-11-24 00:31 UTC"
    assert plan.why is not None
    assert plan.why.text == f"the plan file was edited, but not reloaded: {in_force}"
    assert plan.why.remedy == "drd backup orders-api", "without a daemon, which would reload it"
    served = StatusFacts([facts], daemon=DaemonFacts(NOW, False, "1"))
    [told] = collect(lambda: served, plan_files(tmp_path), NOW).plans
    assert told.why is not None
    assert told.why.remedy == "systemctl reload drd"


def test_change_of_the_same_length_and_time_is_not_seen_but_any_other_is(tmp_path: Path) -> None:
    """The limit of a look that opens nothing, and what still notices."""
    path = written(tmp_path)
    facts = loaded_from(path)
    path.write_text(PLAN.replace("payments", "Payments"))
    assert look(tmp_path, facts).state is PlanState.AT_RISK
    os.utime(path, ns=(facts.file_mtime_ns, facts.file_mtime_ns))
    assert look(tmp_path, facts).state is PlanState.OK


def test_plan_whose_file_has_another_plan_now_is_gone(tmp_path: Path) -> None:
    path = written(tmp_path)
    facts = loaded_from(path)
    path.write_text(PLAN.replace("plan: orders-api", "plan: orders"))
    loaded = StatusFacts([facts, loaded_from(path, plan="orders")])
    [orders, former] = collect(lambda: loaded, plan_files(tmp_path), NOW).plans
    assert (orders.plan, orders.state, former.plan) == ("orders", "ok", "orders-api")
    assert former.reasons[0].text.startswith(
        f"{path} now contains plan orders instead, so plan orders-api does not have a file any "
        "more; drd still uses "
    )
    assert former.reasons[0].text.endswith(
        ". Restore points are stored under the name of their plan: if this is the same plan with a "
        "new name, write `plan: orders-api` again. If nobody needs its 12 restore points any more: "
        "drd plan forget orders-api"
    )
    assert former.reasons[0].remedy == "drd plan show orders-api --loaded"
    without = StatusFacts([facts._replace(complete_points=0), loaded_from(path, plan="orders")])
    [_, former] = collect(lambda: without, plan_files(tmp_path), NOW).plans
    assert former.reasons[0].remedy == "drd plan forget orders-api"


def test_second_file_with_the_name_of_a_plan_is_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    facts = loaded_from(path, load_error="a-copy.yaml:1: plan: …")
    copy = path.with_name("a-copy.yaml")
    copy.write_text(PLAN + "# another\n")
    served = StatusFacts([facts], daemon=DaemonFacts(NOW, False, "1"))
    [plan] = collect(lambda: served, plan_files(tmp_path), NOW).plans
    assert plan.state == "at risk"
    assert plan.reasons[0].text.startswith(
        f"{copy} has the same plan name as {path}: drd loads neither of these files. A "
        "component that only one of them has is not backed up; drd still uses the plan that it "
    )
    assert plan.reasons[0].remedy == "drd plan check && systemctl reload drd"


def test_broken_plan_keeps_the_error_of_its_load(tmp_path: Path) -> None:
    path = written(tmp_path)
    facts = loaded_from(path, load_error="orders.yaml:3: unknown key")
    path.write_text(PLAN + "onwer: x\n")
    in_force = "drd still uses the plan that it loaded at 2026-11-24 00:31 UTC"
    [plan] = look(tmp_path, facts).plans
    assert plan.reasons[0].text == (
        f"drd refused the plan file (orders.yaml:3: unknown key): {in_force}"
    )
    assert plan.reasons[0].remedy == f"drd plan check {path}"
    since = facts._replace(load_error_at=ago(HOUR), served=True)
    os.utime(path, ns=(int(ago(HOUR - 1).timestamp() * 1e9),) * 2)
    assert "edited, but not reloaded" in look(tmp_path, since).plans[0].reasons[0].text
    os.utime(path, ns=(int(ago(HOUR + 1).timestamp() * 1e9),) * 2)
    assert "orders.yaml:3" in look(tmp_path, since).plans[0].reasons[0].text


def test_broken_plan_that_is_what_it_was_again_is_ready_again(tmp_path: Path) -> None:
    facts = loaded_from(written(tmp_path), load_error="orders.yaml:3: unknown key")
    assert look(tmp_path, facts).state is PlanState.OK


def test_plan_whose_file_is_gone_says_so(tmp_path: Path) -> None:
    facts = loaded_from(written(tmp_path))
    Path(facts.file).unlink()
    plan = look(tmp_path, facts).plans[0]
    assert plan.state is PlanState.AT_RISK
    assert plan.reasons[0].text == (
        f"the plan's file {facts.file} is gone: restore this file; drd still uses the plan that "
        "it loaded at 2026-11-24 00:31 UTC, but does not start backups or drills of this plan. "
        "If the service does not exist any more: drd plan forget orders-api"
    )
    gone = f"the plan's file {facts.file} is gone: restore this file"
    served = assess(facts._replace(load_error=gone, file_gone=True, served=True), NOW)
    assert served.reasons[0].text.startswith(
        f"{gone}. After a reload or restart of the service, drd does not start backups or "
        "drills of this plan any more; until then drd still uses the plan that it loaded at"
    )


def test_renamed_file_is_the_same_plan(tmp_path: Path) -> None:
    facts = loaded_from(written(tmp_path))
    Path(facts.file).rename(tmp_path / "other.yaml")
    document = look(tmp_path, facts)
    assert [(p.plan, p.readiness) for p in document.plans] == [("orders-api", Readiness.READY)]


def test_plan_loaded_from_elsewhere_is_compared_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    facts = loaded_from(written(elsewhere))
    plans = tmp_path / "plans"
    assert look(plans, facts).verdict is Verdict.MET
    Path(facts.file).write_text("plan: orders-api\n")
    assert look(plans, facts).state is PlanState.AT_RISK


def test_plan_never_loaded_is_unknown(tmp_path: Path) -> None:
    path = written(tmp_path, "new.yaml", "plan: brand-new\nthis is: [not yaml")
    document = look(tmp_path, loaded_from(written(tmp_path)))
    assert [(p.plan, p.verdict) for p in document.plans] == [
        ("brand-new", Verdict.UNKNOWN),
        ("orders-api", Verdict.MET),
    ]
    assert document.verdict is Verdict.UNKNOWN
    assert (
        document.plans[0].reasons[0].text
        == f"drd has not loaded {path} yet: the first backup loads it"
    )


def test_an_adopted_plan_is_loaded_by_its_first_drill(tmp_path: Path) -> None:
    text = "plan: theirs\nrepositories:\n  a: {made_by: restic}\n"
    path = written(tmp_path, "theirs.yaml", text)
    [plan] = look(tmp_path, loaded_from(written(tmp_path))).plans[1:]
    [reason] = plan.reasons
    assert reason.text == f"drd has not loaded {path} yet: the first drill loads it"
    assert reason.remedy == "drd drill theirs"


def test_plan_that_was_refused_says_where_and_why(tmp_path: Path) -> None:
    file = written(tmp_path)
    there = file.stat()
    error = f"{file}:3: backup.evry: unknown key (and 1 more)"
    known = RefusedFacts(there.st_mtime_ns, there.st_size, error)
    facts = StatusFacts([], others={"orders-api": (alert(),)}, refused={"orders-api": known})

    [plan] = collect(lambda: facts, plan_files(tmp_path), NOW).plans
    assert plan.verdict is Verdict.UNKNOWN
    [reason] = plan.reasons
    assert reason.text == f"not loaded: {file}:3: backup.evry: unknown key (and 1 more)"
    assert reason.remedy == f"drd plan check {file}"
    assert plan.alerts == (alert(),)

    file.write_text(PLAN + "rpo: 15m\n")
    [plan] = collect(lambda: facts, plan_files(tmp_path), NOW).plans
    assert plan.reasons[0].text.endswith("(and 1 more) (the file has changed since then)")


def test_nothing_at_all_is_unknown(tmp_path: Path) -> None:
    assert look(tmp_path / "missing") == StatusDocument(NOW, Verdict.UNKNOWN, ())


def test_only_plan_files_are_looked_at(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", ".hidden.yaml", "notes.txt", "a.yaml~", "c.yaml.bak"):
        written(tmp_path, name)
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    assert [Path(f.path).name for f in plan_files(tmp_path)] == ["a.yaml", "b.yml"]


def test_a_fifo_among_the_plans_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "shop.yaml")
    assert plan_name(str(tmp_path / "shop.yaml")) == "shop"
    assert [p.plan for p in look(tmp_path).plans] == ["shop"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plan: orders-api\n", "orders-api"),
        ("owner: x\nplan:   'orders-api'   # ours\r\n", "orders-api"),
        ('plan: "orders-api"', "orders-api"),
        ("# plan: other\nnested:\n  plan: inner\nplan: orders-api", "orders-api"),
        ("plan: Not A Name\n", "file"),
        ("plan: 'half\n", "file"),
        ("", "file"),
        ("\x00\xff", "file"),
    ],
)
def test_name_of_a_plan_file(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(text.encode("latin-1"))
    assert plan_name(str(path)) == name


def test_status_of_one_plan_leaves_the_others_out_of_the_verdict(tmp_path: Path) -> None:
    worse = healthy(plan="billing", newest=point(DAY))
    document = look(tmp_path, healthy(), worse, plan="orders-api")
    assert [p.plan for p in document.plans] == ["orders-api"]
    assert document.verdict is Verdict.MET


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("orders-apu", "did you mean orders-api?"),
        ("zzz", "choose one of these plans: billing, orders-api"),
    ],
)
def test_unknown_plan_names_the_nearest(tmp_path: Path, asked: str, hint: str) -> None:
    with pytest.raises(UnknownPlan, match="there is no plan") as caught:
        look(tmp_path, healthy(), healthy(plan="billing"), plan=asked)
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


def test_unknown_plan_where_there_is_none_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(UnknownPlan) as caught:
        look(tmp_path, plan="orders-api")
    assert "drd plan new" in caught.value.hint


# --- JSON -------------------------------------------------------------------------------------


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


ALERT = ["alert", "plan", "kind", "code", "subject", "state", "since", "message", "severity"]
ALERT += ["command", "text", "remedy", "acknowledged_by", "acknowledged_until"]


INCIDENT = IncidentFacts(3, "orders leak", "contained", "high", False, NOW, NOW, ("shop",))


def test_plugin_line_counts_incidents_and_names_no_title() -> None:
    found = StatusFacts([healthy()], incidents=(INCIDENT,))
    code, line = nagios(collect(lambda: found, [], NOW))
    assert code == 0
    assert "; 1 incident open|" in line
    assert "leak" not in line


def test_json_has_exactly_the_keys_of_the_contract() -> None:
    copies = (CopyFacts("offsite", "primary"),)
    facts = healthy(alerts=(alert(),), newest=point(DAY), copies=copies)
    daemon = DaemonFacts(NOW, False, "0.1.0")
    found = StatusFacts([facts], (alert(),), daemon=daemon, incidents=(INCIDENT,))
    document = status_json(collect(lambda: found, [], NOW))
    assert list(document) == [
        "schema", "at", "verdict", "state", "plans", "alerts", "daemon", "trouble", "written_at",
        "missing_packages", "configuration", "incidents", "records_damage", "copied_state",
    ]  # fmt: skip
    assert shape(document) == {
        "schema": None,
        "at": None,
        "verdict": None,
        "state": None,
        "plans": [
            {
                "plan": None,
                "owner": None,
                "description": None,
                "state": None,
                "why": dict.fromkeys(["state", "text", "command", "alert"]),
                "verdict": None,
                "readiness": None,
                "rpo": dict.fromkeys(
                    [
                        "objective_s",
                        "component",
                        "exposure_s",
                        "achievable_s",
                        "loses_everything",
                        "attainment",
                        "verdict",
                    ]
                ),
                "rto": dict.fromkeys(["objective_s", "actual_s", "projected_s", "verdict"]),
                "drill": {
                    **dict.fromkeys(
                        ["last_at", "result", "due_at", "before_loss", "verdict", "steps"]
                    ),
                    "scenarios": [
                        {
                            **dict.fromkeys(
                                [
                                    "scenario",
                                    "wanted",
                                    "repository",
                                    "last_at",
                                    "result",
                                    "due_at",
                                    "valid_until",
                                    "verdict",
                                ]
                            ),
                            "unproven": None,
                        }
                    ],
                },
                "components": [
                    dict.fromkeys(
                        [
                            "component",
                            "kind",
                            "data_time",
                            "exposure_s",
                            "objective_s",
                            "achievable_s",
                            "size_bytes",
                            "verdict",
                        ]
                    )
                ],
                "copies": [
                    {
                        "repository": None,
                        "copy_of": None,
                        "data_time": None,
                        "exposure_s": None,
                        "verdict": None,
                        "first_by": None,
                    }
                ],
                "repositories": [
                    dict.fromkeys(["repository", "copy_of", "state", "since", "data_time"])
                ],
                "alerts": [dict.fromkeys(ALERT)],
                "points": dict.fromkeys(
                    ["complete", "newest", "data_time", "size_bytes", "consistency"]
                ),
                "last_backup": None,
                "reasons": [None],
                "remarks": [dict.fromkeys(["state", "text", "command", "alert"])],
                "retention": {"paused_since": None, "pauses": None, "waiting": None},
                "holds": None,
            }
        ],
        "alerts": [dict.fromkeys(ALERT)],
        "daemon": dict.fromkeys(["state", "last_at", "version"]),
        "trouble": None,
        "written_at": None,
        "missing_packages": None,
        "copied_state": None,
        "configuration": None,
        "incidents": [
            {
                **dict.fromkeys(["incident", "title", "state", "severity", "restricted"]),
                "opened_at": None,
                "next_at": None,
                "only_here_since": None,
                "plans": [None],
            }
        ],
        "records_damage": None,
    }


@pytest.mark.parametrize(
    ("facts", "installed", "state"),
    [
        (None, False, None),
        (None, True, "never started"),
        (DaemonFacts(ago(20), False, "1"), False, "running"),
        (DaemonFacts(ago(149), False, "1"), True, "running"),
        (DaemonFacts(ago(151), False, "1"), False, "silent"),
        (DaemonFacts(ago(-HOUR), False, "1"), False, "running"),
        (DaemonFacts(ago(1), True, "1"), False, "stopped"),
    ],
)
def test_a_daemon_that_does_not_work_is_noticed(
    facts: DaemonFacts | None, installed: bool, state: str | None
) -> None:
    found = StatusFacts([healthy()], daemon=facts)
    document = status_json(collect(lambda: found, [], NOW, installed=installed))
    said = document["daemon"]
    assert (said and said["state"]) == state
    assert document["verdict"] == "met"


def test_json_values_of_a_healthy_plan() -> None:
    document = json.loads(
        json.dumps(status_json(collect(lambda: StatusFacts([healthy()]), [], NOW)))
    )
    assert document["schema"] == 1
    assert document["at"] == "2026-11-25T00:31:00Z"
    assert document["verdict"] == "met"
    plan = document["plans"][0]
    assert plan["readiness"] == "ready"
    assert plan["rpo"] == {
        "objective_s": 900,
        "component": None,
        "exposure_s": 252,
        "achievable_s": 320,
        "loses_everything": False,
        "attainment": 1,
        "verdict": "met",
    }
    assert plan["rto"] == {
        "objective_s": 1800, "actual_s": 94, "projected_s": 94, "verdict": "met"
    }  # fmt: skip
    (scenario,) = plan["drill"].pop("scenarios")
    assert (scenario["scenario"], scenario["verdict"]) == ("database-loss", "met")
    assert scenario["valid_until"] == "2026-12-07T00:31:00Z"
    assert plan["drill"] == {
        "last_at": "2026-11-23T00:31:00Z",
        "result": "passed",
        "due_at": "2026-11-30T00:31:00Z",
        "before_loss": None,
        "verdict": "met",
        "steps": None,
    }
    assert plan["components"][0]["data_time"] == "2026-11-25T00:26:48Z"
    assert plan["reasons"] == []


def test_json_of_what_nobody_knows_is_null_and_unknown(tmp_path: Path) -> None:
    written(tmp_path)
    plan = status_json(look(tmp_path))["plans"][0]
    assert plan["owner"] is None
    assert plan["verdict"] == "unknown"
    assert set(plan["rpo"].values()) == {None, "unknown", False}
    unknown = dict.fromkeys(["last_at", "result", "due_at", "before_loss", "steps"])
    unknown["scenarios"] = []
    assert plan["drill"] == {**unknown, "verdict": "unknown"}
    assert plan["reasons"][0].startswith("drd has not loaded ")


def test_json_never_rounds_a_missed_second_away() -> None:
    missed = ((ago(HOUR), ago(HOUR - 0.01)),)
    plan = status_json(collect(lambda: StatusFacts([healthy(missed=missed)]), [], NOW))["plans"][0]
    assert plan["rpo"]["attainment"] == 0.999999


# --- monitoring plugin --------------------------------------------------------------------------

_BROKEN = healthy(newest=point(3 * HOUR), failures=failures(2, "no route | to host\nat all"))


@pytest.mark.parametrize(
    ("facts", "code", "line"),
    [
        (
            [healthy()],
            0,
            "DRD OK - 1 plan ok|exposure_orders-api=252s;;900 rto_orders-api=94s;;1800",
        ),
        (
            [healthy(), healthy(plan="b", digest="new")],
            1,
            (
                "DRD WARNING - 1 of 2 needs drill: b: the plan changed since its last drill|"
                "exposure_b=252s;;900 rto_b=94s;;1800 "
                "exposure_orders-api=252s;;900 rto_orders-api=94s;;1800"
            ),
        ),
        (
            [_BROKEN],
            2,
            (
                "DRD CRITICAL - 1 of 1 breached: orders-api: RPO exceeded: the newest complete "
                "backup has data of 2026-11-24 21:31:00 UTC (RPO 15m). Cause: no "
                "route / to host (2 tries, last at 2026-11-25 00:27:00 "
                "UTC)|exposure_orders-api=10800s;;900 "
                "rto_orders-api=94s;;1800"
            ),
        ),
        (
            [healthy(last_drill=None, last_passed_drill=None)],
            3,
            (
                "DRD UNKNOWN - 1 of 1 unknown: orders-api: never drilled, so nobody knows "
                "whether the data can be restored|exposure_orders-api=252s;;900 "
                "rto_orders-api=U;;1800"
            ),
        ),
        ([], 3, "DRD UNKNOWN - no plan is loaded"),
    ],
)
def test_nagios_line_and_exit_code(facts: list[PlanFacts], code: int, line: str) -> None:
    assert nagios(collect(lambda: StatusFacts(facts), [], NOW)) == (code, line)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"severity": "critical"}, 1),
        ({"severity": "critical", "state": "acknowledged"}, 1),
        ({"severity": "warning"}, 0),
        ({"severity": "info"}, 0),
    ],
)
def test_nagios_is_never_ok_while_an_alert_is_critical(changes: dict[str, Any], code: int) -> None:
    found = alert(kind="verification-overdue", text="nobody reads it", **changes)
    of_plan = 0 if found.severity == "info" else 1
    for status, expected in (
        (StatusFacts([healthy(alerts=(found,))]), of_plan),
        (StatusFacts([healthy()], (found,)), code),  # one of drd's own
    ):
        document = collect(lambda s=status: s, [], NOW)  # type: ignore[misc]
        seen, line = nagios(document)
        assert seen == expected
        assert line.startswith("DRD OK - 1 plan ok" if expected == 0 else "DRD WARNING")
        assert (": nobody reads it" in line) == (expected == 1)
    broken = healthy(alerts=(found,), failures=_BROKEN.failures, newest=_BROKEN.newest)
    assert nagios(collect(lambda: StatusFacts([broken]), [], NOW))[0] == 2


@pytest.mark.parametrize(("stopped", "code"), [(False, 1), (True, 0)])
def test_nagios_says_that_no_daemon_works(stopped: bool, code: int) -> None:
    """One that somebody stopped is his affair, one that died is not."""
    last = DaemonFacts(ago(300), stopped, "1")
    document = collect(lambda: StatusFacts([healthy()], daemon=last), [], NOW)
    seen, line = nagios(document)
    assert seen == code
    assert f"the daemon is {'stopped' if stopped else 'silent'} (last sign of life 5m ago)" in line
    _, line = nagios(document._replace(daemon=None, written_at=ago(300)))
    assert "this status is 5m old" in line


def test_nagios_counts_more_plans_than_a_line_has_room_for() -> None:
    facts = [healthy(plan=f"p{n:05}") for n in range(5_000)]
    code, line = nagios(collect(lambda: StatusFacts(facts), [], NOW))
    others = ["at_risk", "needs_drill", "not_ready", "breached", "unknown"]
    data = " ".join(["ok=5000;;;0;5000", *(f"{state}=0;;;0;5000" for state in others)])
    assert (code, line) == (0, f"DRD OK - 5,000 plans ok|{data}")


def test_nagios_names_three_plans_and_counts_the_rest() -> None:
    facts = [healthy(plan=f"p{i}", last_drill=drill("failed")) for i in range(5)]
    code, line = nagios(collect(lambda: StatusFacts(facts), [], NOW))
    assert code == 2
    assert "5 of 5 breached: p0: the last drill failed" in line
    assert "; and 2 more|" in line


# --- cold start -----------------------------------------------------------------------------------


@pytest.fixture
def imported() -> Callable[[str], set[str]]:
    def run(statement: str) -> set[str]:
        code = f"import sys\n{statement}\nprint(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return set(done.stdout.split())

    return run


def test_status_imports_nothing_that_is_slow(imported: Callable[[str], set[str]]) -> None:
    """What it may need (json, hashlib, unicodedata) it imports when it does."""
    slow = {
        "alembic", "apscheduler", "argparse", "asyncio", "boto3", "dataclasses", "inspect", "json",
        "logging", "pydantic", "resticpy", "rich", "shutil", "sqlalchemy", "structlog", "textwrap",
        "typing", "yaml",
    }  # fmt: skip
    code = (
        "import drd.cli.status, drd.cli.render, drd.flows.status.document, drd.flows.status.nagios"
    )
    bare = imported("pass")
    assert imported(code) & slow <= bare & slow


def test_status_of_a_member_is_as_light_as_that_of_the_owner(
    imported: Callable[[str], set[str]],
) -> None:
    """A member reads the summary file, which needs what reads such a file, and no more."""
    both = (
        "import drd.cli.status, drd.cli.render, drd.flows.status.document, drd.cli.status_reading"
    )
    own = imported(f"{both}, drd.catalogue.summary, json, zlib, struct, grp, pwd")
    member = imported(f"{both}, drd.flows.status.summary_file")
    assert member - own <= {
        "drd.acl", "drd.flows.status.summary_file", "drd.model.changes", "drd.model.facts_codec",
        "drd.users",
    }  # fmt: skip


def test_a_status_that_makes_the_summary_imports_no_library(
    imported: Callable[[str], set[str]],
) -> None:
    slow = {"alembic", "boto3", "pydantic", "resticpy", "sqlalchemy", "yaml"}
    assert imported("import drd.flows.status.publishing") & slow == set()


def test_components_are_listed_in_the_order_of_the_plan() -> None:
    components = (ComponentFacts("z", "files", ago(9)), ComponentFacts("a", "sqlite", ago(9)))
    plan = status_json(collect(lambda: StatusFacts([healthy(components=components)]), [], NOW))[
        "plans"
    ][0]
    assert [c["component"] for c in plan["components"]] == ["z", "a"]


def test_a_full_disk_is_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/drd.db"
    assert trouble_at_rest(url) is None
    assert trouble_at_rest("postgresql+psycopg://db/drd") is None
    assert trouble_at_rest("sqlite:////no/such/place/drd.db") is None
    space = os.statvfs(tmp_path)
    frozen = os.statvfs_result((*space[:8], space.f_flag | os.ST_RDONLY, space[9]))
    full = os.statvfs_result((*space[:3], 0, *space[4:]))
    for seen, words in ((frozen, "is read-only now"), (full, "is full")):
        monkeypatch.setattr(os, "statvfs", lambda _, seen=seen: seen)
        assert trouble_at_rest(url) == f"{tmp_path} {words}: drd cannot record anything new"


def test_a_place_that_the_running_daemon_writes_to_is_not_called_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitoring agent may see it so: ProtectSystem=strict."""
    url = f"sqlite:///{tmp_path}/drd.db"
    space = os.statvfs(tmp_path)
    frozen = os.statvfs_result((*space[:8], space.f_flag | os.ST_RDONLY, space[9]))
    monkeypatch.setattr(os, "statvfs", lambda _: frozen)
    assert trouble_at_rest(url, DaemonState("running", NOW)) is None
    silent = trouble_at_rest(url, DaemonState("silent", NOW))
    assert silent == f"{tmp_path} is read-only now: drd cannot record anything new"


def test_a_full_disk_is_not_green() -> None:
    """No plan has the state then, so no plan is named for it."""
    good = collect(lambda: StatusFacts([healthy()]), [], NOW)
    assert (good.state, code_of(good), nagios(good)[0]) == (PlanState.OK, 0, 0)
    full = good._replace(trouble="/srv is full: drd cannot record anything new")
    assert (full.state, code_of(full)) == (PlanState.NOT_READY, 3)
    assert status_json(full)["state"] == "not ready"
    code, line = nagios(full)
    assert code == 1
    assert line.startswith("DRD WARNING - 1 plan ok; /srv is full: drd cannot record anything new")
    screen = render(full, 100, colour=False)
    assert screen.startswith("1 plan: 1 ok; drd: not ready")
    assert "1 plan: 1 ok" in gravest(full)

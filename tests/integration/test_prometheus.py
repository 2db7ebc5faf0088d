"""The example rules and the dashboard, by the real promtool and a real Prometheus."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from drd.web import DaemonHealth, MetricsServer
from tests.metrics_support import Read, daemon, kept, plans, rendered, shifted
from tests.servers.child import Child, free_ports

MONITORING = Path(__file__).parents[2] / "monitoring"
RULES = MONITORING / "drd.rules.yaml"
RULE_TESTS = MONITORING / "drd.rules.test.yaml"
DASHBOARD = json.loads((MONITORING / "drd.dashboard.json").read_text())

PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
OTHER_QUERIES = [a["expr"] for a in DASHBOARD["annotations"]["list"] if "expr" in a]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, cwd=MONITORING
    )


def rules() -> list[dict[str, Any]]:
    found = yaml.safe_load(RULES.read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\bdrd_\w+", expression))


@pytest.fixture(scope="module")
def known() -> set[str]:
    return Read(rendered(plans(), daemon(), kept())).names


# --- rules --------------------------------------------------------------------------------------


def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_fire_when_they_should_and_only_then() -> None:
    done = promtool("test", "rules", RULE_TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_shown_to_fire() -> None:
    cases = [
        case
        for test in yaml.safe_load(RULE_TESTS.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
    ]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names


def test_rules_know_only_metrics_that_exist(known: set[str]) -> None:
    for rule in rules():
        assert metrics_in(rule["expr"]) <= known, rule["alert"]


# --- dashboard ----------------------------------------------------------------------------------


def test_dashboard_knows_only_metrics_that_exist(known: set[str]) -> None:
    asked = [*(expr for _, expr in QUERIES), *OTHER_QUERIES]
    asked += [variable["definition"] for variable in DASHBOARD["templating"]["list"][1:]]
    for expression in asked:
        assert metrics_in(expression), expression
        assert metrics_in(expression) <= known, expression


def test_dashboard_asks_the_data_source_that_is_chosen_in_it() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert DASHBOARD["templating"]["list"][0]["name"] == "datasource"
    for panel in PANELS:
        assert panel["datasource"] == chosen, panel["title"]
        assert all(target["datasource"] == chosen for target in panel["targets"]), panel["title"]


def test_panels_have_a_place_each_and_say_what_they_show() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0


# --- a real Prometheus --------------------------------------------------------------------------


class Prometheus:
    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{query}") as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def wait(self, seconds: float = 20) -> None:
        """Until figures were scraped and every rule was evaluated after that."""
        deadline = time.monotonic() + seconds
        while not self.query("drd_plans"):
            assert time.monotonic() < deadline, self.get("targets")
            time.sleep(0.1)
        scraped = datetime.now(UTC)
        while not all(
            datetime.fromisoformat(rule["lastEvaluation"]) > scraped for rule in self.rules()
        ):
            assert time.monotonic() < deadline, self.rules()
            time.sleep(0.1)


@contextmanager
def prometheus(directory: Path, target: tuple[str, int]) -> Iterator[Prometheus]:
    (port,) = free_ports(1)
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": "drd", "static_configs": [{"targets": ["{}:{}".format(*target)]}]}
        ],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))
    found = Prometheus(port)
    child = Child(
        [
            "prometheus",
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={found.address}",
            "--log.level=warn",
        ],
        directory / "prometheus.log",
    )
    try:
        child.wait_until(found.ready, 30)
        yield found
    finally:
        child.end(signal.SIGTERM, 5)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scraped a healthy plan with a copy that is behind."""
    now = datetime.now(UTC)
    text = rendered(shifted(now), daemon(now), kept(now))
    server = MetricsServer.start(
        ("127.0.0.1", 0), lambda: text, lambda: DaemonHealth("0.1.0", 0.0, 60.0)
    )
    try:
        with prometheus(tmp_path_factory.mktemp("prometheus"), server.address) as found:
            found.wait()
            yield found
    finally:
        server.close()


@pytest.mark.xdist_group("prometheus")
class TestPrometheus:
    def test_prometheus_scrapes_the_metrics_of_drd(self, scraped: Prometheus) -> None:
        (target,) = scraped.get("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        units = scraped.get("targets/metadata", metric="drd_rpo_exposure_seconds")
        assert [unit["type"] for unit in units] == ["gauge"]

    @pytest.mark.parametrize("plan", [".*", "orders-api"])
    def test_answers_every_query_of_the_dashboard(self, scraped: Prometheus, plan: str) -> None:
        for title, expression in QUERIES:
            assert scraped.query(expression.replace("$plan", plan)), title
        for expression in OTHER_QUERIES:
            scraped.query(expression.replace("$__interval", "1m"))

    def test_shows_a_healthy_plan_as_one(self, scraped: Prometheus) -> None:
        values = {
            title: float(scraped.query(expression.replace("$plan", ".*"))[0]["value"][1])
            for title, expression in QUERIES
            if title in ("Ok", "Breached", "Alerts firing", "States")
        }
        assert values == {"Ok": 1.0, "Breached": 0.0, "Alerts firing": 1.0, "States": 0.0}

    def test_evaluates_every_rule_without_an_error(self, scraped: Prometheus) -> None:
        assert {(rule["health"], rule.get("lastError")) for rule in scraped.rules()} == {
            ("ok", None)
        }
        assert {rule["name"] for rule in scraped.rules() if rule["state"] != "inactive"} == {
            "DrdChannelDown",
            "DrdCopyBehind",
            "DrdRepositoryDamaged",
        }

"""Alerts of other systems: what is read of what they send."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drd.config.daemon_check import check_settings
from drd.config.incident_schema import IncidentIntake, Incidents
from drd.config.intake import load_mapping, mapping_of
from drd.errors import ConfigError, UsageError
from drd.model.incidents.intake_rules import IntakeSettings, PlanRule
from drd.model.intake.json_parts import documents
from drd.model.intake.mapped import Mapped, at_path
from drd.model.intake.reading import LARGEST, signals
from drd.model.intake.signal import LONGEST_VERBATIM, Signal, time_of
from drd.model.plan import SecretRef

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def webhook(*alerts: dict[str, Any], version: str = "4") -> bytes:
    document = {"version": version, "groupKey": "{}:{}", "status": "firing", "alerts": alerts}
    return json.dumps(document, indent=1).encode()


def alert(status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "ApiLeak", "severity": "critical", "plan": "shop", **labels},
        "annotations": {"summary": "strange reads", "description": "5,000\nrows"},
        "startsAt": "2026-11-28T12:00:00.5Z",
        "endsAt": "2026-11-28T13:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": "f1",
    }


def test_alerts_of_alertmanager_are_read_one_by_one_with_their_text() -> None:
    first, second = signals(webhook(alert(), alert("resolved")), None)
    assert (first.source, first.id, first.severity) == ("alertmanager", "f1", "critical")
    assert (first.title, first.text) == ("ApiLeak: strange reads", "5,000 rows")
    assert first.started_at == NOON.replace(microsecond=500_000)
    assert (first.resolved, first.ended_at) == (False, None)
    assert (second.resolved, second.ended_at) == (True, NOON.replace(hour=13))
    assert json.loads(first.raw) == alert()
    assert first.raw in webhook(alert()).decode(), "the text as it came"
    assert first.content != second.content


def test_alert_without_a_fingerprint_is_known_by_its_labels() -> None:
    one, other = dict(alert()), dict(alert(pod="2"))
    del one["fingerprint"], other["fingerprint"]
    ids = [s.id for s in signals(webhook(one, other, one), None)]
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"{}", "neither one of Alertmanager nor an OCSF finding"),
        (b"[1]", "neither one of Alertmanager nor an OCSF finding"),
        (b"9" * 5000, "not JSON"),
        (b'{"version": "3", "alerts": []}', "version '3'"),
        (b'{"version": "4", "alerts": {}}', "not a list"),
        (b'{"version": "4", "alerts": [1]}', "alert 1 .* no `labels`"),
        (b'{"class_uid": 1007}', "class 1007"),
        (b'{"class_uid": [1]}', "class none"),
        (b'{"class_uid": 2004}', "not have a uid"),
        pytest.param(b" " * (LARGEST + 1), "the message has", id="too large"),
        pytest.param(webhook(*[alert()] * 501), "501 alerts", id="501 alerts"),
    ],
)
def test_an_unreadable_alert_of_another_system_is_refused_with_the_reason(
    raw: bytes, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        signals(raw, None)


FINDING = {
    "class_uid": 2004,
    "activity_id": 1,
    "time": 1_795_867_200_000,
    "severity_id": 5,
    "metadata": {"product": {"name": "Guard"}, "labels": ["plan=shop", "team:a"]},
    "finding_info": {
        "uid": "find-1",
        "title": "Key used from a new country",
        "desc": "key of the billing job",
        "first_seen_time_dt": "2026-11-28T12:00:00Z",
    },
}


def test_a_message_of_500_alerts_is_read() -> None:
    assert len(signals(webhook(*[alert()] * 500), None)) == 500


def test_findings_of_ocsf_are_read_singly_as_lines_and_as_a_list() -> None:
    [found] = signals(json.dumps(FINDING).encode(), None)
    assert (found.source, found.id, found.severity) == ("ocsf/Guard", "find-1", "critical")
    assert (found.title, found.started_at) == ("Key used from a new country", NOON)
    assert found.labels == {
        "product": "Guard",
        "class": "detection finding",
        "plan": "shop",
        "team": "a",
    }
    incident = {
        "class_uid": 2005,
        "status_id": 5,
        "metadata": {"uid": "inc-1"},
        "finding_info_list": [{"uid": "find-1", "title": "Key used"}],
        "time": 1_795_867_200_000,
    }
    lines = f"{json.dumps(FINDING)}\n{json.dumps(incident)}\n".encode()
    assert [s.id for s in signals(lines, None)] == ["find-1", "inc-1"]
    assert signals(lines, None)[1].resolved
    both = json.dumps([FINDING, incident]).encode()
    assert [json.loads(s.raw) for s in signals(both, None)] == [FINDING, incident]


def test_json_of_others_by_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "wazuh.yaml"
    file.write_text(
        "source: wazuh\nalerts: hits\nid: rule.id\ntitle: rule.description\nseverity: rule.level\n"
        "severities: {12: critical}\ntime: timestamp\nplan: agent.labels.plan\nstatus: state\n"
        "labels: agent.labels\n"
    )
    hit = {
        "rule": {"id": 5710, "description": "sshd: attempt", "level": 12},
        "timestamp": "2026-11-28T12:00:00.000+0000",
        "agent": {"labels": {"plan": "shop", "zone": "a"}},
        "state": "Closed",
    }
    [found] = signals(json.dumps({"hits": [hit]}).encode(), load_mapping(file))
    assert (found.source, found.id, found.title) == ("wazuh", "5710", "sshd: attempt")
    assert (found.severity, found.resolved) == ("critical", True)
    assert found.labels == {"plan": "shop", "zone": "a"}
    mapping = load_mapping(file)
    assert mapping_of(mapping.keys()) == mapping
    with pytest.raises(UsageError, match="no list at `hits`"):
        signals(b"{}", mapping)
    with pytest.raises(UsageError, match=r"alert 1 of the JSON has no text at `rule\.id`"):
        signals(b'{"hits": [{}]}', mapping)


def test_mapping_file_with_errors_names_each(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("source: W X\nid: a\ntitel: b\n")
    with pytest.raises(ConfigError) as caught:
        load_mapping(file)
    assert {p.path for p in caught.value.problems} == {"source", "titel"}
    with pytest.raises(ConfigError, match="no such file"):
        load_mapping(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="mapping: id"):
        mapping_of({"source": "x", "title": "t"})


def test_config_check_reads_the_mapping(tmp_path: Path) -> None:
    file, mapping = tmp_path / "drd.yaml", tmp_path / "wazuh.yaml"
    file.write_text("incident: {intake: {mapping: wazuh.yaml}}\n")
    [problem] = check_settings(file, explicit=True).problems
    assert (problem.file, problem.message) == (str(mapping), "there is no such file")
    mapping.write_text("source: wazuh\nid: a\ntitle: b\n")
    assert check_settings(file, explicit=True).problems == ()


def test_paths_lead_through_lists_and_keys_with_dots() -> None:
    value = {"a": [{"b": 1}], "kibana.alert.uuid": "x", "k": {"l.m": 2}}
    assert at_path(value, "a.0.b") == 1
    assert at_path(value, "kibana.alert.uuid") == "x"
    assert at_path(value, "k.l.m") == 2
    for nowhere in ("a.1.b", "a.b", "a.0.b.c", "x", "a.-1"):
        assert at_path(value, nowhere) is None


def test_times_that_nobody_means_are_none() -> None:
    assert time_of("2026-11-28T12:00:00Z") == time_of(1_795_867_200) == NOON
    assert time_of(1_795_867_200_000) == time_of("1795867200") == NOON
    for odd in ("0001-01-01T00:00:00Z", "soon", 1e400, -5, True, None, {}, "9" * 30, 0):
        assert time_of(odd) is None, odd


def test_everything_of_others_is_bounded() -> None:
    long = {"summary": "x" * 10_000, "description": "y" * 10_000}
    one = {**alert(**{"a" * 500: "b" * 500}), "annotations": long, "fingerprint": "z" * 500}
    one["labels"].update({f"l{n}": "v" for n in range(200)})
    one["padding"] = "p" * 30_000
    [found] = signals(webhook(one), None)
    assert len(found.title) <= 160
    assert len(found.text) <= 1000
    assert len(found.labels) <= 64
    assert max(map(len, [*found.labels, *found.labels.values()])) <= 200
    assert len(found.id) <= 100
    kept = found.verbatim()
    assert (len(kept["verbatim"]), kept["cut"]) == (LONGEST_VERBATIM, True)
    assert kept["bytes"] == len(found.raw)


def test_parts_of_a_text_are_where_they_are() -> None:
    text = ' {"a": [1, {"b": "}]"} ,[]]}\n[2]\n'
    assert [(p.value, text[p.start : p.end]) for p in documents(text)] == [
        ({"a": [1, {"b": "}]"}, []]}, '{"a": [1, {"b": "}]"} ,[]]}'),
        ([2], "[2]"),
    ]


def test_plans_and_severities_by_drd_yaml() -> None:
    rules = (PlanRule({"namespace": "orders-*", "env": "prod"}, ("orders", "billing")),)
    settings = IntakeSettings(rules=rules, severities={"page": "critical"})
    labels = {"plan": "shop, none", "namespace": "orders-eu", "env": "prod"}
    signal = Signal("x", "1", "t", severity="page", labels=labels)
    assert settings.plans_of(signal, ["shop", "orders"]) == ["shop", "orders"]
    assert settings.severity_of(signal, ["low", "critical"]) == "critical"
    assert settings.severity_of(Signal("x", "1", "t", severity="odd"), ["low"]) == ""
    other = Signal("x", "1", "t", labels={"namespace": "orders-eu"})
    assert settings.plans_of(other, ["shop", "orders"]) == []


def test_wrong_settings_of_the_intake_are_refused() -> None:
    token = SecretRef("credential", "intake")
    for wrong, words in (
        ({"listen": "127.0.0.1:9474"}, "no `token`"),
        ({"token": token}, "no `listen`"),
        ({"listen": "0.0.0.0:9474", "token": token}, "not a loopback address"),
        ({"listen": "[::]:9474", "token": token}, "not a loopback address"),
        ({"listen": "192.0.2.1:9474", "token": token}, "not a loopback address"),
        ({"listen": "127.0.0.1:9474", "token": SecretRef("command", ("x",))}, "must be in a file"),
    ):
        with pytest.raises(ValidationError, match=words):
            IncidentIntake(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="does not contain"):
        Incidents(intake=IncidentIntake(severities={"page": "worst"}))
    assert Mapped("x", "i", "t").resolved == ("resolved", "closed")

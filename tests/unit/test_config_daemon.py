"""drd.yaml: defaults, mistakes, the quick reader beside the whole one, and plans by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drd.config import location
from drd.config.daemon import DaemonSettings, load_settings
from drd.config.daemon_schema import DaemonFile
from drd.config.location import config_path, has_only_places, places, state_and_plans
from drd.config.plan_search import find_plan, plans_by_name
from drd.errors import ConfigError, UnknownPlan
from drd.model.alerts import Rules

DESIGN = """\
# every key has a default; relative paths are relative to this file
state: sqlite:////var/lib/drd/drd.db      # SQLAlchemy URL
plans: plans                              # directory
work_dir: /var/lib/drd/work
cache_dir: /var/cache/drd
run_as: drd
limits: {runs: 4, drills: 1, per_repository: 2}
log: {format: auto, level: info}          # auto: console on a terminal
people:
  - {name: first on call, email: oncall@example.com, roles: [incident commander, operator]}
notify:
  - {kind: webhook, url: {credential: alerts-url}, on: [firing, resolved, drill]}
  - {kind: smtp, host: mail.example.com, to: [oncall@example.com]}
  - {kind: heartbeat, url: {credential: heartbeat-url}}
kit: {required: false}
metrics: {textfile: /var/lib/prometheus/node-exporter/drd.prom, http: "127.0.0.1:9473"}
"""


def write(directory: Path, text: str) -> Path:
    path = directory / "drd.yaml"
    path.write_bytes(text.encode())
    return path


def both(path: Path) -> DaemonSettings:
    """The settings, after making sure that the quick reader says the same."""
    whole = load_settings(path, explicit=True)
    assert state_and_plans(str(path), explicit=True) == (whole.state_url, str(whole.plans_dir))
    return whole


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    path = tmp_path / "drd.yaml"
    settings = load_settings(path, explicit=False)
    assert settings == DaemonSettings(
        state_url="sqlite:////var/lib/drd/drd.db",
        plans_dir=tmp_path / "plans",
        work_dir=Path("/var/lib/drd/work"),
        cache_dir=Path("/var/cache/drd"),
    )
    found = state_and_plans(path, explicit=False)
    assert found == (settings.state_url, str(settings.plans_dir))


def test_an_explicit_file_has_to_be_there(tmp_path: Path) -> None:
    for reader in (load_settings, state_and_plans):
        with pytest.raises(ConfigError) as caught:
            reader(tmp_path / "drd.yaml", explicit=True)  # type: ignore[operator]
        assert caught.value.message.endswith("there is no such file")
        assert "--config" in caught.value.hint


def test_the_whole_file_of_the_design_is_understood(tmp_path: Path) -> None:
    found = both(write(tmp_path, DESIGN))
    assert (found.runs, found.drills, found.per_repository) == (4, 1, 2)
    assert (found.log_format, found.log_level, found.run_as) == ("auto", "info", "drd")
    assert found.state_dir == Path("/var/lib/drd")
    assert found.warnings == ()
    assert found.people == ("first on call",)
    assert found.metrics_textfile == Path("/var/lib/prometheus/node-exporter/drd.prom")
    assert found.metrics_http == ("127.0.0.1", 9473)


def test_limits_of_kinds_and_hosts(tmp_path: Path) -> None:
    limits = "limits: {runs: 8, backups: 6, copies: 3, maintenance: 2, per_host: 5}\n"
    found = both(write(tmp_path, limits))
    assert (found.backups, found.copies, found.maintenance, found.per_host) == (6, 3, 2, 5)


def test_the_organisation_and_its_regimes_are_read_from_drd_yaml(tmp_path: Path) -> None:
    text = "regimes: own\norganisation: {jurisdictions: [DE, US-CA], facts: {entity: essential}}\n"
    found = both(write(tmp_path, text))
    assert found.regimes_dir == tmp_path / "own"
    assert found.jurisdictions == ("DE", "US-CA")
    assert (found.facts, found.timezone) == ({"entity": "essential"}, None)


def test_all_runs_may_be_backups_unless_said_otherwise(tmp_path: Path) -> None:
    assert both(write(tmp_path, "limits: {runs: 8}\n")).backups == 8
    assert load_settings(tmp_path / "none.yaml", explicit=False).backups == 4


def test_hold_and_reminders_of_alerts_are_read_as_durations(tmp_path: Path) -> None:
    found = both(write(tmp_path, "alerts: {hold: 10m, remind: 8h, remind_critical: 30m}\n"))
    assert found.alert_rules == Rules(hold_s=600, remind_s=28800, remind_critical_s=1800)
    assert load_settings(tmp_path / "none.yaml", explicit=False).alert_rules == Rules()


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = "state: sqlite:///state/drd.db\nplans: ../plans\nwork_dir: w\ncache_dir: ./c\n"
    found = both(write(tmp_path, text))
    assert found.state_url == f"sqlite:///{tmp_path}/state/drd.db"
    assert found.plans_dir == tmp_path.parent / "plans"
    assert (found.work_dir, found.cache_dir) == (tmp_path / "w", tmp_path / "c")
    assert found.file == tmp_path / "drd.yaml"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9473", ("127.0.0.1", 9473)),
        ("127.8.9.10:1", ("127.8.9.10", 1)),
        ("localhost:9473", ("127.0.0.1", 9473)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_figures_are_served_on_any_address_of_loopback(
    tmp_path: Path, text: str, address: tuple[str, int]
) -> None:
    found = both(write(tmp_path, f'metrics: {{http: "{text}", textfile: m/drd.prom}}\n'))
    assert found.metrics_http == address
    assert found.metrics_textfile == tmp_path / "m/drd.prom"


BROKEN = [
    ("sate: x", 1, "sate", 'unknown key "sate"', 'did you mean "state"?'),
    ("state: /x.db", 1, "state", "is a path, not a URL", "write sqlite:////x.db."),
    ("state: 5", 1, "state", "is not a URL", "write sqlite:////var/lib/drd/drd.db (four slashes)."),
    ("state: sqlite://", 1, "state", "this URL does not contain the path of a file", "write sqlite:////var/lib/drd/drd.db (four slashes)."),
    ("state: mysql://h/d", 1, "state", "mysql databases are not supported", "use sqlite or postgresql."),
    ("state: postgresql://u:hunter2@h/d", 1, "state", "contains a password", "write `{url: URL, password: {credential: NAME}}`, with a URL without the password."),
    ("plans: 5", 1, "plans", "is a number, not a path", "write a path, like /var/lib/drd."),
    ("plans:", 1, "plans", "is empty", "give the key a value, or remove the line."),
    ("plans: p\nlimits: {runs: 0}", 2, "limits.runs", "0 is out of range", "write 1 to 1000."),
    ("log: {level: loud}", 1, "log.level", '"loud" is not allowed here', "write debug, info, warning or error."),
    ("notify: [{kind: pigeon}]", 1, "notify[0].kind", 'unknown kind "pigeon"', "use one of: webhook, smtp, exec, apprise, heartbeat."),
    ("metrics: {textfile: /x/drd.txt}", 1, "metrics.textfile", '"/x/drd.txt" does not end in .prom', "choose a name that ends in .prom: Prometheus's node exporter reads only such files."),
    ("metrics:\n  http: 9473", 2, "metrics.http", "is a number, not text", 'write "127.0.0.1:9473".'),
    ("metrics:\n  http: [8080]", 2, "metrics.http", "is a list, not text", 'write "127.0.0.1:9473".'),
    ("organisation: {timezone: {name: CET}}", 1, "organisation.timezone", "is a mapping, not text", "write a name like Europe/Berlin, or UTC."),
    ("notify: [{kind: smtp, name: m, host: [a], sender: a@b.example, to: [a@b.example]}]", 1, "notify[0].host", "is a list, not text", "write text."),
    ("metrics:\n  http: 8080", 2, "metrics.http", "is a number, not text", 'write "127.0.0.1:8080".'),
    ("metrics:\n  http: '99999'", 2, "metrics.http", '"99999" is not an address with a port', 'write "127.0.0.1:9473".'),
    ("records: {timestamp: {url: tsa, ca: /x.pem}}", 1, "records.timestamp.url", '"tsa" does not have the right form', 'write it like "https://tsa.example.com/tsr".'),
    ("metrics:\n  http: 0.0.0.0:9473", 2, "metrics.http", '"0.0.0.0:9473" is not a loopback address, and drd listens only on loopback', 'write "127.0.0.1:9473", and put a proxy with a login in front of it for others.'),
    ("metrics:\n  http: ':9473'", 2, "metrics.http", '":9473" is not a loopback address, and drd listens only on loopback', 'write "127.0.0.1:9473", and put a proxy with a login in front of it for others.'),
    ("metrics:\n  http: example.com:80", 2, "metrics.http", '"example.com:80" is not a loopback address, and drd listens only on loopback', 'write "127.0.0.1:80", and put a proxy with a login in front of it for others.'),
    ("metrics: {http: 127.0.0.1}", 1, "metrics.http", '"127.0.0.1" is not an address with a port', 'write "127.0.0.1:9473".'),
    ("metrics: {http: '127.0.0.1:99999'}", 1, "metrics.http", '"127.0.0.1:99999" is not an address with a port', 'write "127.0.0.1:9473".'),
    ("alerts: {hold: 5}", 1, "alerts.hold", "5 is not a duration", "write a number and a unit, like 15m or 7d."),
    ("organisation: {timezone: Berlin}", 1, "organisation.timezone", 'there is no time zone "Berlin"', 'did you mean "Europe/Berlin"?'),
    ("organisation: {timezone: CEST}", 1, "organisation.timezone", 'there is no time zone "CEST"', "CEST is an abbreviation: write the name of your zone, like Europe/Berlin or Europe/Paris."),
    ("organisation: {jurisdictions: [Germany]}", 1, "organisation.jurisdictions[0]", '"Germany" is not the code of a country or of a part of a country', "write EU, a country like DE, or a part of a country like US-CA."),
    ("- a", 1, "", "is not a mapping", "drd.yaml has lines like `key: value`."),
    ("plans: a\nplans: b", 2, "plans", 'the key "plans" is given twice here', "remove one of the two lines; the first is line 1."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "path", "message", "hint"), BROKEN)
def test_mistake_is_named_with_line_and_remedy(
    tmp_path: Path, *, text: str, line: int, path: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text), explicit=True)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path, problem.message) == (line, path, message)
    assert problem.hint == hint
    assert "hunter2" not in str(caught.value)


SPELLINGS = [
    "",
    "# nothing\n",
    "---\nplans: x\n",
    'plans: "x"\n',
    "plans: 'x y'\n",
    "plans: x # a comment\n",
    "plans: x#y\n",
    "plans: x y\n",
    "plans: x\n  y\n",
    "plans:\n  x\n",
    "plans: >\n  x\n",
    "plans: &a x\nrun_as: *a\n",
    "{plans: x, state: 'sqlite:///y'}\n",
    "plans: x\r\nstate: sqlite:///y\r\n",
    "plans:   x   \n",
    "plans: ./x/../y/\n",
    "plans: /\n",
    "plans: on\n",
    "plans: é\n",
    "plans: !!str x\n",
    "? plans\n: x\n",
    "'plans': x\n",
    "limits: {runs: 1,\n  drills: 1}\nplans: x\n",
    "metrics: {http: \"a:1 # b\", textfile: '['}\nplans: x\n",
    "metrics:\n  textfile: 'it''s'\nplans: x\n",
    "people:\n- {name: x}\nplans: x\n",
    'run_as: "a\n  plans: b"\nplans: x\n',
    "state: sqlite:///d.db?timeout=5\nplans: x\n",
    "state: sqlite:///./d/../e.db\n",
    "state: postgresql://h/d\n",
    "state: postgresql+psycopg:///d?host=/run\n",
    "\ufeffplans: x\n",
    "plans: x\n...\n",
    "plans: ~/x\n",
    "plans: x: y\n",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_both_readers_agree_on_any_spelling(tmp_path: Path, text: str) -> None:
    agree(tmp_path, text)


def agree(directory: Path, text: str) -> None:
    """Whatever the whole reader accepts, the quick one reads to the same places; where nothing can
    be wrong, nothing is."""
    path = write(directory, text)
    if has_only_places(str(path)):
        load_settings(path, explicit=True)
    try:
        whole = load_settings(path, explicit=True)
    except ConfigError:
        return
    found = state_and_plans(str(path), explicit=True)
    assert found == (whole.state_url, str(whole.plans_dir))


pieces = st.sampled_from(
    [
        *SPELLINGS,
        *DESIGN.splitlines(keepends=True),
        "\n",
        "  ",
        "# x\n",
        "x\n",
        "plans: ",
        "state: ",
        *[
            "sqlite:///a\n",
            "{",
            "}\n",
            "[",
            "]\n",
            '"',
            "'",
            ": ",
            "run_as: ",
            "|\n",
            "- a\n",
            "\t",
        ],
    ]
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=6).map("".join))
def test_both_readers_agree_on_any_mixture(tmp_path: Path, text: str) -> None:
    agree(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("state: sqlite:///state/drd.db\nplans: plans\n", True),
        ("# ours\n\nstate: sqlite:////var/lib/drd/drd.db  # here\npublic_dir: /srv/p", True),
        ("", True),
        ("state: sqlite:///:memory:\n", False),
        ("state: postgresql://drd@db/drd\n", False),
        ("state: sqlite:///a.db\nlog:\n  level: loud\n", False),
        ("state: sqlite:///a.db\nrun_as: drd\n", False),
        ("state: sqlite:///a.db\n  b.db\n", False),
        ("plans:\n", False),
        ("plan: plans\n", False),
    ],
)
def test_a_file_of_places_alone_needs_no_whole_reader(
    tmp_path: Path, text: str, *, only: bool
) -> None:
    path = write(tmp_path, text)
    assert has_only_places(str(path)) is only
    assert not has_only_places(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("text", [DESIGN, "state: sqlite:///x.db\nplans: p\n", ""])
def test_quick_reader_loads_neither_yaml_nor_pydantic(tmp_path: Path, text: str) -> None:
    code = (
        "import sys\nfrom drd.config.location import state_and_plans\n"
        "state_and_plans(sys.argv[1], explicit=True)\n"
        "print(sorted({'yaml', 'pydantic', 'dataclasses', 'pathlib'} & set(sys.modules)))"
    )
    # -S: an editable install loads pathlib before we do.
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, str(write(tmp_path, text))],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": root},
    )
    assert done.stdout.strip() == "[]"


def test_configuration_is_given_or_in_the_environment_or_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DRD_CONFIG", raising=False)
    assert config_path(None) == ("/etc/drd/drd.yaml", False)
    monkeypatch.setenv("DRD_CONFIG", "/x.yaml")
    assert config_path(None) == ("/x.yaml", True)
    assert config_path("/y.yaml") == ("/y.yaml", True)


# --- plans by name ----------------------------------------------------------------------------


@pytest.fixture
def plans(tmp_path: Path) -> DaemonSettings:
    directory = tmp_path / "plans"
    directory.mkdir()
    (directory / "orders.yaml").write_text("plan: orders-api\n")
    (directory / "billing.yml").write_text("plan: billing # ours\n")
    (directory / "broken.yaml").write_text("plan broken: [")
    (directory / "notes.txt").write_text("plan: notes\n")
    return load_settings(tmp_path / "drd.yaml", explicit=False)


@pytest.mark.parametrize(
    ("name", "file"),
    [("orders-api", "orders.yaml"), ("billing", "billing.yml"), ("broken", "broken.yaml")],
)
def test_plan_is_found_by_the_name_it_gives_itself(
    plans: DaemonSettings, name: str, file: str
) -> None:
    assert find_plan(plans, name) == plans.plans_dir / file


def test_path_to_a_file_stands_for_itself(plans: DaemonSettings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "x.yaml"
    elsewhere.write_text("plan: y\n")
    assert find_plan(plans, str(elsewhere)) == elsewhere
    with pytest.raises(UnknownPlan, match="there is no file"):
        find_plan(plans, str(tmp_path / "z.yaml"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("order-api", "did you mean orders-api?"),
        ("orders", "did you mean orders-api?"),
        ("zzz", "choose one of these plans: billing, broken, orders-api."),
    ],
)
def test_unknown_plan_names_the_nearest(plans: DaemonSettings, name: str, hint: str) -> None:
    with pytest.raises(UnknownPlan) as caught:
        find_plan(plans, name)
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


def test_unknown_plan_where_there_is_none_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(UnknownPlan) as caught:
        find_plan(load_settings(tmp_path / "drd.yaml", explicit=False), "x")
    assert "drd plan new" in caught.value.hint


def test_two_files_with_one_name_are_both_named(plans: DaemonSettings) -> None:
    other = plans.plans_dir / "z.yaml"
    other.write_text("plan: orders-api\n")
    with pytest.raises(ConfigError) as caught:
        find_plan(plans, "orders-api")
    assert str(other) in caught.value.message
    assert str(plans.plans_dir / "orders.yaml") in caught.value.message
    assert list(plans_by_name(plans.plans_dir)) == ["billing", "broken", "orders-api"]


@pytest.mark.parametrize(
    "text",
    [
        "extensions: [drd-a, drd_b.c]   # ours: drd-x\n",
        "extensions:\n  - drd-a\n  - drd_b.c  # drd-x\nlog: {level: info}\n",
        "extensions:\n- drd-a\n- 'drd_b.c'\n",
        '# extensions: [drd-x]\nextensions: [\n  drd-a, "drd_b.c",\n]\n',
    ],
)
def test_the_quick_reader_knows_the_extensions(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    named = places(str(path), explicit=True).extensions
    assert named == ("drd-a", "drd-b-c") == load_settings(path, explicit=True).extensions


def test_without_extensions_the_quick_reader_names_none(tmp_path: Path) -> None:
    for text in ("run_as: drd\n", "extensions: []\n", "# extensions: [drd-x]\nrun_as: drd\n"):
        assert places(str(write(tmp_path, text)), explicit=True).extensions == ()


def test_status_knows_every_key_of_drd_yaml() -> None:
    """It reads the file by a reader of its own, and would call a file with another key broken."""
    assert set(DaemonFile.model_fields) == location._KEYS

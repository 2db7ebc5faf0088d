"""Where things of a lost host go on a new one, and what its plans then say."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd import registry
from drd.config.daemon import load_settings
from drd.config.plan_file import plan_of_text
from drd.config.references import plan_references, rewritten
from drd.errors import DrdError
from drd.kit.install import conflicts, installed
from drd.kit.layout import LostHost, lay_out
from drd.model.plan import Plan, SecretRef

PLAN = """\
# the plan of the shop — 東京
plan: shop
objectives: {rpo: 15m, rto: 30m}   # promised
components:
  db:
    kind: postgres
    dsn: {credential: source}
    before: {command: [sync-it, now]}
repositories:
  primary:
    url: s3:https://s3.example.com/backups/p
    password:
      credential: restic   # ask Ann
    s3:
      access_key: {env: KEY_ID}
      secret_key:
        command:
          - pass
          - show drd   # the vault
      ca_cert: /etc/ssl/own.pem
  far: {url: /srv/far, password: {file: /root/far}, copy_of: primary}
checks:
  - {name: some, kind: sql, component: db, query: "select 1", expect: "> 0"}
targets:
  standby: {db: {dsn: &login {credential: standby}}}
  spare: {db: {dsn: *login}}
"""

CREDENTIAL = {name: SecretRef("credential", name) for name in ("source", "restic", "standby")}
KEY = SecretRef("env", "KEY_ID")
VAULT = SecretRef("command", ("pass", "show drd"))
FAR = SecretRef("file", "/root/far")
SECRETS = {CREDENTIAL["restic"]: "r", CREDENTIAL["standby"]: "t", KEY: "k", VAULT: "v", FAR: "f"}
CA = {"/etc/ssl/own.pem": b"PEM"}


def plan(text: str) -> Plan:
    return plan_of_text(text, Path("/etc/drd/plans/shop.yaml"))


def belongings(config: str | None = None, config_file: str = "/etc/drd/drd.yaml") -> LostHost:
    return LostHost({"shop": PLAN}, config, config_file, SECRETS, CA)


def test_references_are_found_wherever_the_schema_has_them() -> None:
    assert plan_references(PLAN, Path("p")) == {
        ("components", "db", "dsn"): CREDENTIAL["source"],
        ("repositories", "primary", "password"): CREDENTIAL["restic"],
        ("repositories", "primary", "s3", "access_key"): KEY,
        ("repositories", "primary", "s3", "secret_key"): VAULT,
        ("repositories", "far", "password"): FAR,
        ("targets", "standby", "db", "dsn"): CREDENTIAL["standby"],
        ("targets", "spare", "db", "dsn"): CREDENTIAL["standby"],
    }


def test_at_the_root_only_what_cannot_stay_is_rewritten() -> None:
    """Credentials and files keep their places and so the plan its hash; a variable and a command of
    the lost host become credentials."""
    layout = lay_out(belongings("log: {level: debug}  # why\n"), Path("/"))
    files = {str(f.path): f for f in layout.files}
    assert files["/etc/drd/drd.yaml"].content == b"log: {level: debug}  # why\n"
    text = files["/etc/drd/plans/shop.yaml"].content.decode()
    assert [a for a, b in zip(text.splitlines(), PLAN.splitlines(), strict=False) if a != b][
        :1
    ] == ["      access_key: {credential: env-key_id}"]
    assert "credential: restic   # ask Ann" in text
    assert "# the vault" in text
    secrets = {p: f.content.decode() for p, f in files.items() if f.mode == 0o600}
    assert secrets == {
        "/etc/drd/credentials/restic": "r",
        "/etc/drd/credentials/standby": "t",
        "/etc/drd/credentials/env-key_id": "k",
        "/etc/drd/credentials/command-" + _command_digest(secrets): "v",
        "/root/far": "f",
    }
    assert files["/etc/ssl/own.pem"].content == b"PEM"
    assert str(layout.state) == "/var/lib/drd/drd.db"


def test_a_host_with_its_drd_yaml_elsewhere_gets_nothing_in_etc_but_its_credentials() -> None:
    layout = lay_out(belongings("plans: p\n", "/opt/acme/own.yaml"), Path("/"))
    assert layout.config == Path("/opt/acme/own.yaml")
    files = {str(f.path): f.content.decode() for f in layout.files}
    assert files["/opt/acme/own.yaml"] == "plans: plans\n"
    text = files["/opt/acme/plans/shop.yaml"]
    assert "access_key: {file: /opt/acme/credentials/env-key_id}" in text
    assert [p for p in files if p.startswith("/etc/drd/")] == [
        "/etc/drd/credentials/restic",
        "/etc/drd/credentials/standby",
    ]


def _command_digest(secrets: dict[str, str]) -> str:
    (path,) = (p for p in secrets if "command-" in p)
    return path.rpartition("-")[2]


def test_a_plan_of_credentials_and_files_keeps_its_hash_at_the_root() -> None:
    text = PLAN.replace("{env: KEY_ID}", "{credential: restic}").replace(
        "        command:\n          - pass\n          - show drd   # the vault\n",
        "        credential: standby\n",
    )
    layout = lay_out(LostHost({"shop": text}, None, "/etc/drd/drd.yaml", SECRETS, CA), Path("/"))
    (there,) = (f.content.decode() for f in layout.files if f.path.name == "shop.yaml")
    assert there == text


def test_a_secret_that_differs_only_in_its_final_newline_is_there_already(tmp_path: Path) -> None:
    """`openssl rand -base64 32 > FILE` writes one, and drd reads the secret without it."""
    layout = lay_out(belongings(), tmp_path)
    mine = tmp_path / "etc/drd/credentials/restic"
    mine.parent.mkdir(parents=True)
    for text in ("r\n", "r\r\n"):
        mine.write_bytes(text.encode())
        assert conflicts(layout) == []
    with installed(layout, None) as written:
        assert mine not in written
    assert mine.read_bytes() == b"r\r\n"
    for other in ("r\n\n", "r ", "R\n", ""):
        mine.write_bytes(other.encode())
        assert conflicts(layout) == [mine]


def test_below_another_root_everything_leads_there() -> None:
    layout = lay_out(belongings(), Path("/new"))
    files = {str(f.path): f.content.decode() for f in layout.files}
    moved = plan(files["/new/etc/drd/plans/shop.yaml"])
    primary = moved.repositories["primary"]
    refs = [primary.password, primary.s3.access_key, primary.s3.secret_key]
    refs += [moved.repositories["far"].password]
    assert [r.source for r in refs if r] == ["file"] * 4
    assert [files[str(r.value)] for r in refs if r] == ["r", "k", "v", "f"]
    assert primary.s3.ca_cert == "/new/etc/ssl/own.pem"
    assert primary.url == "s3:https://s3.example.com/backups/p"
    assert files["/new/etc/drd/plans/shop.yaml"].startswith("# the plan of the shop — 東京\n")
    # An anchor is changed once, for both that lead to it.
    assert files["/new/etc/drd/plans/shop.yaml"].count("/credentials/standby") == 1
    assert [n.path for n in layout.needed] == ["/new/etc/drd/credentials/source", "sync-it"]
    assert not layout.needed[0].restoring
    config = files["/new/etc/drd/drd.yaml"]
    assert "state: sqlite:////new/var/lib/drd/drd.db\n" in config
    assert "work_dir: /new/var/lib/drd/work\n" in config
    assert "cache_dir: /new/var/cache/drd\n" in config


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("state: sqlite:///state/drd.db   # here\nplans: p\n", "/new/srv/drd/state/drd.db"),
        ("{state: 'sqlite:////data/drd.db', plans: p}\n", "/new/data/drd.db"),
        ("state: postgresql://db/drd\nplans: p\n", "/new/var/lib/drd/drd.db"),
    ],
)
def test_places_of_drd_yaml_are_kept_below_the_root(text: str, state: str) -> None:
    layout = lay_out(belongings(text, "/srv/drd/drd.yaml"), Path("/new"))
    assert str(layout.state) == state
    (config,) = (f.content.decode() for f in layout.files if f.path.name == "drd.yaml")
    assert f"sqlite:///{state}" in config
    assert ("# here" in text) == ("# here" in config)
    assert bool(layout.notes) == ("postgresql" in text)


def test_a_secret_of_a_target_that_is_not_there_is_named_as_needed_to_recover() -> None:
    few = {k: v for k, v in SECRETS.items() if k != CREDENTIAL["standby"]}
    layout = lay_out(LostHost({"shop": PLAN}, None, "/etc/drd/drd.yaml", few, CA), Path("/"))
    assert [(n.path, n.restoring) for n in layout.needed] == [
        ("/etc/drd/credentials/source", False),
        ("/etc/drd/credentials/standby", True),
        ("/etc/drd/credentials/standby", True),
        ("sync-it", False),
    ]


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "a file; rm x"])
def test_a_credential_that_is_not_a_plain_name_is_refused(name: str) -> None:
    text = PLAN.replace("credential: restic ", f"credential: {name} ")
    secrets = {**SECRETS, SecretRef("credential", name): "evil"}
    with pytest.raises(
        DrdError,
        match=r"must be the name of a file|the name of this secret is not valid as a file name",
    ):
        lay_out(LostHost({"shop": text}, None, "/etc/drd/drd.yaml", secrets, CA), Path("/"))


def test_a_credential_that_is_not_a_plain_name_is_not_written_while_a_package_is_missing() -> None:
    """drd refuses the plan as long as it has this name, so it stays as it was written."""
    name = "../../etc/cron.d/x"
    text = PLAN.replace("credential: restic ", f"credential: {name} ")
    secrets = {**SECRETS, SecretRef("credential", name): "evil"}
    registry.use((), [registry.Unavailable("drd-nowhere", "is missing", "install it.", None)])
    layout = lay_out(LostHost({"shop": text}, None, "/etc/drd/drd.yaml", secrets, CA), Path("/"))
    assert not [file for file in layout.files if b"evil" in file.content]
    (plan,) = (file for file in layout.files if file.path == Path("/etc/drd/plans/shop.yaml"))
    assert f"credential: {name} ".encode() in plan.content


def test_values_that_are_not_there_are_added() -> None:
    assert rewritten("", {}, {("a",): "x: y"}) == "a: 'x: y'\n"
    assert rewritten("b: 1", {}, {("a",): "x"}) == "b: 1\na: x\n"
    assert rewritten("{b: 1}\n", {}, {("a",): "x"}) == "{b: 1, a: x}\n"


def test_without_a_target_the_logins_of_the_source_are_needed_to_recover() -> None:
    text = PLAN[: PLAN.index("targets:")]
    layout = lay_out(LostHost({"shop": text}, None, "/etc/drd/drd.yaml", SECRETS, CA), Path("/"))
    assert ("/etc/drd/credentials/source", True) in [(n.path, n.restoring) for n in layout.needed]


def test_own_regimes_and_templates_lie_beside_drd_yaml_and_nowhere_else(tmp_path: Path) -> None:
    texts = {"regimes/acme.yaml": b"id: acme\n", "templates/press.j2": b"x"}
    texts |= {"exercises/friday.yaml": b"exercise: friday\n"}
    texts |= {"regimes/../../cron.d/x.yaml": b"evil", "regimes/.hidden.yaml": b"evil"}
    host = LostHost(
        {}, "regimes: /etc/cron.d\ntemplates: t\nexercises: e\n", "/opt/drd.yaml", {}, texts=texts
    )
    layout = lay_out(host, tmp_path)
    placed = {str(f.path.relative_to(tmp_path)): f.content for f in layout.files}
    config = placed.pop("opt/drd.yaml").decode()
    assert "regimes: regimes\n" in config
    assert "templates: templates\n" in config
    assert "exercises: exercises\n" in config
    assert placed == {
        "opt/regimes/acme.yaml": b"id: acme\n",
        "opt/templates/press.j2": b"x",
        "opt/exercises/friday.yaml": b"exercise: friday\n",
    }


@pytest.mark.parametrize(
    "text",
    [
        "records: {timestamp: {url: 'https://tsa/x', ca: tsa.pem}}\n",
        "records:\n  timestamp:\n    url: https://tsa/x\n    ca: tsa.pem  # ours\nrun_as: root\n",
    ],
)
def test_a_new_host_has_no_time_stamps_until_a_person_wants_them(tmp_path: Path, text: str) -> None:
    layout = lay_out(belongings(text), tmp_path)
    [config] = [f.content.decode() for f in layout.files if f.path.name == "drd.yaml"]
    file = tmp_path / "drd.yaml"
    file.write_text(config)
    assert load_settings(file, explicit=True).authority is None
    assert any("tsa.pem and the library" in n and "https://tsa/x" in n for n in layout.notes)

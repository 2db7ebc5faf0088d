"""The example package through the real drd: backup, drill with its check, its step, its channel."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.site import Result, Site
from tests.extension_support import install, install_example

PLAN = """\
components:
  conf: {{kind: files, paths: ['{base}/src']}}
checks:
  - {{name: as at backup, kind: files, component: conf}}
  - {{name: greeting, kind: contains, component: conf, path: {base}/src/motd, text: "{text}"}}
runbook:
  - restore: all
  - check: all
  - {{note: {{file: '{base}/notes', line: '${{plan}} of ${{point}} is back'}}}}
  - {{notify: 'noted: ${{steps.note.line}}'}}
targets:
  spare:
    conf: {{path: {base}/back}}
"""

NAMED = """\
extensions: [drd-example]
notify:
  - {{kind: logbook, path: {base}/book, on: [drill]}}
"""


@pytest.fixture
def site(short_tmp: Path) -> Site:
    """A site beside which the example package is installed; drd.yaml does not name it yet."""
    packages = install_example(short_tmp / "site-packages")
    site = Site(short_tmp / "site", environment={"PYTHONPATH": os.fspath(packages)})
    (site.base / "src").mkdir()
    (site.base / "src/motd").write_text("we are open\n")
    write_plan(site)
    return site


def write_plan(site: Site, text: str = "we are open") -> None:
    site.plan(PLAN.format(base=site.base, text=text))


def name_it(site: Site, more: str = NAMED) -> None:
    with (site.base / "drd.yaml").open("a") as file:
        file.write(more.format(base=site.base))


def checks(drilled: Result) -> dict[str, str]:
    return {row["name"]: row["verdict"] for row in drilled.json["checks"]}


def test_backup_drill_and_message_with_what_a_package_adds(site: Site) -> None:
    name_it(site)
    site.drd("backup", "shop")
    point = site.drd("points", "shop", "--json").json["points"][0]["point"]
    drilled = site.drd("drill", "shop", "--json")
    assert checks(drilled) == {"as at backup": "passed", "greeting": "passed"}
    [line] = (site.base / "notes").read_text().splitlines()
    assert line.startswith(f"shop of {point} is back (")
    told = [json.loads(row) for row in (site.base / "book").read_text().splitlines()]
    assert any(f"noted: {line}" in message["text"] for message in told)
    # Versions are in the evidence of the drill and in the manifest of the point.
    detail = json.dumps(site.catalogue("select detail from runs where kind = 'drill'"))
    assert "extension drd-example" in detail
    assert '"extension drd-example": "1.2.0"' in site.restic(
        "dump", "--tag", "manifest", "latest", "/manifest.json"
    )
    # Another major version is another plan, which was never drilled; another minor one is not.
    digest = digest_of(site)
    install_example(site.base.parent / "site-packages", version="1.7.0")
    assert digest_of(site) == digest
    install_example(site.base.parent / "site-packages", version="2.0.0")
    assert digest_of(site) != digest
    site.drd("backup", "shop")  # loads the plan
    words = "package drd-example 1.2.0, which is version 2 now"
    [status] = site.drd("status", "--json", code=None).json["plans"]
    assert f"the last drill used {words}: drd drill shop" in status["reasons"]
    assert f"UTC with {words}" in site.drd("readiness", "shop", "--json", code=None).out


def digest_of(site: Site) -> str:
    return str(site.drd("plan", "show", "shop", "--json").json["digest"])


def test_a_drill_fails_where_the_check_of_a_package_does(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fresh interpreters, which have the package on their path from their start."""
    monkeypatch.setenv("DRD_TEST_COLD", "1")
    name_it(site)
    write_plan(site, text="we are closed")
    site.drd("backup", "shop")
    drilled = site.drd("drill", "shop", "--json", code=4)
    assert checks(drilled)["greeting"] == "failed"


def test_a_recovery_carries_out_the_step_of_a_package(site: Site) -> None:
    name_it(site)
    site.drd("backup", "shop")
    site.drd("recover", "shop", "--target", "spare", "--yes")
    assert "is back" in (site.base / "notes").read_text()


def test_a_new_host_is_made_from_a_kit_and_from_a_repository(site: Site) -> None:
    """The new drd.yaml names the package; without the package, the error says what is missing."""
    name_it(site)
    site.drd("backup", "shop")
    key, kit = f"{site.base}/secrets/kit", f"{site.base}/shop.kit"
    site.secret("kit", "five words for a kit")
    site.drd("kit", "export", "shop", "--to", kit, "--passphrase-file", key)
    from_kit = ("--kit", kit, "--passphrase-file", key)
    password = ("--password-file", f"{site.base}/secrets/restic")
    stored = ("--repository", site.repository, *password, "--accept-commands")
    for name, source in (("kit", from_kit), ("repository", stored)):
        root = site.base / name
        root.mkdir()
        made = site.drd("bootstrap", *source, "--root", str(root))
        assert "shop: 1 restore point" in made.out
        config = f"{root}{site.base}/drd.yaml"
        assert "shop: ok" in site.drd("--config", config, "plan", "check").out
    del site.environment["PYTHONPATH"]
    root = site.base / "bare"
    root.mkdir()
    said = site.drd("bootstrap", *from_kit, "--root", str(root), code=2).err
    assert (
        'etc/plans/shop.yaml:13: checks[1].kind: unknown kind "contains": an extension may add it, '
        "but the package drd-example is not installed" in said
    )
    assert list(root.iterdir()) == []


OTHER = """\
components:
  conf: {{kind: files, paths: ['{base}/src']}}
checks:
  - {{name: as at backup, kind: files, component: conf}}
targets:
  spare:
    conf: {{path: {base}/back}}
"""


@pytest.mark.parametrize("source", ["kit", "repository"])
def test_a_new_host_without_a_package_is_made_for_the_plans_that_do_not_need_it(
    site: Site, source: str
) -> None:
    """Afterwards the package is installed, and the same command completes the host."""
    name_it(site, "extensions: [drd-example]\n")
    site.plan(OTHER.format(base=site.base), name="other")
    site.drd("backup", "other")
    site.drd("backup", "shop")
    key, kit = f"{site.base}/secrets/kit", f"{site.base}/both.kit"
    site.secret("kit", "five words for a kit")
    site.drd("kit", "export", "shop", "other", "--to", kit, "--passphrase-file", key)
    words = {
        "kit": ("--kit", kit, "--passphrase-file", key),
        "repository": (
            *("--repository", site.repository, "--accept-commands"),
            *("--password-file", f"{site.base}/secrets/restic"),
        ),
    }[source]
    root = site.base / "new"
    root.mkdir()
    site.environment, path = {}, site.environment
    made = site.drd("bootstrap", *words, "--root", str(root))
    assert "other: 1 restore point, newest" in made.out
    assert "shop: drd wrote the plan's file, but cannot use the plan" in made.out
    assert "an extension may add it, but the package drd-example is not installed" in made.err
    assert "HINT: install drd-example into " in made.err
    config = f"{root}{site.base}/drd.yaml"
    assert "other: ok" in site.drd("--config", config, "plan", "check", "other").out
    plan = Path(config).with_name("plans").joinpath("shop.yaml").read_text()
    assert f"file: {root}/" in plan.replace('"', "")
    site.environment = path
    again = site.drd("bootstrap", *words, "--root", str(root))
    assert "shop: 1 restore point, newest" in again.out
    assert Path(config).with_name("plans").joinpath("shop.yaml").read_text() == plan
    site.drd("--config", config, "recover", "shop", "--target", "spare", "--dry-run")


def test_a_package_that_is_not_named_is_not_used_and_the_error_says_what_to_do(site: Site) -> None:
    said = site.drd("plan", "check", "shop", code=2).out
    assert 'checks[1].kind: unknown kind "contains"' in said
    assert 'drd-example adds "contains": write extensions: [drd-example] into drd.yaml.' in said
    site.drd("backup", "shop", code=2)


def test_the_schema_and_the_reference_have_what_a_package_adds(site: Site) -> None:
    parts = ('"const": "contains"', '"note": {', '"await_file": {')
    without = (Path(__file__).parents[2] / "plans/plan.schema.json").read_text()
    assert [part for part in parts if part in without] == []
    name_it(site)
    schema = site.drd("plan", "schema").out
    assert [part for part in parts if part not in schema] == []
    headings = site.drd("plan", "schema", "--markdown").out.splitlines()
    assert {"### kind: contains", "### note", "### await_file"} <= {*headings}
    (site.base / "drd.yaml").write_text("state: [\n")
    broken = site.drd("plan", "schema")
    assert broken.out.strip() == without.strip()
    assert "warning: the schema does not contain what the packages in drd.yaml add" in broken.err


def test_status_and_completion_import_no_extension(site: Site) -> None:
    install(
        site.base.parent / "site-packages",
        "drd-broken",
        {"drd_broken.py": "raise SystemExit('imported')"},
        {"drd.checks": {"odd": "drd_broken:SPEC"}},
    )
    name_it(site, "extensions: [drd-broken]\n")
    assert site.drd("status", code=None).code in (0, 3)
    words = {"COMP_LINE": "drd backup ", "COMP_POINT": "11", "_ARGCOMPLETE": "1"}
    more = {"COMP_TYPE": "9", "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "_ARGCOMPLETE_IFS": "\n"}
    answers = site.base / "answers"
    site.environment |= {**words, **more, "_ARGCOMPLETE_STDOUT_FILENAME": str(answers)}
    site.drd(code=None)
    assert "shop" in answers.read_text().split()

"""`drd bootstrap` where something is there already, or goes wrong. The way from an empty machine to
a service that is back is in test_kit.py."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from tests.e2e.kit_site import Machine
from tests.e2e.prepared import prepared
from tests.e2e.site import Site, small_site
from tests.user_support import NOBODY, as_root


@pytest.fixture
def machine(short_tmp: Path) -> Machine:
    return Machine(short_tmp / "root")


def with_kit(base: Path) -> Site:
    site = small_site(base)
    identity = pyrage.x25519.Identity.generate()
    site.secret("identity", str(identity))
    site.drd("backup", "shop")
    site.drd(
        "kit", "export", "shop", "--to", f"{site.base}/k", "--recipient", str(identity.to_public())
    )
    return site


@pytest.fixture
def small() -> Iterator[Site]:
    with prepared(with_kit) as made:
        yield made


def from_kit(small: Site, machine: Machine, *words: str, code: int = 0) -> str:
    identity = ("--identity", f"{small.base}/secrets/identity")
    root = ("--root", str(machine.root))
    told = machine.drd("bootstrap", "--kit", f"{small.base}/k", *identity, *root, *words, code=code)
    return told.out + told.err


def test_a_different_existing_file_is_not_overwritten(small: Site, machine: Machine) -> None:
    mine = machine.root / str(small.base).lstrip("/") / "plans/shop.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("plan: shop\n")
    told = from_kit(small, machine, code=1)
    assert f"files exist that differ from those in the kit: {mine}" in told
    assert machine.everything() == {str(mine.relative_to(machine.root)): b"plan: shop\n"}


def test_the_installed_default_drd_yaml_is_replaced(small: Site, machine: Machine) -> None:
    machine.drd("install", "--prefix", str(machine.root))
    installed = machine.root / "etc/drd/drd.yaml"
    from_kit(small, machine, "--config", str(installed))
    assert str(machine.root) in installed.read_text()


def test_drd_yaml_goes_where_it_is_wanted_and_the_printed_commands_find_it(
    small: Site, machine: Machine
) -> None:
    """--config goes before $DRD_CONFIG, and both before the place on the lost host; below --root as
    everywhere."""
    former = f"{machine.root}{small.base}/drd.yaml"
    told = from_kit(small, machine)
    assert told.startswith(f"drd.yaml goes to {former} (its place on the lost host)\n")
    assert f"\nthe catalogue goes to {machine.root}{small.base}/state/drd.db\nwrote " in told
    assert f"Next: drd --config {former} recover shop" in told
    assert f"For all commands of this shell: export DRD_CONFIG={former}\n" in told
    assert sorted(p.name for p in (machine.root / "etc").rglob("*")) == []
    shutil.rmtree(machine.root)
    machine.environment["DRD_CONFIG"] = "/opt/a b/own.yaml"
    told = from_kit(small, machine)
    chosen = machine.root / "opt/a b/own.yaml"
    assert told.startswith(f"drd.yaml goes to {chosen} (as $DRD_CONFIG says)\n")
    words = next(line for line in told.splitlines() if line.startswith("Next: drd "))
    machine.drd(*shlex.split(words.removeprefix("Next: drd ")))
    told = from_kit(small, machine, "--config", str(chosen))
    assert "(as --config says)" in told
    assert "wrote" not in told, "a path below the root is that path"


def test_without_a_kit_the_former_place_is_only_named(small: Site, machine: Machine) -> None:
    """Whoever has the password of the repository may have written it there."""
    password = ("--password-file", f"{small.base}/secrets/restic", "--accept-commands")
    source = ("--repository", small.repository, *password)
    told = machine.drd("bootstrap", *source, "--root", str(machine.root))
    usual = machine.root / "etc/drd/drd.yaml"
    assert usual.is_file()
    assert f"on the lost host drd.yaml was {small.base}/drd.yaml" in told.err
    assert told.out.startswith(f"drd.yaml goes to {usual} (the usual place)\n")


def test_a_failed_bootstrap_removes_what_it_wrote(small: Site, machine: Machine) -> None:
    """The secrets and the plan are written when the catalogue cannot be."""
    state = machine.root / str(small.base).lstrip("/") / "state"
    state.parent.mkdir(parents=True)
    state.write_text("a file where a directory has to be")
    told = from_kit(small, machine, code=1)
    assert (
        f"HINT: move {state} away, or write below another directory: --root DIR. drd has "
        "removed the files that it had written."
    ) in told
    assert machine.everything() == {str(state.relative_to(machine.root)): state.read_bytes()}
    assert not (machine.root / "etc").exists()
    state.unlink()
    from_kit(small, machine)
    assert machine.after("points", "shop", "--json").json["points"]


@as_root
def test_catalogue_belongs_to_the_user_to_whom_an_install_gave_the_state(
    small: Site, machine: Machine
) -> None:
    """Else neither the service nor root, who acts for its user, could open it."""
    for place in (small.base, small.base.parent, *small.base.rglob("*")):
        place.chmod(0o755 if place.is_dir() else 0o644)
    state = machine.root / str(small.base).lstrip("/") / "state"
    state.mkdir(parents=True)
    for place in (machine.root, *machine.root.rglob("*")):
        place.chmod(0o755)
    os.chown(state, NOBODY, NOBODY)
    state.chmod(0o700)
    told = from_kit(small, machine)
    assert "this user may not use drd's catalogue" not in told
    made = (state / "drd.db").stat()
    assert (made.st_uid, made.st_mode & 0o777) == (NOBODY, 0o600)
    assert machine.after("points", "shop", "--json").json["points"]


def test_kit_brings_the_evidence_of_drills_and_the_scenario(small: Site, machine: Machine) -> None:
    """The drill came after the last replica, which is made at most hourly."""
    plan = small.base / "plans/shop.yaml"
    steps = (
        "[{stop: {unit: tick.service}, name: still, rehearse: skip, reason: production}, "
        "{restore: [db, conf]}, {check: all}, {wait: 1s, name: dns, when: {scenario: host-loss}}]"
    )
    plan.write_text(f"{plan.read_text()}runbook: {steps}\n")
    evidence = small.drd("drill", "shop", "--json").json["evidence"]
    identity = pyrage.x25519.Identity.from_str((small.base / "secrets/identity").read_text())
    recipient = ("--recipient", str(identity.to_public()))
    made = small.drd("kit", "export", "shop", "--to", f"{small.base}/k", *recipient).out
    assert (
        "Install them on a new machine before you use the kit there: systemd unit tick.service\n"
        in made
    )
    told = from_kit(small, machine)
    assert "Install on this host what is missing: systemd unit tick.service\n" in told
    assert "--target standby --scenario host-loss --dry-run" in told
    (point,) = machine.after("points", "shop", "--json").json["points"]
    assert point["proven_by"] == evidence
    assert f"last drill before the loss of the host: evidence {evidence}, which proved" in told
    noted = " ".join(machine.after("status", "shop", code=3).out.split())
    assert "not drilled since this host took over. A drill on the lost host had proven" in noted
    assert evidence in noted


def test_open_incidents_come_back_up_to_the_last_minute(small: Site, machine: Machine) -> None:
    """The copy of the catalogue in the repository is older than the incident."""
    key = small.base / "secrets/records"
    with (small.base / "drd.yaml").open("a") as file:
        file.write(f"records: {{key: {{file: {key}}}}}\n")
    small.drd("records", "init")
    identity = pyrage.x25519.Identity.from_str((small.base / "secrets/identity").read_text())
    recipient = ("--recipient", str(identity.to_public()))
    small.drd("kit", "export", "shop", "--to", f"{small.base}/k", *recipient)
    small.drd("incident", "open", "orders leak", "--plan", "shop")
    small.drd("incident", "log", "blocked the key")
    small.drd("records", "anchor", "--incidents")
    here = small.drd("incident", "show", "--json").json
    key.unlink()

    told = from_kit(small, machine)
    assert "records: 5 entries restored from the repositories, up to entry 6" in told
    assert "open incidents: 1" in told
    assert "drd records rotate --lost. Then: drd records continue" in told
    there = machine.after("incident", "show", "--json").json
    assert there.pop("timeline")[: len(here["timeline"])] == here.pop("timeline")
    assert there == here
    assert machine.after("records", "verify", "--json").json["vouched_by"]["entry"] == 6

    machine.after("records", "rotate", "--lost")
    [made] = machine.after("records", "continue", "--reason", "db1 burnt", "--json").json["records"]
    assert (made["kind"], made["body"]["seq"]) == ("continued", 6)
    assert "up to 6, were restored" in machine.after("records", "verify").out
    machine.after("incident", "log", "on the new machine")
    machine.after("records", "anchor", "--incidents")
    assert machine.after("records", "verify", "--json").json["whole"]


def test_a_plan_with_another_repository_does_not_keep_the_others_from_coming_back(
    short_tmp: Path, machine: Machine
) -> None:
    site = small_site(short_tmp / "site")
    text = (site.base / "plans/shop.yaml").read_text()
    text = text.replace("plan: shop", "plan: elsewhere")
    text = text.replace(site.repository, f"{site.base}/other-repository")
    (site.base / "plans/elsewhere.yaml").write_text(text)
    site.drd("backup", "elsewhere")
    site.drd("backup", "shop")
    words = ["--repository", site.repository, "--accept-commands"]
    words += ["--password-file", f"{site.base}/secrets/restic"]
    done = machine.drd("bootstrap", *words, "--root", str(machine.root))
    assert "shop: 1 restore point" in done.out
    assert "elsewhere: no complete restore point in the given repository" in done.out + done.err


def test_a_directory_of_the_lost_host_gets_the_remedy_of_a_new_host(
    short_tmp: Path, machine: Machine
) -> None:
    disk = short_tmp / "disk"
    disk.mkdir()
    site = small_site(short_tmp, f"{disk}/shop")
    identity = pyrage.x25519.Identity.generate()
    site.secret("identity", str(identity))
    site.drd("backup", "shop")
    to = ("--to", f"{short_tmp}/k", "--recipient", str(identity.to_public()))
    made = site.drd("kit", "export", "shop", *to)
    assert (
        f"drd: warning: plan shop stores only in directories ({disk}/shop). If all copies"
        in made.err
    )
    shutil.rmtree(disk)
    told = from_kit(site, machine)
    assert '"event"' not in told
    assert (
        f"drd: shop: directory {disk} does not exist\nHINT: if {disk}/shop was on a disk of" in told
    )
    assert "mkdir" not in told
    assert f"drd --config {machine.config} catalogue rebuild shop\n" in told


OWN = {
    "regimes/acme.yaml": "id: acme\nextends: contract\n",
    "playbooks/contain.yaml": "playbook: contain\ntitle: Contain\nabout: A key.\n"
    "use_when: A key leaked.\ntasks:\n  - name: call\n    text: Call the lead.\n"
    "    role: operator\n    steps: [{name: call, manual: {do: Call the lead.}}]\n",
    "exercises/friday.yaml": "exercise: friday\ntitle: Friday\nabout: A mail.\ninjects:\n"
    "  - name: mail\n    at: 0m\n    tell: A mail came.\n"
    "    questions: [{name: call, ask: Whom do you call?, words: [lead]}]\n",
    "templates/press.j2": "{# audience: customers #}\nWe know of it.\n",
    "awareness/report.md": "# Report\n\nCall the lead.\n",
}


@pytest.mark.parametrize("source", ["kit", "repository"])
def test_an_empty_machine_gets_the_own_texts_of_the_lost_host(
    short_tmp: Path, machine: Machine, source: str
) -> None:
    site = small_site(short_tmp / "site")
    kinds = sorted({name.partition("/")[0] for name in OWN})
    with (site.base / "drd.yaml").open("a") as file:
        file.write("".join(f"{kind}: own-{kind}\n" for kind in kinds))
    for name, text in OWN.items():
        (site.base / f"own-{name}").parent.mkdir(exist_ok=True)
        (site.base / f"own-{name}").write_text(text)
    site.drd("config", "check")
    site.drd("backup", "shop")
    if source == "kit":
        identity = pyrage.x25519.Identity.generate()
        site.secret("identity", str(identity))
        recipient = ("--recipient", str(identity.to_public()))
        site.drd("kit", "export", "shop", "--to", f"{site.base}/k", *recipient)
        words = ["--kit", f"{site.base}/k", "--identity", f"{site.base}/secrets/identity"]
    else:
        words = ["--repository", site.repository, "--accept-commands"]
        words += ["--password-file", f"{site.base}/secrets/restic"]
    machine.drd("bootstrap", *words, "--root", str(machine.root))
    etc = machine.config.parent
    for name, text in OWN.items():
        assert (etc / name).read_text() == text, name
    assert [f"{kind}: {kind}" in machine.config.read_text() for kind in kinds] == [True] * 5
    assert "contain" in machine.after("playbook", "list").out
    assert "friday" in machine.after("exercise", "list").out
    assert "acme" in machine.after("obligations", "list").out

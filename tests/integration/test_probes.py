"""The daemon's look at repositories: each in its turn, what hangs holds nobody up, and only news is
written."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd import secrets
from drd.bootstrap import App
from drd.config.plan_file import load_plan
from drd.daemon import probes as module
from drd.daemon.probes import Probes
from drd.errors import SecretUnavailable, WrongKey
from drd.flows.repository.observed_state import probe, recording_state
from drd.model.plan import S3Access, SecretRef
from drd.model.repositories import Meeting
from drd.model.schedule import Schedule

PLAN = """\
plan: {name}
objectives: {{rpo: 1h, rto: 1h}}
components:
  files: {{kind: files, paths: [/etc]}}
repositories:
  primary: {{url: {url}, password: {{env: X}}}}
"""


class House:
    def __init__(self, directory: Path) -> None:
        (directory / "plans").mkdir()
        config = directory / "drd.yaml"
        config.write_text(
            "state: sqlite:///state/drd.db\nplans: plans\nwork_dir: w\ncache_dir: c\n"
        )
        self.directory = directory
        self.app = App(str(config))
        self.schedules: dict[str, Schedule] = {}
        self.news = 0
        self.probes = Probes(self.app, self.schedules.get, self._heard)

    def _heard(self) -> None:
        self.news += 1

    def repository(self, name: str) -> Path:
        place = self.directory / name
        place.mkdir()
        (place / "config").write_bytes(name.encode())
        file = self.directory / f"plans/{name}.yaml"
        file.write_text(PLAN.format(name=name, url=place))
        self.schedules[name] = self.app.plans.accept(load_plan(file))
        self.app.catalogue.repositories.record(str(place), "a" * 64, self.app.clock.now())
        return place

    def lost(self, name: str) -> str | None:
        [known] = self.app.catalogue.health.of_plan(name)
        return known.lost or ("unreachable" if known.unreachable else None)

    def until(self, done: str | None, name: str, *, turns: float = 0.0, hanging: int = 0) -> None:
        """Turns of the clock until it is so, each when all checks but those that hang are over: a
        turn far ahead takes one that is being made for one that hangs."""
        limit = time.monotonic() + 60
        while self.lost(name) != done or self.probes._workers > hanging:
            assert time.monotonic() < limit, (name, self.lost(name))
            if self.probes._workers <= hanging:
                self.probes.turn(time.monotonic() + turns)
            time.sleep(0.02)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.probes.stop()
    found.app.catalogue.close()


def test_a_lost_and_restored_repository_is_noticed(house: House) -> None:
    place = house.repository("shop")
    house.app.catalogue.health.record_config_digest(str(place), "0" * 64)
    config = (place / "config").read_bytes()
    (place / "config").unlink()
    house.until("emptied", "shop", turns=60)
    assert house.news == 1
    (place / "config").write_bytes(config)
    digest = house.probes.ask(module._Place(str(place), "shop", 0.0))
    assert digest is not None
    house.app.catalogue.health.record_config_digest(str(place), digest)
    house.probes._refreshed = -1000.0
    house.until(None, "shop", turns=400)
    assert house.news == 2


def test_a_repository_whose_password_is_missing_is_not_well_because_its_storage_answers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was unreachable and well in turn, and each turn raised and resolved alerts."""
    place = house.repository("shop")
    secret = SecretUnavailable("there is no secret")

    class Local:
        url = str(place)
        opened_with = ""
        opens = False

        def probe(self) -> str:
            return "d" * 64

        def identity(self) -> str:
            if not self.opens:
                raise secret
            return "a" * 64

    catalogue, clock = house.app.catalogue, house.app.clock
    catalogue.health.record_config_digest(str(place), "d" * 64)
    catalogue.health.record_state(str(place), Meeting("unreachable", "no secret"), clock.now())
    probe(catalogue, clock, Local())
    assert house.lost("shop") == "unreachable"
    repository = Local()
    repository.opens = True
    assert probe(catalogue, clock, repository)
    assert house.lost("shop") is None


def test_plans_with_other_secrets_for_the_same_repository_are_probed_apart(house: House) -> None:
    place = house.repository("shop")
    for name, password in (("other", "Y"), ("like-shop", "X")):
        file = house.directory / f"plans/{name}.yaml"
        file.write_text(PLAN.format(name=name, url=place).replace("env: X", f"env: {password}"))
        house.schedules[name] = house.app.plans.accept(load_plan(file))
    house.probes.turn(time.monotonic())
    secrets_of = {
        name: house.app.plans.in_force(name).primary.opened_with for name in house.schedules
    }
    assert secrets_of["shop"] == secrets_of["like-shop"] != secrets_of["other"]
    assert house.probes._places.keys() == {(str(place), of) for of in secrets_of.values()}


def test_after_a_reload_what_was_wrong_is_checked_at_once(house: House) -> None:
    place = house.repository("shop")
    digest = house.probes.ask(module._Place(str(place), "shop", 0.0))
    assert digest is not None
    health, now = house.app.catalogue.health, house.app.clock.now()
    health.record_config_digest(str(place), digest)
    for asked in (lambda: None, house.probes.check_at_once):  # a start is as good as a reload
        health.record_state(str(place), Meeting("emptied", "somebody had moved it"), now)
        asked()
        house.until(None, "shop")
    health.record_state(str(place), Meeting("emptied", "somebody had moved it"), now)
    house.probes.turn(time.monotonic())
    assert house.probes._workers == 0, "otherwise in its turn"


@pytest.mark.parametrize("is_service", [False, True])
def test_a_password_file_with_another_text_than_the_service_has_is_no_lost_repository(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_service: bool
) -> None:
    """Only the service can say whether its own text opens the repository."""
    place, app = house.repository("shop"), house.app
    handed, file = tmp_path / "handed", tmp_path / "credentials/restic"
    for directory in (handed, file.parent):
        directory.mkdir()
    file.write_text("another text")
    copy = handed / "drd_restic"
    copy.write_text("the text of before")
    monkeypatch.setattr(secrets, "CREDENTIALS", file.parent)
    monkeypatch.setattr(secrets, "SERVICE_COPIES", handed)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if is_service:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))

    def shut() -> WrongKey:
        error = WrongKey("the password does not open it")
        error.changed = secrets.changed_at(SecretRef("credential", "restic"))
        return error

    services: Any = SimpleNamespace(catalogue=app.catalogue, clock=app.clock)
    repository: Any = SimpleNamespace(url=str(place), opened_with="")
    with pytest.raises(WrongKey) as told, recording_state(services, repository):
        raise shut()
    assert house.lost("shop") == ("shut" if is_service else None)
    assert f"{file} was changed at" in told.value.message
    if is_service:
        assert told.value.message.endswith("but the service tried its copy of the former text")
        assert told.value.hint == "drd doctor && systemctl restart drd"
    else:
        assert "the running service still has the former text" in told.value.message
        assert f"`install -m 600 {copy} {file}`" in told.value.hint

    class Local:
        url = str(place)
        opened_with = ""

        def probe(self) -> str:
            return "d" * 64

        def identity(self) -> str:
            raise shut()

    unreachable = Meeting("unreachable", "no answer")
    app.catalogue.health.record_state(str(place), unreachable, app.clock.now())
    assert not probe(app.catalogue, app.clock, Local()), "no news"
    assert house.lost("shop") == ("shut" if is_service else "unreachable")


def test_a_hanging_probe_is_unreachable_and_blocks_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, other = house.repository("hangs"), house.repository("other")
    over, ask = threading.Event(), house.probes._prober.probe

    def slow(url: str, access: S3Access) -> str | None:
        if url == str(hangs):
            over.wait(60)
        return ask(url, access)

    monkeypatch.setattr(house.probes._prober, "probe", slow)
    (other / "config").unlink()
    try:
        house.until("emptied", "other", turns=60, hanging=1)
        house.until("unreachable", "hangs", turns=module.PATIENCE_S + 100, hanging=1)
    finally:
        over.set()

"""Credentials that came after the start of the service, which has copies of those of its start."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd import secrets
from drd.daemon.credentials import CredentialWatch, GoneSecrets, require_credentials
from drd.errors import (
    ConfigError,
    DrdError,
    RepositoryMissing,
    RepositoryUnreachable,
    SecretUnavailable,
)
from drd.flows.repository.observed_state import recording_state
from drd.model.alert_facts import GoneSecret, HostFacts, LaterCredential, PlanMore
from drd.model.compliance import assess
from drd.model.conditions import conditions
from drd.model.host_conditions import host_conditions, missing_secret
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.recorded_remedy import is_command
from drd.model.repositories import Meeting
from drd.process.clock import SystemClock
from drd.repositories import open_repository
from tests import status_support
from tests.status_support import healthy
from tests.user_support import NOBODY, acting_as, as_root

NOW = datetime(2026, 11, 28, 1, 10, 3, tzinfo=UTC)
SERVICE = "/run/credentials/drd.service"


class Service:
    """The directory of the administrator, and the one that systemd made of it."""

    def __init__(self, base: Path) -> None:
        self.source, self.handed = base / "credentials", base / "run"
        self.source.mkdir(mode=0o700)
        for name in ("hook", "dsn"):
            self.write(name, f"the secret of {name}")
        self.start()

    def start(self) -> None:
        self.handed.mkdir(exist_ok=True)
        for file in self.source.iterdir():
            (self.handed / f"drd_{file.name}").write_bytes(file.read_bytes())
        self.watch = CredentialWatch(self.source, self.handed)

    def write(self, name: str, text: str) -> None:
        (self.source / name).write_text(text)
        (self.source / name).chmod(0o600)

    def later(self) -> list[tuple[str, bool]]:
        return [(later.name, later.added) for later in self.watch.later()]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_changed_and_added_files_are_named_with_their_times_until_the_next_start(
    service: Service,
) -> None:
    assert service.later() == []
    before = datetime.now(UTC)
    service.write("hook", "another secret")
    service.write("new", "a secret")
    service.write("new~", "an editor's copy")
    service.write(".swp", "an editor's, too")
    (service.source / "directory").mkdir()
    assert service.later() == service.later() == [("hook", False), ("new", True)]
    assert all(abs(x.at - before) < timedelta(seconds=30) for x in service.watch.later())
    service.write("hook", "the secret of hook")
    assert service.later() == [("new", True)], "the service has this text"
    (service.source / "new").unlink()
    assert service.later() == []
    service.write("new", "a secret")
    service.write("dsn", "another secret")
    service.handed.joinpath("other").write_text("from another setting of the unit")
    assert service.later() == [("dsn", False), ("new", True)]
    (service.source / "directory").rmdir()
    service.start()
    assert service.later() == []


def test_a_file_that_was_moved_there_counts_from_the_move(service: Service, tmp_path: Path) -> None:
    old = tmp_path / "prepared"
    old.write_text("another secret")
    os.utime(old, (1, 1))
    old.rename(service.source / "hook")
    (later,) = service.watch.later()
    assert datetime.now(UTC) - later.at < timedelta(seconds=30)


def test_outside_of_a_service_there_is_nothing_to_compare(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert CredentialWatch(service.source).later() == ()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(service.handed))
    service.write("hook", "another secret")
    assert [x.name for x in CredentialWatch(service.source).later()] == ["hook"]
    assert CredentialWatch(service.source / "none", service.handed).later() == ()


@as_root
def test_without_the_right_to_read_them_the_directory_shows_an_exchange(service: Service) -> None:
    for directory in (service.handed, *service.handed.parents):
        directory.chmod(directory.stat().st_mode | 0o011)
    os.utime(service.source, (1, 1))

    def later() -> list[tuple[str, bool]]:
        with acting_as(NOBODY):
            return service.later()

    assert later() == []
    os.utime(service.handed, (2, 2))
    service.write("new", "a secret")
    assert later() == [("", False)]


def test_the_condition_names_file_time_and_command() -> None:
    later = (LaterCredential("hook", NOW), LaterCredential("dsn", NOW, added=True))
    [found] = host_conditions(HostFacts(credentials=later), [("shop", 60.0)], NOW)
    assert (found.kind, found.severity, found.remedy) == (
        "credentials", "warning", "drd doctor && systemctl restart drd",
    )  # fmt: skip
    assert found.text == (
        "the service does not use these files of /etc/drd/credentials before a restart: hook "
        "(changed at 2026-11-28 01:10:03 UTC), dsn (added at 2026-11-28 01:10:03 UTC). A restart "
        "removes the former text of a changed file, which only the service still has: restart the "
        "service only if drd doctor finds that the new text works"
    )
    [added] = host_conditions(HostFacts(credentials=later[1:]), [("shop", 60.0)], NOW)
    assert added.remedy == "systemctl restart drd"
    assert added.text.endswith("before a restart: dsn (added at 2026-11-28 01:10:03 UTC)")
    [unnamed] = host_conditions(
        HostFacts(credentials=(LaterCredential("", NOW),)), [("shop", 60.0)], NOW
    )
    assert "a file (changed at 2026-11-28 01:10:03 UTC)" in unnamed.text


# --- files that are gone ------------------------------------------------------------------------


def test_a_removed_file_is_named_with_the_time_of_its_removal_until_it_is_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(service.handed))
    monkeypatch.setattr(secrets, "CREDENTIALS", service.source)
    watch, names = GoneSecrets(), ("dsn", "hook", "never")
    files = {str(service.source / name): "shop" for name in names}
    (service.source / "hook").unlink()
    os.utime(service.source, (NOW.timestamp(), NOW.timestamp()))
    expected = (
        GoneSecret(str(service.source / "hook"), NOW, str(service.handed / "drd_hook"), "shop"),
        GoneSecret(str(service.source / "never"), NOW, plan="shop"),
    )
    assert watch.of(files) == expected
    service.write("other", "a secret")
    assert watch.of(files) == expected, "the time of the first look"
    shared = watch.of(dict.fromkeys(files, ""))
    assert {one.plan for one in shared} == {""}, "another plan names them, too"
    service.write("hook", "the secret of hook")
    assert watch.of(files) == expected[1:]
    assert watch.of({str(service.source / "dsn"): "shop"}) == ()


@as_root
def test_a_file_that_we_may_not_look_for_counts_as_there(service: Service) -> None:
    for directory in (service.handed, *service.handed.parents):
        directory.chmod(directory.stat().st_mode | 0o011)
    with acting_as(NOBODY):
        assert GoneSecrets().of({str(service.source / "never"): ""}) == ()


def test_the_condition_of_a_file_that_is_gone_names_it_and_what_still_works() -> None:
    gone = (
        GoneSecret("/etc/drd/credentials/dsn", NOW, f"{SERVICE}/drd_dsn"),
        GoneSecret("/k", None),
    )
    of_shop = GoneSecret("/own", NOW, plan="shop")
    facts = HostFacts(gone_secrets=(*gone, of_shop))
    handed, plain = host_conditions(facts, [("shop", 60.0)], NOW)
    assert (handed.kind, handed.severity, handed.subject, handed.remedy) == (
        "secret-missing",
        "warning",
        "/etc/drd/credentials/dsn",
        f"cp -n {SERVICE}/drd_dsn /etc/drd/credentials/dsn",
    )
    assert is_command(handed.remedy), "so root is shown it"
    assert handed.text == (
        "secret file /etc/drd/credentials/dsn, which a plan or drd.yaml names, is missing since "
        "2026-11-28 01:10:03 UTC: until the service stops, it has the only copy of this secret"
    )
    assert plain.text == "secret file /k, which a plan or drd.yaml names, is missing"
    assert plain.remedy == "write the secret to /k again (owner root, mode 0600)"
    own = missing_secret(of_shop)
    assert own.text.startswith("secret file /own, which the plan names, is missing since ")
    more = PlanMore(gone_secrets=(of_shop,))
    facts_of_it = healthy()
    assert own in conditions(assess(facts_of_it, status_support.NOW), facts_of_it, more, NOW)


def test_the_error_of_a_file_that_is_gone_has_the_last_change_of_its_directory(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    os.utime(service.source, (NOW.timestamp(), NOW.timestamp()))
    changed = "(the directory changed last at 2026-11-28 01:10:03 UTC)"
    with pytest.raises(SecretUnavailable) as error:
        secrets.resolve(SecretRef("credential", "never"), credentials=service.source)
    assert error.value.message == f"credential never is not in {service.source} {changed}"
    with pytest.raises(SecretUnavailable) as error:
        secrets.resolve(SecretRef("file", str(service.source / "never")))
    assert error.value.message == (
        f"cannot read secret file {service.source}/never: No such file or directory {changed}"
    )


def test_credential_that_came_after_the_start_is_named_with_its_line_and_needs_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    file = tmp_path / "drd.yaml"
    file.write_text(
        "#  - {kind: webhook, url: {credential: webhook}}\n"
        "#  - {kind: webhook, url: {credential: hook}}\n"
        "notify:\n"
        "- {kind: webhook, url: {credential: hook2}}\n"
        "- {kind: webhook, url: {credential: hook}}\n"
    )
    with pytest.raises(ConfigError) as refused:
        require_credentials(SecretRef("credential", "hook"), str(file))
    [problem] = refused.value.problems
    assert (problem.line, refused.value.needs_restart) == (5, True)


def test_a_missing_file_names_the_copy_of_the_running_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "CREDENTIALS", service.source)
    monkeypatch.setattr(secrets, "SERVICE_COPIES", service.handed)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (service.source / "hook").unlink()
    with pytest.raises(SecretUnavailable, match="still has a copy, until it stops") as missing:
        secrets.resolve(SecretRef("credential", "hook"), credentials=service.source)
    assert missing.value.hint == f"cp -n {service.handed}/drd_hook {service.source}/hook"
    with pytest.raises(SecretUnavailable) as never:
        secrets.resolve(SecretRef("credential", "never"), credentials=service.source)
    assert never.value.hint == f"write the secret to {service.source}/never, mode 0600."


def test_the_former_text_of_a_changed_file_is_with_the_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "CREDENTIALS", service.source)
    monkeypatch.setattr(secrets, "SERVICE_COPIES", service.handed)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert secrets.former_of_service(service.source / "hook") is None, "it is the same"
    service.write("hook", "openssl rand")
    assert secrets.former_of_service(service.source / "hook") == service.handed / "drd_hook"
    assert secrets.former_of_service(service.source / "never") is None


def _spec(name: str) -> RepositorySpec:
    return RepositorySpec("primary", "s3:http://localhost/bucket", SecretRef("credential", name))


def test_what_root_finds_with_a_changed_secret_changes_no_verdict_before_the_service_uses_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "CREDENTIALS", service.source)
    monkeypatch.setattr(secrets, "SERVICE_COPIES", service.handed)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    recorded: list[Meeting] = []
    health = SimpleNamespace(
        record_state=lambda _, found, *__: recorded.append(found),
        places=list,
    )
    known = SimpleNamespace(id_of=lambda _: "5ca1ab1e")
    services: Any = SimpleNamespace(
        clock=SystemClock(), catalogue=SimpleNamespace(health=health, repositories=known)
    )
    spec = _spec("dsn")

    def finds(error: DrdError | None) -> int:
        recorded.clear()
        repository = open_repository(spec, cache_dir=service.source, resolve=lambda _: "x")
        with suppress(DrdError), recording_state(services, repository):
            if error is not None:
                raise error
        return len(recorded)

    refused = RepositoryUnreachable("it does not accept the access key")
    gone = RepositoryMissing("there is no bucket", state="gone")
    assert (finds(refused), finds(gone), finds(None)) == (1, 1, 1)
    service.write("hook", "of another repository")
    assert finds(refused) == 1
    service.write("dsn", "a new key")
    assert (finds(refused), finds(gone), finds(None)) == (0, 0, 0)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(service.handed))
    assert finds(refused) == 1, "the service itself judges what it uses"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    service.start()
    assert finds(refused) == 1, "after its restart it uses the new text"

"""Putting documents back: only what differs, in an order that the server takes, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drd.errors import Cancelled, TargetError
from drd.kinds.http.client import Api
from drd.model.difference import difference
from tests.integration.http.support import KIND, World, restored
from tests.servers.rest_api import RestApi


@pytest.fixture
def start() -> Iterator[Callable[[], RestApi]]:
    made: list[RestApi] = []

    def one() -> RestApi:
        made.append(RestApi())
        return made[-1]

    yield one
    for api in made:
        api.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def ending_after(changes: int) -> Callable[..., Any]:
    """`Api.send` in a run that is ended before its next request that changes something."""
    send, left = Api.send, iter(range(changes))

    def ends(self: Api, method: str, path: str, body: Any = ...) -> Any:
        if method != "GET" and next(left, None) is None:
            raise Cancelled("ended")
        return send(self, method, path, body)

    return ends


def changing(api: RestApi) -> list[str]:
    """The requests since the last call that change something."""
    sent = [f"{method} {path}" for method, path in api.requests if method != "GET"]
    api.requests.clear()
    return sent


def test_only_what_differs_is_sent_and_the_dry_run_says_it_before(
    world: World, start: Callable[[], RestApi]
) -> None:
    api = start()
    api.fill()
    snapshot, data = world.captured(api)
    del api.services[1]
    api.services[2]["port"] = 1
    api.add("theirs")
    api.requests.clear()
    target = world.target(api)
    assert target.would_do(snapshot) == (
        "POST /services (creates service-shop%2F0)",
        "PUT /services/2 (updates service-shop%2F1)",
        "DELETE /services/6 (removes service-theirs)",
    )
    assert changing(api) == []
    assert restored(target, snapshot, data) == ()
    assert changing(api) == ["POST /services", "PUT /services/2", "DELETE /services/6"]
    assert restored(world.target(api, "run2"), snapshot, data) == ()
    assert changing(api) == []


def test_an_unchanged_configuration_has_the_same_bytes_and_a_change_is_named(
    world: World, start: Callable[[], RestApi]
) -> None:
    api = start()
    api.fill()
    before, data = world.captured(api)
    for service in api.services.values():
        service |= {"updated_at": service["updated_at"] + 1, "tags": service["tags"][::-1]}
    again, same = world.captured(api)
    assert same == data
    assert again.facts["left_out"] == {"service-{name}": ["/id", "/updated_at"]}
    api.services[3]["port"] = 1
    api.settings = {"theme": "light", "limits": {"rate": 2.5}, "secret_key": "x"}
    after, _ = world.captured(api)
    assert before.fingerprint is not None
    assert after.fingerprint is not None
    found = difference(before.fingerprint, after.fingerprint, owners=True)
    assert [(f.change, f.path) for f in found.files] == [
        ("changed", "/service-shop%2F2"),
        ("changed", "/service-shop%2F2/port"),
        ("changed", "/settings"),
        ("changed", "/settings/theme"),
        ("changed", "/settings/~hidden"),
    ]


def test_a_refused_request_is_sent_again_after_the_others(
    world: World, start: Callable[[], RestApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = start()
    api.fill()
    snapshot, data = world.captured(api)
    api.clear()
    answer = api.answer

    def needs_settings(method: str, target: str, body: Any) -> tuple[int, Any]:
        if method == "POST" and api.settings is None:
            return 400, {"error": "no settings yet"}
        return answer(method, target, body)

    monkeypatch.setattr(api, "answer", needs_settings)
    assert restored(world.target(api), snapshot, data) == ()
    assert changing(api) == ["POST /services"] * 5 + ["PUT /settings"] + ["POST /services"] * 5
    monkeypatch.setattr(
        api, "answer", lambda m, t, b: (422, {"why": "\x1b"}) if m == "PUT" else answer(m, t, b)
    )
    api.settings = None
    with pytest.raises(
        TargetError, match=r"refuses PUT /settings \(creates settings\): .*422"
    ) as no:
        restored(world.target(api, "run2"), snapshot, data)
    assert no.value.message.isprintable()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_request_without_effect_is_not_sent_again(
    method: str, world: World, start: Callable[[], RestApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = start()
    api.fill()
    snapshot, data = world.captured(api)
    del api.services[1]
    api.services[2]["port"] = 1
    api.add("theirs")
    api.requests.clear()
    answer = api.answer
    monkeypatch.setattr(
        api, "answer", lambda m, t, b: (200, {}) if m == method else answer(m, t, b)
    )
    with pytest.raises(TargetError, match=rf"the server accepted {method} /services"):
        restored(world.target(api), snapshot, data)
    assert len([r for r in changing(api) if r.startswith(method)]) == 1


def test_a_recovery_that_was_ended_anywhere_continues_and_can_be_undone(
    world: World, start: Callable[[], RestApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = start()
    source.fill()
    snapshot, data = world.captured(source)
    send = Api.send
    for moment in range(7):
        api, run = start(), f"run{moment}"
        api.add("theirs", port=1)
        api.settings = {"theme": "theirs"}
        monkeypatch.setattr(Api, "send", ending_after(moment))
        with pytest.raises(Cancelled):
            restored(world.target(api, run), snapshot, data)
        monkeypatch.setattr(Api, "send", send)
        (landing,) = world.place(run).directory.glob("landing")
        resumed = world.target(api, run)
        assert resumed.restore(snapshot, {}, on_progress=lambda _: None).not_restored == ()
        assert not landing.exists()
        assert api.names() == source.names()
        assert api.settings == source.settings
        component = world.component(api)
        kept = KIND.kept_copies(component, component.settings, snapshot, world.place(run))
        assert [a.former for a in kept.held()] == [True]
        kept.swap(back=True)
        assert (api.names(), api.settings) == (["theirs"], {"theme": "theirs"})
        kept.swap(back=False)
        assert api.names() == source.names()
        kept.discard()
    assert not (world.directory / "kept").exists()


def test_documents_without_a_request_in_the_plan_stay_unchanged_and_are_named(
    world: World, start: Callable[[], RestApi]
) -> None:
    source, api = start(), start()
    source.fill()
    api.add("theirs")
    del world.documents[0]["put_back"]["delete"]
    del world.documents[1]["put_back"]
    snapshot, data = world.captured(source)
    target = world.target(api)
    assert target.would_do(snapshot)[-2:] == (
        "does not change settings: the plan has no `put_back` for it",
        "does not remove service-theirs: the plan has no `delete` for it",
    )
    assert restored(target, snapshot, data) == (
        "settings: the plan has no `put_back` for it",
        "service-theirs: it is not in the restore point, and the plan has no `delete` for it",
    )
    (task,) = target.left_to_do(snapshot)
    assert task.text == f"{api.url} differs from the restore point in service-theirs, settings"
    component = world.component(api)
    kept = KIND.kept_copies(component, component.settings, snapshot, world.place())
    left = kept.swap(back=True) or ()
    assert left[0].startswith(f"{api.url} still differs in service-")
    assert all(
        "it is not in the kept copy, and the plan has no `delete` for it. If necessary, correct"
        in sentence
        for sentence in left
    )
    assert len(left) == len(source.names())
    assert [a.former for a in kept.held()] == [False]
    assert not kept.swap(back=True)


def test_no_secret_is_in_what_people_see(world: World, start: Callable[[], RestApi]) -> None:
    api = start()
    api.fill()
    snapshot, _ = world.captured(api)
    world.token.write_text("wrong-s3cret")
    source = KIND.source(world.component(api), world.place("backup"))
    (finding,) = [f for f in source.doctor() if f.failed][:1]
    assert "answers 401" in finding.text
    assert "wrong-s3cret" not in str(source.doctor()) + str(snapshot.to_json())


def test_nothing_is_removed_of_a_list_that_the_restore_point_does_not_describe(
    world: World, start: Callable[[], RestApi]
) -> None:
    source, api = start(), start()
    services, settings = world.documents
    source.fill()
    world.documents = [settings]
    snapshot, data = world.captured(source)
    world.documents = [services, settings]  # a list that was added to the plan later
    api.add("theirs")
    says = "the restore point does not show which documents were in the same list"
    target = world.target(api)
    assert says in target.would_do(snapshot)[-1]
    (left,) = restored(target, snapshot, data)
    assert left.startswith("service-theirs: ")
    assert says in left
    assert changing(api) == ["PUT /settings"]
    older = replace(snapshot, facts={k: v for k, v in snapshot.facts.items() if k != "lists"})
    (left,) = restored(world.target(api, "run2"), older, data)
    assert says in left
    assert api.names() == ["theirs"]


def test_a_name_with_a_slash_is_removed_by_a_person(
    world: World, start: Callable[[], RestApi]
) -> None:
    source, api = start(), start()
    source.add("shop")
    world.documents = world.documents[:1]
    world.documents[0]["put_back"]["delete"] = "DELETE /services/{name}"
    snapshot, data = world.captured(source)
    api.add("shop/plugins")
    target = world.target(api)
    says = (
        "its name has a slash: some servers would remove another document, so remove this one "
        "yourself"
    )
    assert target.would_do(snapshot)[-1] == f"does not remove service-shop%2Fplugins: {says}"
    (left,) = restored(target, snapshot, data)
    assert left == f"service-shop%2Fplugins: it is not in the restore point, and {says}"
    assert changing(api) == ["POST /services"]

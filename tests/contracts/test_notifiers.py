"""Every kind of channel: delivered, or said why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from drd.model.plan import Heartbeat, SecretRef
from drd.registry import NOTIFIERS
from drd.testing.notifiers import ChannelCase, NotifierContract
from tests.extension_support import example
from tests.notify_support import http_receiver, mail_server

Enter = Callable[[Any], Any]
"""Enters a context that ends with the test."""

URL = {"env": "URL"}


def case(kind: str, settings: dict[str, Any], *rest: Any) -> ChannelCase:
    model = NOTIFIERS[kind].settings.model_validate({"kind": kind, **settings})
    return ChannelCase(NOTIFIERS[kind], model, *rest)


def webhook(_: Path, enter: Enter) -> ChannelCase:
    receiver = enter(http_receiver())
    received = lambda: [got.body.decode("unicode_escape") for got in receiver.got]  # noqa: E731
    broken, secrets = lambda: receiver.always(500), {"URL": receiver.url()}
    return case("webhook", {"url": URL}, received, broken, secrets)


def smtp(_: Path, enter: Enter) -> ChannelCase:
    post = enter(mail_server())
    settings = {"host": "localhost", "port": post.port, "tls": "none", "to": ["a@example.com"]}

    def broken() -> None:
        post.says = "550 no room"

    return case("smtp", settings, lambda: [str(m["Subject"]) for m in post.mails], broken)


def command(directory: Path, _: Enter) -> ChannelCase:
    got, gone = directory / "got", directory / "gone"
    words = ["sh", "-c", f'test ! -e {gone} && printf "%s\\n" "$DRD_TITLE" >>{got}']

    def received() -> list[str]:
        return got.read_text().splitlines() if got.exists() else []

    return case("exec", {"command": words}, received, gone.touch)


def apprise(_: Path, enter: Enter) -> ChannelCase:
    receiver = enter(http_receiver())
    received = lambda: [got.body.decode("unicode_escape") for got in receiver.got]  # noqa: E731
    secrets = {"URL": f"json://localhost:{receiver.port}/s3cr3t-path"}
    return case("apprise", {"url": URL}, received, lambda: receiver.always(500), secrets)


def heartbeat(_: Path, enter: Enter) -> ChannelCase:
    """A test of all channels delivers to heartbeats as well."""
    receiver = enter(http_receiver())
    received = lambda: [unquote(got.body.decode()) for got in receiver.got]  # noqa: E731
    spec = Heartbeat(SecretRef("env", "URL"))
    secrets = {"URL": receiver.url()}
    kind = NOTIFIERS["heartbeat"]
    return ChannelCase(kind, spec, received, lambda: receiver.always(500), secrets)


def logbook(directory: Path, _: Enter) -> ChannelCase:
    """That of the example package."""
    kind = example("drd-example", "drd_example.logbook").SPEC
    book = directory / "book"

    settings = kind.settings.model_validate({"kind": "logbook", "path": str(book)})
    return ChannelCase(kind, settings, lambda: book.read_text().splitlines(), book.mkdir)


CASES: dict[str, Callable[[Path, Enter], ChannelCase]] = {
    "webhook": webhook,
    "smtp": smtp,
    "exec": command,
    "apprise": apprise,
    "heartbeat": heartbeat,
    "logbook": logbook,
}


class TestNotifiers(NotifierContract):
    @pytest.fixture(params=sorted(CASES))
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> ChannelCase:
        def enter(context: Any) -> Any:
            found = context.__enter__()
            request.addfinalizer(lambda: context.__exit__(None, None, None))
            return found

        return CASES[request.param](tmp_path, enter)


def test_every_kind_of_channel_is_held_to_the_contract() -> None:
    assert CASES.keys() == {*NOTIFIERS.names, "logbook"}

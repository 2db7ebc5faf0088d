"""What every kind of channel promises: a message is delivered, or it is said why not.

Who makes a kind of channel derives a class from `NotifierContract`, gives it a fixture `case`, and
runs pytest:

    class TestLogbook(NotifierContract):
        @pytest.fixture
        def case(self, tmp_path: Path) -> ChannelCase:
            …
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from drd.errors import NotifyError
from drd.model.message import ChannelSpec, Message
from drd.model.plan import SecretRef
from drd.ports.notify import ChannelKind, Notifier
from drd.testing.described import undescribed

MESSAGE = Message(
    event="firing",
    plan="orders",
    severity="critical",
    title="orders: backup failing — since noon",
    text="pg_dump cannot connect",
    at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
)


@dataclass
class ChannelCase:
    """A channel that works. `received` returns what has arrived at its other end so far, as texts
    that contain the titles of the messages; after `broken` was called, nothing arrives any more.
    `secrets` has the values of the secrets that its settings name, by `SecretRef.value`."""

    kind: ChannelKind
    settings: object
    received: Callable[[], list[str]]
    broken: Callable[[], object]
    secrets: Mapping[str, str] = field(default_factory=dict)

    def open(self, resolve: Callable[[SecretRef], str] | None = None) -> Notifier:
        spec = ChannelSpec("it", self.kind.name, self.settings)
        return self.kind.open(spec, resolve or (lambda ref: self.secrets[str(ref.value)]))


class NotifierContract:
    """Derive a class whose name begins with `Test`, with a fixture `case`."""

    @pytest.fixture
    def case(self) -> ChannelCase:
        raise NotImplementedError("the class lacks a fixture `case`")

    def test_every_key_of_the_settings_has_a_description(self, case: ChannelCase) -> None:
        assert case.kind.settings.__doc__
        assert undescribed(case.kind.settings) == []

    def test_a_delivery_names_the_receiver(self, case: ChannelCase) -> None:
        said = case.open().deliver(MESSAGE)
        assert said
        (got,) = case.received()
        assert MESSAGE.title in got

    def test_the_same_message_may_come_again(self, case: ChannelCase) -> None:
        """drd cannot know whether one arrived whose delivery it did not see to its end. A receiver
        may recognise it by its id, and keep one."""
        channel = case.open()
        channel.deliver(MESSAGE)
        channel.deliver(MESSAGE)
        assert len(case.received()) in (1, 2)

    def test_a_failed_delivery_is_an_error_without_secrets(self, case: ChannelCase) -> None:
        case.broken()
        with pytest.raises(NotifyError) as caught:
            case.open().deliver(MESSAGE)
        assert caught.value.message
        said = caught.value.message + caught.value.hint
        assert not any(secret in said for secret in case.secrets.values())

    def test_secrets_are_resolved_when_a_message_is_delivered(self, case: ChannelCase) -> None:
        """Opening a channel reads no secrets: a channel whose secret is gone must not stop the
        others."""
        case.open(lambda ref: pytest.fail(f"asked for {ref.value} too early"))

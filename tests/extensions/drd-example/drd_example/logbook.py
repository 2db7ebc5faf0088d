"""The channel `logbook`: messages as lines of JSON in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field

from drd.errors import NotifyError
from drd.fields import AbsolutePath
from drd.model.message import Message
from drd.notifiers.settings import Carrier
from drd.ports.notify import ChannelKind


class LogbookSettings(Carrier):
    """Messages as lines of JSON in a file."""

    kind: Literal["logbook"]
    path: AbsolutePath = Field(description="The file.")


class Logbook:
    """A message is delivered when it is in the file."""

    def __init__(self, settings: LogbookSettings) -> None:
        self.settings = settings

    def deliver(self, message: Message) -> str:
        try:
            with Path(self.settings.path).open("a") as out:
                line = json.dumps({"id": message.id, **message.to_json()}, ensure_ascii=False)
                out.write(f"{line}\n")
        except OSError as error:
            raise NotifyError(f"{self.settings.path}: {error.strerror}") from error
        return f"written to {self.settings.path}"


SPEC = ChannelKind("logbook", LogbookSettings, lambda spec, _: Logbook(spec.settings))

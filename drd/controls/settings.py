"""The keys that every control has in a plan, and the keys of a request."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from drd import http
from drd.fields import AbsolutePath, Connection, Contradiction, Duration, Name, Settings
from drd.headers import wrong_headers


class ControlSettings(Settings):
    """A kind of control sets the name of `kind`."""

    kind: str
    name: Name = Field(description="The name of this control.")
    every: Duration = Field(3600.0, description="How often drd runs this control.")
    timeout: Duration = Field(30.0, description="Time limit of one check.")


class RequestControl(ControlSettings):
    """Controls that send requests. Redirects are not followed."""

    url: str = Field(min_length=1, description="The URL of the request.")
    headers: dict[str, Connection] = Field(
        default_factory=dict,
        description="Headers of the request: a text, or a secret reference for a header "
        "that contains a secret.",
    )
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Report an address that is not valid, and headers that cannot be set or that contain a
        secret."""
        parts = http.parts_of(self.url)
        if parts is None:
            hint = "write http://HOST:PORT/PATH or https://…."
            yield Contradiction(("url",), "not the address of a web server", hint)
        elif parts.username is not None:
            hint = (
                "remove the login from the address, and write it into `headers`: "
                "{Authorization: {credential: NAME}}."
            )
            yield Contradiction(("url",), "the address contains a login", hint)
        yield from wrong_headers(self.headers)

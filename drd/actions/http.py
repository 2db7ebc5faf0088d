"""The step `http`: one request, whose answer must be as the plan expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any, Literal

from pydantic import Field

from drd import http
from drd.actions.command import missing_rollback
from drd.actions.settings import Rehearsed, Text, named_texts
from drd.errors import StepFailed
from drd.fields import AbsolutePath
from drd.masking import masked
from drd.model.runbook import Step
from drd.model.text import either
from drd.model.units import format_duration
from drd.model.values import filled
from drd.ports import Finding
from drd.ports.action import WHOLE, ActionContext, ActionKind, StepByHand

TIMEOUT_S = 30.0
_LARGEST = 1 << 20
_KEPT = 4000


class HttpSettings(Rehearsed):
    """A request to a service. It carries an `Idempotency-Key` that is the same in every try of a
    run."""

    url: str = Field(min_length=1, description="The URL; redirects are not followed.")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(
        "GET", description="The method."
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers; must not contain secrets."
    )
    body: str | None = Field(None, description="The body of the request, in UTF-8.")
    expect: int | list[int] | None = Field(
        None, description="The status that means success, or a list of them (default: 200 to 299)."
    )
    contains: str | None = Field(
        None, min_length=1, description="A text that the answer must contain."
    )
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )

    def all_texts(self) -> Iterator[Text]:
        yield ("url",), self.url
        yield from named_texts("headers", self.headers)
        if self.body is not None:
            yield ("body",), self.body

    def needed_files(self) -> Iterator[str]:
        if self.ca_cert:
            yield self.ca_cert


class HttpAction:
    """Sends the key of the step as `Idempotency-Key`, so that the receiver can recognise a
    repetition."""

    def preflight(self, step: Step) -> list[Finding]:
        return missing_rollback(step)

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, HttpSettings)
        url = filled(settings.url, context.value)
        status, text = ask(
            url,
            method=settings.method,
            headers={
                "Idempotency-Key": context.key,
                **{k: filled(v, context.value) for k, v in settings.headers.items()},
            },
            body=filled(settings.body, context.value).encode() if settings.body else None,
            timeout_s=context.step.timeout_s or TIMEOUT_S,
            ca_cert=settings.ca_cert,
        )
        context.keep("body", text[:_KEPT])
        context.keep(WHOLE, text)
        answer = {"status": status, "body": masked(text)[:_KEPT]}
        if not _expected(status, settings.expect):
            wanted = _expectation_text(settings.expect)
            raise StepFailed(
                f"{url} answers {status}, not {wanted}",
                hint="check the log of this service; if the answer is right, correct `expect` in "
                "the step.",
                result=answer,
            )
        if settings.contains is not None and settings.contains not in text:
            raise StepFailed(
                f'the answer of {url} does not contain "{settings.contains}"',
                hint="check the service; if the answer is right, correct `contains` in the step.",
                result=answer,
            )
        return answer


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float,
    ca_cert: str | None = None,
) -> tuple[int, str]:
    """Send the request; return the status and the text of the answer, also if the status is an
    error. Raises StepFailed if there is no answer.
    """
    parts = http.parts_of(url)
    if parts is None:
        raise StepFailed(
            f"{url} is not the address of a web server",
            hint="write an address that begins with http:// or https://.",
        )
    sent = dict(headers or {})
    if body is not None and "content-type" not in {name.lower() for name in sent}:
        sent["Content-Type"] = "application/x-www-form-urlencoded"  # as curl does
    try:
        answer = http.exchange(
            parts,
            method,
            body,
            headers=sent,
            deadline_s=timeout_s,
            most=_LARGEST,
            trust=lambda: http.tls_context(ca_cert, beside_system=True),
            loopback_directly=True,  # no proxy for the host itself
        )
    except http.NoAnswer as error:
        raise StepFailed(f"{url} does not answer: {error.message}", hint=error.hint) from None
    if answer.is_late:
        raise StepFailed(
            f"{url} did not finish its answer within {format_duration(timeout_s)}",
            hint="if the service needs more time, give the step a longer `timeout`.",
        )
    return answer.status, answer.body.decode("utf-8", "replace")


def _expected(status: int, expect: int | list[int] | None) -> bool:
    if expect is None:
        return 200 <= status <= 299
    return status in ([expect] if isinstance(expect, int) else expect)


def _expectation_text(expect: int | list[int] | None) -> str:
    if expect is None:
        return "200 to 299"
    return either([expect] if isinstance(expect, int) else expect)


def _in_words(http: HttpSettings) -> str:
    return f"request {http.method} {http.url}"


def _by_hand(http: HttpSettings, hand: StepByHand) -> Iterator[str]:
    name = hand.step.name
    words = ["curl", "-sS", "-o", f"{name}.answer", "-w", "'%{http_code}'"]
    words += ["-X", http.method, "-H", quote(f"Idempotency-Key: by-hand/{name}")]
    for header, value in http.headers.items():
        words += ["-H", hand.word(f"{header}: {value}")]
    if http.body is not None:
        words += ["--data-raw", hand.word(http.body)]
    if http.ca_cert is not None:
        words += ["--cacert", quote(http.ca_cert)]
    yield f"STATUS=$({' '.join([*words, hand.word(http.url)])})"
    wanted = [http.expect] if isinstance(http.expect, int) else http.expect or []
    yield f"[[ $STATUS =~ ^({'|'.join(str(w) for w in wanted) or '2..'})$ ]]"
    if http.contains is not None:
        yield f"grep -qF -- {quote(http.contains)} {name}.answer"


SPEC = ActionKind(
    "http",
    HttpSettings,
    HttpAction(),
    summary="Send a request and check the answer.",
    about="The request.",
    gives=("status", "body"),
    answer="body",
    in_words=_in_words,
    by_hand=_by_hand,
)

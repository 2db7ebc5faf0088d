"""Field types that the settings models of plans, kinds and checks share (pydantic).

A settings model derives from `Settings`: frozen, and an unknown key is an error. Descriptions end
up in the JSON Schema and in the plan reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from drd.model.malformed import Malformed
from drd.model.plan import NAME, SecretRef
from drd.model.units import parse_duration, parse_size


class Contradiction(NamedTuple):
    """An error in settings that the types of single keys do not show. `path` is its place below the
    settings. With `of_key`, the key itself is wrong, not its value. With `warns`, the plan is
    loaded all the same.
    """

    path: tuple[str | int, ...]
    message: str
    hint: str
    of_key: bool = False
    warns: bool = False

    @staticmethod
    def of(error: ValueError, path: tuple[str | int, ...]) -> Contradiction:
        """Convert the error of a parser."""
        malformed = Malformed.of(error)
        fact = malformed.fact
        hint = malformed.hint("the possible values are in docs/plan-reference.md")
        return Contradiction(path, fact[:1].lower() + fact[1:], hint)


Words = Sequence[str]

Placed = tuple[tuple[str | int, ...], Words]
"""The words of a command, and their place below the settings."""


class Settings(BaseModel):
    """Base of every settings model.

    `unsaid` has the keys of later versions, each with the values that mean the same as a missing
    key. Such a value is not part of the plan's hash: otherwise, after an upgrade, every plan would
    look as if it was never drilled."""

    unsaid: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        strict=False,
        defer_build=True,
    )

    def contradictions(self) -> Iterable[Contradiction]:
        """Report errors that the types of single keys do not show."""
        return ()

    def all_commands(self) -> Iterable[Placed]:
        """Return the commands in these settings: each must exist, and its file is part of the
        plan's hash."""
        return ()


_LONGEST = 100 * 366 * 86400.0
# Python's own times end soon after


_DURATION_LIKE = "write a number and a unit, like 15m or 7d"


def _written(value: Any) -> str:
    """Return a value for a message: true and false as in the file."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str):
        raise Malformed(f"{_written(value)} is not a duration", _DURATION_LIKE)
    seconds = parse_duration(value)
    if not 0 < seconds <= _LONGEST:
        raise Malformed(f"{value!r} is out of range", "write more than 0s and at most 36600d")
    return seconds


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        what = f"{_written(value)} is not a size"
        raise Malformed(what, "write a number and a unit, like 512M or 2G")
    return parse_size(str(value))


_DURATION = r"^(\d+(\.\d+)?\s*[smhdw]\s*)+$"
_SIZE = r"^\d+(\.\d+)?\s*[kKmMgGtT]?(i?[bB])?$"

CLOSED_PATTERNS = frozenset({_DURATION, _SIZE, f"^{NAME.pattern}$"})
"""The patterns in the JSON Schema of texts that can only be a time, a size or a name."""

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _DURATION,
            "examples": ["15m", "1h30m", "7d"],
        }
    ),
]
"""Seconds, written as `15m`."""


def _duration_or(word: str) -> BeforeValidator:
    def read(value: Any) -> Any:
        if value == word:
            return value
        try:
            return _duration(value)
        except ValueError as error:
            malformed = Malformed.of(error)
            raise Malformed(malformed.fact, f"{malformed.remedy}, or {word}") from None

    return BeforeValidator(read)


def _or_word(word: str) -> WithJsonSchema:
    duration = {"type": "string", "pattern": _DURATION, "examples": ["15m", "1h30m", "7d"]}
    return WithJsonSchema({"anyOf": [duration, {"const": word}]})


DurationOrAuto = Annotated[float | Literal["auto"], _duration_or("auto"), _or_word("auto")]
DurationOrNever = Annotated[float | Literal["never"], _duration_or("never"), _or_word("never")]
DurationOrNone = Annotated[float | Literal["none"], _duration_or("none"), _or_word("none")]

DURATIONS = (Duration, DurationOrAuto, DurationOrNever, DurationOrNone)
"""Types of fields that hold seconds."""

Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _SIZE},
                {"type": "integer", "minimum": 0},
            ],
            "examples": ["512M", "2G"],
        }
    ),
]
"""Bytes, written as `512M`."""

_FORMS = "{file: PATH}, {env: NAME}, {credential: NAME} or {command: [WORD, …]}"
REFERENCE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Where drd reads the secret each time that drd needs it.",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "string",
            "pattern": "^/",
            "description": "A file that contains the secret.",
        },
        "env": {"type": "string", "description": "An environment variable of drd."},
        "credential": {
            "type": "string",
            "description": "A name in /etc/drd/credentials; the service reads it only when it "
            "starts.",
        },
        "command": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": "A command that prints the secret.",
        },
    },
}


def _reference(value: Any) -> SecretRef:
    if isinstance(value, SecretRef):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise _no_reference(value)
    ((source, place),) = value.items()
    if source not in REFERENCE_SCHEMA["properties"]:
        # The value may be the secret itself, so the message does not repeat it.
        raise Malformed("this is not a kind of secret reference", f"use {_FORMS}")
    if source == "command":
        if not isinstance(place, list) or not place or not all(isinstance(w, str) for w in place):
            raise ValueError("command must be a list of words, like [pass, show, drd]")
        return SecretRef("command", tuple(place))
    if not isinstance(place, str) or not place:
        raise ValueError(f"{source} must be text")
    if source == "file" and not place.startswith("/"):
        raise Malformed(
            "file must be an absolute path", "write the whole path, which begins with /"
        )
    if source == "credential" and ("/" in place or place in (".", "..")):
        raise Malformed(
            "credential must be the name of a file", "write a whole path as {file: PATH}"
        )
    if source == "env" and re.search(r"[\s$={}]", place):
        raise Malformed("env must be the name of a variable", "write the name alone, without a $")
    return SecretRef(source, place)


def _no_reference(value: Any) -> Malformed:
    if not isinstance(value, dict):
        return Malformed("a secret must be a reference", f"use {_FORMS}")
    # Unknown keys may be the secret itself.
    known = [str(k) for k in value if k in REFERENCE_SCHEMA["properties"]]
    given = f", but this reference has {' and '.join(known)}" if len(known) > 1 else ""
    return Malformed(f"a secret reference has a single key{given}", f"use one of {_FORMS}")


def _reference_or_text(value: Any) -> SecretRef:
    if isinstance(value, str):
        if not value:
            raise Malformed("is empty", "give the key a value, or remove the line")
        return SecretRef("text", value)
    return _reference(value)


def _back(ref: SecretRef) -> Any:
    if ref.source == "text":
        return ref.value
    return {ref.source: list(ref.value) if isinstance(ref.value, tuple) else ref.value}


Secret = Annotated[
    SecretRef,
    BeforeValidator(_reference),
    PlainSerializer(_back),
    WithJsonSchema(REFERENCE_SCHEMA),
]
"""A reference to a secret; the secret itself is refused."""

Connection = Annotated[
    SecretRef,
    BeforeValidator(_reference_or_text),
    PlainSerializer(_back),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, REFERENCE_SCHEMA]}),
]
"""A connection string: a reference, or text if it contains no secret (the kind checks that)."""

Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
"""A name of a part of a plan: lower-case letters, digits and hyphens."""

AbsolutePath = Annotated[str, Field(pattern=r"^/", description="An absolute path.")]


def host_and_port(text: str) -> str:
    """Check an address like db1:5432, and return it. Raises Malformed."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not bare or (":" in bare) != host.startswith("[") or not port.isdecimal():
        raise Malformed(f'"{text}" is not a host and port', "write HOST:PORT, like db1:5432")
    if not 0 < int(port) < 1 << 16 or any(c.isspace() or c in "/@*?" for c in bare):
        raise Malformed(f'"{text}" is not a host and port', "write HOST:PORT, like db1:5432")
    return text


FingerprintMode = Literal["counts", "digest", "off"]


class DatabaseFingerprintSettings(Settings):
    """How a database is described at its data time, for the `rows` check."""

    mode: FingerprintMode = Field(
        "counts",
        description="`counts`: the number of rows of each table. `digest`: also a digest of "
        "every row, for which drd reads all data once more. `off`: no "
        "fingerprint, so `rows` checks are not_run.",
    )
    budget: Duration = Field(
        60.0,
        description="Time limit for the fingerprint. A check does not compare the tables that were "
        "not reached in time, and reports them as `not_run`.",
    )


def mode_alone(value: Any) -> Any:
    """Accept the mode of a settings model alone, and `off` as YAML 1.1 reads it."""
    return {"mode": "off" if value is False else value} if isinstance(value, (str, bool)) else value


class OrWords:
    """Adds to the JSON Schema that one of these words alone is enough."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"enum": list(self._words)}, handler(core)]}


DatabaseFingerprintField = Annotated[
    DatabaseFingerprintSettings,
    BeforeValidator(mode_alone),
    OrWords(*get_args(FingerprintMode)),
    Field(description="What drd records of the data for comparison. Short form: `counts`."),
]

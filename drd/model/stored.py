"""JSON objects as frozen dataclasses: a value writes the fields that it was made with.

So one class describes what is written in pieces, and `None` reads the same whether a piece is
still to come, or null was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, TypeVar

from drd.model.malformed import Malformed
from drd.model.units import from_rfc3339, to_rfc3339

_S = TypeVar("_S", bound="Stored")
_STUMBLES = (ValueError, TypeError, LookupError, AttributeError)


class _Form(NamedTuple):
    """How the value of a field is read from JSON, and written. `sparse`: the default is not
    written."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    sparse: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Stored:
    """A field has the name of its key. A value that was read is written again unchanged, with
    unknown keys. In a `lenient` class, a value of another type counts as missing, because others
    chose the keys."""

    lenient: ClassVar[bool] = False

    _json: Mapping[str, Any] = field(init=False, repr=False, compare=False)

    def __new__(cls, **given: Any) -> Any:
        self = object.__new__(cls)
        forms = _forms(cls)
        written = {
            name: None if value is None else forms[name].write(value)
            for name, value in given.items()
            if not (forms[name].sparse and value == forms[name].default)
        }
        object.__setattr__(self, "_json", written)
        return self

    @classmethod
    def from_json(cls: type[_S], data: Mapping[str, Any]) -> _S:
        """Raises Malformed, naming the key, for a value of another type."""
        given = {}
        for name, form in _forms(cls).items():
            if (value := data.get(name)) is None:
                continue
            try:
                given[name] = form.read(value)
            except _STUMBLES as error:
                if cls.lenient:
                    continue
                raise Malformed(f"{name} cannot be {value!r}") from error
        made: _S = cls(**given)
        object.__setattr__(made, "_json", dict(data))
        return made

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` is its inverse."""
        return dict(self._json)

    def merged(self: _S, later: Stored) -> _S:
        """Return this result with the fields that `later` has written."""
        return self.from_json({**self._json, **later.to_json()})


_known: dict[type[Stored], Mapping[str, _Form]] = {}


def _forms(cls: type[Stored]) -> Mapping[str, _Form]:
    forms = _known.get(cls)
    if forms is None:
        forms = _known[cls] = {f.name: f.metadata["form"] for f in fields(cls) if f.init}
    return forms


def _field(
    read: Callable[[Any], Any],
    write: Callable[[Any], Any] = lambda value: value,
    *,
    sparse: bool,
    default: Any = None,
) -> Any:
    metadata = {"form": _Form(read, write, sparse, default)}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def text(*, sparse: bool = False) -> Any:
    return _field(_text, sparse=sparse)


def flag(*, sparse: bool = False) -> Any:
    """Return the field for a flag. Its default is False."""
    return _field(_flag, sparse=sparse, default=False)


def count(*, sparse: bool = False) -> Any:
    return _field(_count, sparse=sparse)


def seconds() -> Any:
    return _field(_seconds, sparse=False)


def time(*, sparse: bool = False) -> Any:
    return _field(from_rfc3339, to_rfc3339, sparse=sparse)


def texts(*, sparse: bool = False, default: Any = ()) -> Any:
    return _field(_texts, list, sparse=sparse, default=default)


def counts(*, sparse: bool = False) -> Any:
    """Return the field for whole numbers. Its default is none of them."""
    return _field(_counts, list, sparse=sparse, default=())


def mapping() -> Any:
    """Return the field for a mapping. Its default is an empty mapping."""
    return _field(_mapping, dict, sparse=False, default={})


def value(read: Callable[[Any], Any], *, sparse: bool = False) -> Any:
    """Return the field for a value of a class with `to_json`."""
    return _field(read, lambda made: made.to_json(), sparse=sparse)


def values(read: Callable[[Any], Any], *, sparse: bool = False, default: Any = ()) -> Any:
    """Return a field for a tuple of such values."""
    return _field(
        lambda found: tuple(read(one) for one in _list(found)),
        lambda made: [one.to_json() for one in made],
        sparse=sparse,
        default=default,
    )


def anything(*, sparse: bool = False) -> Any:
    """JSON that the reader judges."""
    return _field(lambda found: found, sparse=sparse)


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError("no text")
    return found


def _flag(found: Any) -> bool:
    if not isinstance(found, bool):
        raise TypeError("neither true nor false")
    return found


def _count(found: Any) -> int:
    if not isinstance(found, int) or isinstance(found, bool):
        raise TypeError("not a whole number")
    return found


def _seconds(found: Any) -> float:
    if not isinstance(found, int | float) or isinstance(found, bool):
        raise TypeError("no number")
    return float(found)


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise TypeError("no list")
    return found


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(_text(one) for one in _list(found))


def _counts(found: Any) -> tuple[int, ...]:
    return tuple(_count(one) for one in _list(found))


def _mapping(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TypeError("no object")
    return found

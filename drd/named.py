"""A `NamedTuple` that costs little at a cold start.

When a class is made, `typing.NamedTuple` compiles the text of each annotation, and
`collections.namedtuple` compiles a constructor. `drd status` makes fifty classes before it prints a
word, and only one or two instances of most classes. So a class here compiles its constructor only
after it has made several instances. For a type checker this is `typing.NamedTuple`, and its
instances behave the same.
"""

from __future__ import annotations

# The descriptor that `collections.namedtuple` gives to its fields.
from collections import _tuplegetter  # type: ignore[attr-defined]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    _FEW = 20
    """How many instances a class makes before it compiles a constructor. Compiling costs about as
    much time as making these without one.
    """

    class _Values(tuple):
        """The base of all classes."""

        __slots__ = ()

        def __new__(cls, /, *values, **named):
            cls._made += 1
            if cls._made <= _FEW:
                made = _plainly(cls, values, named)
                if made is not None:
                    return made
            cls.__new__ = _constructor(cls._fields, cls._field_defaults)
            return cls(*values, **named)

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            shown = ", ".join(f"{f}={v!r}" for f, v in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({shown})"

        def __getnewargs__(self):
            return tuple(self)

    def _plainly(cls, values, named):
        """Return the instance, or None if a constructor should complain of the arguments."""
        left = cls._fields[len(values) :]
        known = {**cls._field_defaults, **named}
        whole = values + tuple(known[field] for field in left if field in known)
        if len(whole) != len(cls._fields) or named.keys() - set(left):
            return None
        return tuple.__new__(cls, whole)

    def _constructor(fields, defaults):
        words = ", ".join(fields)
        text = f"lambda _cls, {words}: _new(_cls, ({words},))"
        made = eval(text, {"_new": tuple.__new__, "__builtins__": {}})  # noqa: S307 (names of fields)
        made.__name__ = "__new__"
        made.__defaults__ = tuple(defaults.values())
        return made

    class _Named(type):
        def __new__(cls, name, _bases, namespace):
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace.pop(field) for field in fields if field in namespace}
            getters = {field: _tuplegetter(number, "") for number, field in enumerate(fields)}
            own = {"_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
            own["_made"] = 0
            return type(name, (_Values,), {**namespace, **own, **getters, "__slots__": ()})

    NamedTuple = type.__new__(_Named, "NamedTuple", (), {})

__all__ = ["NamedTuple"]

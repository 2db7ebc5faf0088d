"""The light `NamedTuple` behaves as `typing`'s does."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest

from drd.named import NamedTuple


class Ours(NamedTuple):
    name: str
    count: int = 3
    tags: tuple[str, ...] = ()

    @property
    def loud(self) -> str:
        return self.name.upper()


class Theirs(typing.NamedTuple):
    name: str
    count: int = 3
    tags: tuple[str, ...] = ()


class OfBoth(NamedTuple):
    left: int
    right: int


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (("a",), {}),
        (("a", 1), {}),
        (("a",), {"tags": ("x",)}),
        ((), {"name": "a", "count": 5}),
        (("a", 1, ("x", "y")), {}),
    ],
)
def test_a_named_tuple_of_drd_equals_that_of_typing(
    values: tuple[typing.Any], named: dict[str, typing.Any]
) -> None:
    ours, theirs = Ours(*values, **named), Theirs(*values, **named)
    assert ours == theirs
    assert hash(ours) == hash(theirs)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours._asdict() == theirs._asdict()
    assert ours._fields == theirs._fields
    assert (ours.name, ours.count, ours.tags) == tuple(theirs)


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), (("a", 1, (), 4), {}), (("a",), {"name": "b"}), (("a",), {"other": 1})],
)
def test_a_named_tuple_of_drd_refuses_what_that_of_typing_refuses(
    values: tuple[typing.Any], named: dict[str, int]
) -> None:
    with pytest.raises(TypeError):
        Theirs(*values, **named)
    for _ in range(2):  # the first instance is made in another way
        with pytest.raises(TypeError):
            Ours(*values, **named)


def test_records_are_replaced_copied_and_pickled_but_never_changed() -> None:
    one = OfBoth(1, 2)
    assert one._replace(right=3) == OfBoth._make([1, 3]) == (1, 3)
    with pytest.raises(ValueError, match="other"):
        one._replace(other=3)
    with pytest.raises(TypeError, match="Expected 2"):
        OfBoth._make([1])
    assert copy.copy(one) == pickle.loads(pickle.dumps(one)) == one
    assert type(pickle.loads(pickle.dumps(one))) is OfBoth
    with pytest.raises(AttributeError):
        one.left = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        one.other = 3  # type: ignore[attr-defined]


def test_matches_by_position_and_has_methods() -> None:
    match OfBoth(1, 2):
        case OfBoth(left, right):
            assert (left, right) == (1, 2)
    assert Ours("a").loud == "A"

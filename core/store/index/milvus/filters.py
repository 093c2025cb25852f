"""Filters as expressions that hold numbers alone.

An attribute is carried as two numbers: one for its key, one for key and value together, each the
first eight bytes of a BLAKE2 hash. What a client writes is hashed and never becomes part of an
expression, neither as a value nor, which no template parameter could take, as the name of a key.
The chance that two of a million attributes share a number is below one in ten million.

Milvus takes the numbers as template parameters and finds them in an indexed array. Milvus Lite
knows neither parameters nor an index over arrays, and looks through an array a thousand times
slower than through a text: there the numbers are written out, and the array is a text of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Relation(Enum):
    """What a condition asks of a field."""

    ANY_OF = "any of the numbers is among the field's"
    IN = "the field is one of the numbers"
    NOT_IN = "the field is none of the numbers"
    ABOVE = "the field is more than the number"


@dataclass(frozen=True)
class Condition:
    """A test of one field, whose name is a constant of the code."""

    field: str
    relation: Relation
    numbers: tuple[int, ...]

    def parametric(self, name: str) -> str:
        """With a place for the numbers."""
        match self.relation:
            case Relation.ANY_OF:
                return f"array_contains_any({self.field}, {{{name}}})"
            case Relation.IN:
                return f"{self.field} in {{{name}}}"
            case Relation.NOT_IN:
                return f"{self.field} not in {{{name}}}"
            case Relation.ABOVE:
                return f"{self.field} > {{{name}}}"

    def literal(self) -> str:
        """With the numbers written out."""
        written = f"[{', '.join(str(int(number)) for number in self.numbers)}]"
        match self.relation:
            case Relation.ANY_OF:
                marks = [f'{self.field} like "%{mark_of(number)}%"' for number in self.numbers]
                return f"({' or '.join(marks)})"
            case Relation.IN:
                return f"{self.field} in {written}"
            case Relation.NOT_IN:
                return f"{self.field} not in {written}"
            case Relation.ABOVE:
                return f"{self.field} > {int(self.numbers[0])}"


@dataclass(frozen=True)
class Expression:
    """Conditions that all hold."""

    conditions: tuple[Condition, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def parametric(self) -> tuple[str, dict[str, int | list[int]]]:
        """A constant text with places for numbers, and the numbers."""
        texts, numbers = list[str](), dict[str, int | list[int]]()
        for place, one in enumerate(self.conditions):
            texts.append(one.parametric(f"n{place}"))
            single = one.relation is Relation.ABOVE
            numbers[f"n{place}"] = one.numbers[0] if single else list(one.numbers)
        return " and ".join(texts), numbers

    def literal(self) -> str:
        """For an engine without parameters."""
        return " and ".join(one.literal() for one in self.conditions)


def tag_of(key: str, value: str | None = None) -> int:
    """The number of an attribute, or without a value of having one of this key."""
    text = key if value is None else f"{len(key)}:{key}{value}"
    kind = b"key" if value is None else b"value"
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=kind).digest(), signed=True)


def tags_of(attributes: Mapping[str, str]) -> list[int]:
    """The numbers that a row carries, sorted."""
    keys = [tag_of(key) for key in attributes]
    return sorted(keys + [tag_of(key, value) for key, value in attributes.items()])


def mark_of(number: int) -> str:
    """A tag in a text of tags: sixteen hexadecimal digits between bars."""
    return f"|{number & (2**64 - 1):016x}|"


def marks_of(tags: Iterable[int]) -> str:
    """Tags as a text."""
    return "".join(map(mark_of, tags))


def expression_of(
    filters: Mapping[str, Sequence[str]] | None = None,
    *,
    having: str | None = None,
    without_items: Iterable[int] = (),
) -> Expression:
    """The rows with one of the values of every key, with a key at all, and not of some items."""
    conditions = [
        Condition("tags", Relation.ANY_OF, tuple(tag_of(key, value) for value in values))
        for key, values in (filters or {}).items()
    ]
    if having is not None:
        conditions.append(Condition("tags", Relation.ANY_OF, (tag_of(having),)))
    if excluded := tuple(without_items):
        conditions.append(Condition("item", Relation.NOT_IN, excluded))
    return Expression(tuple(conditions))


def among(field: str, numbers: Iterable[int]) -> Expression:
    """The rows of which a field is one of some numbers."""
    return Expression((Condition(field, Relation.IN, tuple(numbers)),))


def not_among(field: str, numbers: Iterable[int]) -> Expression:
    """The rows of which a field is none of some numbers."""
    found = tuple(numbers)
    return Expression((Condition(field, Relation.NOT_IN, found),) if found else ())


def above(field: str, number: int) -> Expression:
    """The rows of which a field is more than a number."""
    return Expression((Condition(field, Relation.ABOVE, (number,)),))

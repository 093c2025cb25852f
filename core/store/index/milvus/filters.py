"""Filters as expressions that hold numbers alone.

An attribute is carried as two numbers: one for its key, one for key and value together, each the
first eight bytes of a BLAKE2 hash. What a client writes is hashed and never becomes part of an
expression, neither as a value nor, which no template parameter could take, as the name of a key.
The chance that two of a million attributes share a number is below one in ten million.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Expression:
    """A condition on rows: a constant text with places for numbers, and the numbers."""

    text: str = ""
    numbers: dict[str, list[int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.text)

    def literal(self) -> str:
        """The condition with its numbers written out, for an engine without parameters."""
        written = {
            name: f"[{', '.join(str(int(number)) for number in numbers)}]"
            for name, numbers in self.numbers.items()
        }
        return self.text.format(**written)


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


def expression_of(
    filters: Mapping[str, Sequence[str]] | None = None,
    *,
    having: str | None = None,
    without_items: Iterable[int] = (),
) -> Expression:
    """The rows with one of the values of every key, with a key at all, and not of some items."""
    conditions = [
        ("array_contains_any(tags, ?)", [tag_of(key, value) for value in values])
        for key, values in (filters or {}).items()
    ]
    if having is not None:
        conditions.append(("array_contains_any(tags, ?)", [tag_of(having)]))
    if excluded := list(without_items):
        conditions.append(("item not in ?", excluded))
    return _all_of(conditions)


def among(field_name: str, numbers: Iterable[int]) -> Expression:
    """The rows of which a field, named by our own code, is one of some numbers."""
    return _all_of([(f"{field_name} in ?", list(numbers))])


def not_among(field_name: str, numbers: Iterable[int]) -> Expression:
    """The rows of which a field is none of some numbers."""
    found = list(numbers)
    return _all_of([(f"{field_name} not in ?", found)] if found else [])


def _all_of(conditions: list[tuple[str, list[int]]]) -> Expression:
    clauses = [text.replace("?", f"{{n{place}}}") for place, (text, _) in enumerate(conditions)]
    numbers = {f"n{place}": values for place, (_, values) in enumerate(conditions)}
    return Expression(" and ".join(clauses), numbers)

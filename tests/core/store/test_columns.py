"""Attributes packed into small numbers give what a list of dictionaries would."""

from __future__ import annotations

import random

import numpy as np
import pytest

from core.store.columns import Columns


def _rows(dice: random.Random, count: int, values: int) -> list[dict[str, str]]:
    rows = []
    for _ in range(count):
        row = {key: f"{key}{dice.randrange(values)}" for key in "abc" if dice.random() < 0.7}
        rows.append(row)
    return rows


def _check(columns: Columns, rows: list[dict[str, str]]) -> None:
    assert columns.at(range(len(rows))) == rows
    assert columns.keys == sorted({key for row in rows for key in row})
    for wanted in (["a0"], ["a0", "a1", "a200"], [], ["unknown"]):
        expected = [row.get("a") in wanted for row in rows]
        assert columns.matching({"a": wanted}).tolist() == expected
    both = columns.matching({"a": ["a0", "a1"], "b": ["b0"]}).tolist()
    assert both == [row.get("a") in ("a0", "a1") and row.get("b") == "b0" for row in rows]
    assert not columns.matching({"size": ["9"]}).any()
    counted = columns.facets(np.arange(len(rows)))
    assert {key: dict(pairs) for key, pairs in counted.items()} == {
        key: {value: values.count(value) for value in set(values)}
        for key in columns.keys
        for values in [[row[key] for row in rows if key in row]]
    }


@pytest.mark.parametrize("values", [2, 127, 128, 400, 40_000])
def test_packed_joined_and_taken_columns_equal_their_rows(values: int) -> None:
    dice = random.Random(values)
    parts = [_rows(dice, count, values) for count in (300, 0, 500, 1)]
    joined = Columns.joined([Columns.packed(part) for part in parts])
    rows = [row for part in parts for row in part]
    _check(joined, rows)
    order = np.random.default_rng(0).permutation(len(rows))
    _check(joined.taken(order, len(rows)), [rows[place] for place in order])
    kept = np.array([index % 3 == 0 for index in range(len(rows))])
    _check(
        joined.taken(kept, int(kept.sum())), [row for row, k in zip(rows, kept, strict=True) if k]
    )


def test_values_that_join_leave_older_columns_as_they_were() -> None:
    old = Columns.packed([{"a": "one"}, {}])
    new = Columns.joined([old, Columns.packed([{"a": "two", "b": "x"}])])
    assert old.values("a") == ["one"]
    assert new.at([0, 1, 2]) == [{"a": "one"}, {}, {"a": "two", "b": "x"}]


def test_a_key_that_nobody_has_any_more_is_gone() -> None:
    columns = Columns.packed([{"a": "one"}, {"b": "two"}])
    assert columns.taken(np.array([1]), 1).keys == ["b"]

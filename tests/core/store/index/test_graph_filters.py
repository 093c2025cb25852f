"""A graph under filters: what it cannot reach is found by comparing codes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from core.store.index.faiss import FaissIndex, build_index
from core.store.index.ranking import best_of, rows_of
from tests.core.store.index.test_contract import Held, clustered, unit

_COUNT = 6000
_DIMENSION = 24


def _graph(
    ids: np.ndarray | None = None, vectors: np.ndarray | None = None
) -> tuple[FaissIndex, Held]:
    vectors = clustered(_COUNT, seed=0) if vectors is None else vectors
    ids = np.arange(len(vectors), dtype=np.int64) * 2 + 3 if ids is None else ids
    held = Held(ids, vectors)
    return build_index(ids, vectors, held, 0), held


@pytest.fixture(scope="module")
def graph() -> tuple[FaissIndex, Held]:
    return _graph()


def test_a_score_by_codes_is_off_by_no_more_than_its_bound(graph: tuple[FaissIndex, Held]) -> None:
    index, held = graph
    base = index.base
    vectors = held.read(base.ids)
    queries = np.concatenate([clustered(20, seed=4), vectors[:20], np.eye(_DIMENSION, dtype="f4")])
    worst = 0.0
    for query in queries:
        coded = base.coded_scores(query, np.arange(len(base)))
        worst = max(worst, float(np.abs(coded - vectors @ query).max()))
    assert 0 < worst <= base.coded_error < 0.1


@pytest.mark.parametrize("count", [1, 9, 10, 11, 60, 300, 600])
def test_a_narrow_filter_finds_exactly_the_best(graph: tuple[FaissIndex, Held], count: int) -> None:
    index, held = graph
    dice = np.random.default_rng(count)
    every = np.array(sorted(held.rows), np.int64)
    for query in clustered(10, seed=count):
        allowed = np.sort(dice.choice(every, count, replace=False))
        scores, ids = index.search(query[None], 10, allowed)
        expected = best_of((held.read(allowed) @ query).astype(np.float32), allowed, 10)
        assert np.allclose(scores[0], expected[0], atol=1e-6)
        assert ids[0].tolist() == expected[1].tolist()


def test_a_filter_below_a_twentieth_misses_nothing_however_costly(
    graph: tuple[FaissIndex, Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, held = graph
    monkeypatch.setattr("core.store.index.faiss._NODE_COST", 0)
    monkeypatch.setattr(type(index.base), "search_graph", None)
    allowed = np.array(sorted(held.rows), np.int64)[::21]
    for query in clustered(10, seed=6):
        expected = [number for _, number in held.best(query, 10, allowed)]
        assert index.search(query[None], 10, allowed)[1][0].tolist() == expected


def test_lost_vectors_under_a_narrow_filter_leave_the_best_of_the_rest() -> None:
    index, held = _graph()
    allowed = np.array(sorted(held.rows), np.int64)[::15]
    query = held.rows[int(allowed[7])]
    expected = held.best(query, 40, allowed)
    for _, lost in expected[:30]:
        del held.rows[lost]
    assert index.search(query[None], 10, allowed)[1][0].tolist() == [
        number for _, number in expected[30:]
    ]


def test_lost_vectors_do_not_shorten_an_answer() -> None:
    index, held = _graph()
    query = clustered(1, seed=5)[0]
    expected = held.best(query, 60)
    for _, lost in expected[:50]:
        del held.rows[lost]
    found = index.search(query[None], 10)[1][0].tolist()
    assert min(found) >= 0
    assert len(np.intersect1d(found, [number for _, number in expected[50:]])) >= 9


def test_what_a_filter_allows_far_from_the_query_is_found() -> None:
    dice = np.random.default_rng(1)
    near, far = np.zeros((2, _DIMENSION))
    near[0], far[1] = 1, 1
    half = _COUNT // 2
    vectors = unit(
        np.repeat([near, far], half, axis=0) + 0.1 * dice.normal(size=(2 * half, _DIMENSION))
    )
    index, held = _graph(vectors=vectors)
    allowed = np.array(sorted(held.rows), np.int64)[half:]
    for query in vectors[:half:300]:
        found = index.search(query[None], 10, allowed)[1][0]
        best = [number for _, number in held.best(query, 10, allowed)]
        assert set(found.tolist()) <= set(allowed.tolist())
        assert len(np.intersect1d(found, best)) >= 9


def test_a_filter_and_removals_hold_together(graph: tuple[FaissIndex, Held]) -> None:
    index, held = graph
    every = np.array(sorted(held.rows), np.int64)
    removed, nothing = every[::3], np.empty((0, _DIMENSION), np.float32)
    changed = index.changed(np.empty(0, np.int64), nothing, removed)
    for allowed in (every[::2], every[:200], removed[:50]):
        left = np.setdiff1d(allowed, removed)
        for query in clustered(4, seed=2):
            found = changed.search(query[None], 10, allowed)[1][0]
            best = [number for _, number in held.best(query, 10, left)]
            assert np.isin(found[found >= 0], left).all()
            assert len(np.intersect1d(found, best)) >= 0.9 * len(best)
    assert (changed.search(clustered(1, seed=2), 10, removed)[1] == -1).all()


@pytest.mark.parametrize("stretch", [1, 3, 40])
def test_rows_are_looked_up_alike_whether_ids_lie_close_or_far_apart(stretch: int) -> None:
    dice = np.random.default_rng(stretch)
    ids = np.sort(dice.choice(400 * stretch, 300, replace=False)).astype(np.int64) + 50
    index, _ = _graph(ids, clustered(300, seed=1))
    for size in (0, 1, 40, 400):
        wanted = np.unique(dice.integers(0, 410 * stretch + 100, size))
        assert index.base.rows_of(wanted).tolist() == rows_of(ids, wanted).tolist()
        assert index.base.rows_of(wanted).tolist() == np.flatnonzero(np.isin(ids, wanted)).tolist()


def test_the_best_are_chosen_as_a_plain_sort_would() -> None:
    dice = np.random.default_rng(0)
    for size in (0, 1, 5, 30, 200):
        scores = dice.integers(0, 8, size).astype(np.float32)
        scores[dice.random(size) < 0.1] = np.nan
        scores[dice.random(size) < 0.1] = -np.inf
        ids = dice.permutation(size) - 1
        real = [(-s, i) for s, i in zip(scores.tolist(), ids.tolist(), strict=True)]
        expected = sorted(pair for pair in real if pair[1] >= 0 and pair[0] < np.inf)[:10]
        found_scores, found = best_of(scores, ids, 10)
        assert found.tolist() == [i for _, i in expected] + [-1] * (10 - len(expected))
        assert found_scores.tolist() == [-s for s, _ in expected] + [-np.inf] * (10 - len(expected))


@pytest.mark.parametrize("exact_up_to", [_COUNT, 0])
@pytest.mark.parametrize("dimension", [17, 24, 32])
def test_a_structure_holds_vectors_of_a_length_that_vector_instructions_like(
    dimension: int, exact_up_to: int
) -> None:
    vectors = unit(np.random.default_rng(2).standard_normal((300, dimension), np.float32))
    ids = np.arange(300, dtype=np.int64)
    reader = SimpleNamespace(read=lambda wanted: vectors[wanted])
    index = build_index(ids, vectors, reader, exact_up_to)
    assert index.base.mapped.d % 16 == 0
    assert index.dimension == dimension
    scores, found = index.search(vectors[:5], 3)
    truth = vectors[:5] @ vectors.T
    assert found[:, 0].tolist() == list(range(5))
    np.testing.assert_allclose(scores, -np.sort(-truth, axis=1)[:, :3], atol=2e-3)

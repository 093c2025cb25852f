"""Every index adapter against brute force: one suite for all of them."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.errors import DamagedIndexError
from core.store.index.faiss import FaissIndex, build_index, load_index
from core.store.index.milvus.collection import MilvusCollection
from core.store.index.milvus.connection import MilvusAddress, MilvusConnection
from core.store.index.milvus.index import MilvusIndex
from core.store.index.milvus.layout import Row
from tests.milvus import lite_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from core.store.index.contract import VectorIndex

Ids = "NDArray[np.int64]"
_DIMENSION = 24


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Unit rows that float16 holds exactly, as the store's own do."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)


def clustered(count: int, seed: int) -> NDArray[np.float32]:
    """Vectors in many small groups, as the photos of a shop are."""
    dice = np.random.default_rng(seed)
    centres = dice.normal(size=(max(1, count // 20), _DIMENSION))
    spread = 0.4 * dice.normal(size=(count, _DIMENSION))
    return unit(centres[dice.integers(0, len(centres), count)] + spread)


class Held:
    """A dictionary of vectors: the reader an index scores from, and brute force itself."""

    def __init__(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self.rows = dict(zip(ids.tolist(), vectors, strict=True))

    def read(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        lost = np.full(_DIMENSION, np.nan, np.float32)
        rows = [self.rows.get(int(each), lost) for each in ids]
        return np.array(rows, np.float32).reshape(len(ids), _DIMENSION)

    def best(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> list[tuple[float, int]]:
        among = (
            self.rows if allowed is None else {i: self.rows[i] for i in allowed if i in self.rows}
        )
        scored = [(float(vector @ query), number) for number, vector in among.items()]
        return sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:k]


@dataclass
class Case:
    """An index and what it must hold."""

    index: VectorIndex
    held: Held
    least_recall: float

    def check(self, k: int = 10, allowed: NDArray[np.int64] | None = None, seed: int = 1) -> None:
        """Compare a batch of searches with brute force."""
        queries = np.concatenate([clustered(20, seed), self._own(20)])
        scores, ids = self.index.search(queries, k, allowed)
        assert scores.shape == ids.shape == (len(queries), k)
        assert scores.dtype == np.float32
        assert ids.dtype == np.int64
        hits = wanted = 0
        for query, row_scores, row_ids in zip(queries, scores, ids, strict=True):
            best = self.held.best(query, k, allowed)
            self._check_row(query, row_scores, row_ids, len(best))
            found = set(row_ids.tolist())
            worst = best[-1][0] if best else 0.0
            # Whoever ties with the last of the best may stand in its place.
            hits += sum(float(self.held.rows[i] @ query) >= worst - 1e-5 for i in found if i >= 0)
            wanted += len(best)
        assert hits >= self.least_recall * wanted

    def _check_row(
        self,
        query: NDArray[np.float32],
        scores: NDArray[np.float32],
        ids: NDArray[np.int64],
        count: int,
    ) -> None:
        real = ids >= 0
        assert int(real.sum()) == count
        assert not real[count:].any()
        assert np.isneginf(scores[count:]).all()
        assert (np.diff(scores[:count]) <= 0).all()
        ties = np.diff(scores[:count]) == 0
        assert (np.diff(ids[:count])[ties] > 0).all()
        assert len(set(ids[:count].tolist())) == count
        own = [float(self.held.rows[i] @ query) for i in ids[:count].tolist()]
        assert np.allclose(scores[:count], own, atol=1e-5)

    def _own(self, count: int) -> NDArray[np.float32]:
        rows = list(self.held.rows.values())[:: max(1, len(self.held.rows) // count)]
        return np.array(rows, np.float32).reshape(-1, _DIMENSION)


def _fill(count: int, exact_up_to: int, least_recall: float) -> Case:
    ids = np.arange(count, dtype=np.int64) * 3 + 5
    vectors = clustered(count, seed=0)
    held = Held(ids, vectors)
    return Case(build_index(ids, vectors, held, exact_up_to), held, least_recall)


def _exact() -> Case:
    return _fill(600, 10_000, 1.0)


def _graph() -> Case:
    return _fill(2500, 0, 0.95)


def _change(case: Case) -> Case:
    """Remove a fifth, replace some, add some."""
    rows = case.held.rows
    known = np.array(sorted(rows), np.int64)
    removed = known[::5]
    replaced = known[1::9]
    fresh = np.arange(100_000, 100_060, dtype=np.int64)
    added = np.concatenate([replaced, fresh])
    vectors = clustered(len(added), seed=9)
    index = case.index.changed(added, vectors, np.concatenate([removed, replaced[:3]]))
    left = {number: rows[number] for number in rows if number not in set(removed.tolist())}
    left.update(zip(added.tolist(), vectors, strict=True))
    return _case(index, left, case.least_recall)


def _case(index: VectorIndex, rows: dict[int, NDArray[np.float32]], recall: float) -> Case:
    ids = np.array(list(rows), np.int64)
    held = Held(ids, np.array(list(rows.values()), np.float32))
    if isinstance(index, FaissIndex):
        index = index.with_reader(held)
    return Case(index, held, recall)


def _changed_thrice(make: Callable[[], Case]) -> Case:
    case = _change(make())
    fresh = np.arange(100_000, 100_010, dtype=np.int64)
    rows = case.held.rows
    index = case.index.changed(fresh[:5], clustered(5, seed=3), fresh[5:])
    left = {number: rows[number] for number in rows if number not in set(fresh[5:].tolist())}
    left.update(zip(fresh[:5].tolist(), clustered(5, seed=3), strict=True))
    case = _case(index, left, case.least_recall)
    nothing = np.empty(0, np.int64)
    index = case.index.changed(nothing, np.empty((0, _DIMENSION), np.float32), nothing)
    return _case(index, case.held.rows, case.least_recall)


def _saved(make: Callable[[], Case], folder: Path) -> Case:
    case = make()
    assert isinstance(case.index, FaissIndex)
    sha256 = case.index.save(folder / "saved.faiss")
    index = load_index(folder / "saved.faiss", sha256, case.held, case.index.recall)
    assert index.kind == case.index.kind
    assert index.recall == case.index.recall
    return Case(index, case.held, case.least_recall)


_ADAPTERS: dict[str, Callable[[Path], Case]] = {
    "exact": lambda _: _exact(),
    "graph": lambda _: _graph(),
    "exact, changed": lambda _: _change(_exact()),
    "graph, changed": lambda _: _change(_graph()),
    "exact, changed thrice": lambda _: _changed_thrice(_exact),
    "graph, changed thrice": lambda _: _changed_thrice(_graph),
    "exact, saved and loaded": lambda folder: _saved(_exact, folder),
    "graph, saved and loaded": lambda folder: _saved(_graph, folder),
}


_names = itertools.count()


def _milvus(connection: MilvusConnection, structure: str, count: int, least: float) -> Case:
    """A collection of its own in a running Milvus."""
    ids = np.arange(count, dtype=np.int64) * 3 + 5
    vectors = clustered(count, seed=0)
    collection = MilvusCollection(connection, f"contract_{next(_names)}")
    collection.create(_DIMENSION, structure, {})
    rows = [Row(int(key), vector, 1) for key, vector in zip(ids, vectors, strict=True)]
    for start in range(0, count, 1000):
        collection.upsert(rows[start : start + 1000])
    return Case(MilvusIndex(collection), Held(ids, vectors), least)


_IN_MILVUS: dict[str, Callable[[MilvusConnection], Case]] = {
    "Milvus FLAT": lambda milvus: _milvus(milvus, "FLAT", 600, 1.0),
    "Milvus HNSW": lambda milvus: _milvus(milvus, "HNSW", 1200, 0.95),
    "Milvus FLAT, changed": lambda milvus: _change(_milvus(milvus, "FLAT", 600, 1.0)),
    "Milvus FLAT, changed thrice": lambda milvus: _changed_thrice(
        lambda: _milvus(milvus, "FLAT", 600, 1.0)
    ),
}
_SHORT = {("Milvus FLAT, changed", "a server"), ("Milvus HNSW", "a file")}
_HOW = {"a server": "server", "a file": "file"}
_NO_MILVUS = find_spec("pymilvus") is None or find_spec("milvus_lite") is None
_PARAMETERS = [
    *_ADAPTERS,
    *(
        pytest.param(
            (name, how),
            id=f"{name}, {how}",
            marks=[
                pytest.mark.skipif(_NO_MILVUS, reason="requirements-milvus.txt is not installed"),
                # One of each kind in every run; the rest where there is time.
                *([] if (name, how) in _SHORT else [pytest.mark.slow]),
            ],
        )
        for name in _IN_MILVUS
        for how in _HOW
    ),
]


@pytest.fixture(scope="module", params=_PARAMETERS)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp("index")
    if isinstance(request.param, str):
        yield _ADAPTERS[request.param](folder)
        return
    name, how = request.param
    if _HOW[how] == "file":
        connection = MilvusConnection(MilvusAddress(str(folder / "lite.db"), timeout_s=30))
        yield _IN_MILVUS[name](connection)
        connection.close()
        return
    with lite_server(folder) as server:
        connection = MilvusConnection(MilvusAddress(server.uri, timeout_s=30))
        yield _IN_MILVUS[name](connection)
        connection.close()


def test_the_nearest_are_found_in_order(case: Case) -> None:
    case.check()
    case.check(k=1)
    case.check(k=50)


def test_it_knows_its_size_and_dimension(case: Case) -> None:
    assert len(case.index) == len(case.held.rows)
    assert case.index.dimension == _DIMENSION
    measured = not case.index.kind.startswith("Milvus")  # there, only a comparison does
    assert (case.index.recall is None) == (case.index.kind == "exact" or not measured)
    assert case.index.recall is None or 0.95 <= case.index.recall <= 1.0


def test_more_than_there_are_is_padded(case: Case) -> None:
    query = clustered(1, seed=4)
    scores, ids = case.index.search(query, len(case.held.rows) + 7)
    assert ids.shape == (1, len(case.held.rows) + 7)
    assert (ids[0, -7:] == -1).all()
    assert np.isneginf(scores[0, -7:]).all()


def _ids(case: Case) -> NDArray[np.int64]:
    return np.array(sorted(case.held.rows), np.int64)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.06, 0.03])
def test_a_filter_of_any_size_finds_the_best_allowed(case: Case, share: float) -> None:
    dice = np.random.default_rng(3)
    ids = _ids(case)
    allowed = np.sort(dice.choice(ids, int(len(ids) * share), replace=False))
    case.check(allowed=allowed)


def test_a_filter_of_a_few_finds_them_all(case: Case) -> None:
    allowed = _ids(case)[[0, 7, -1]]
    case.check(allowed=allowed)
    _, ids = case.index.search(clustered(1, seed=8), 10, allowed)
    assert set(ids[0].tolist()) == {*allowed.tolist(), -1}


def test_a_filter_of_nothing_finds_nothing(case: Case) -> None:
    scores, ids = case.index.search(clustered(2, seed=8), 3, np.empty(0, np.int64))
    assert (ids == -1).all()
    assert np.isneginf(scores).all()


def test_unknown_ids_in_a_filter_are_no_harm(case: Case) -> None:
    allowed = np.array([-4, 1, 10**12], np.int64)
    assert (case.index.search(clustered(1, seed=8), 3, allowed)[1] == -1).all()
    case.check(allowed=np.sort(np.concatenate([allowed, _ids(case)[:40]])))


def test_everything_above_a_threshold_is_found(case: Case) -> None:
    ids = _ids(case)
    for allowed in (None, ids[::3], np.empty(0, np.int64)):
        query = case._own(1)[0]
        scores, found = case.index.within(query, 0.3, allowed)
        expected = [
            (score, number)
            for score, number in case.held.best(query, len(ids), allowed)
            if score >= 0.3
        ]
        assert set(found.tolist()) == {number for _, number in expected}
        assert (np.diff(scores) <= 0).all()
    scores, found = case.index.within(case._own(1)[0], -2.0)
    assert len(found) == len(case.index)
    assert len(case.index.within(case._own(1)[0], 2.0)[1]) == 0


def test_a_batch_answers_as_its_queries_do_alone(case: Case) -> None:
    queries = clustered(16, seed=5)
    scores, ids = case.index.search(queries, 5)
    for place, query in enumerate(queries):
        alone_scores, alone_ids = case.index.search(query[None], 5)
        assert np.allclose(scores[place], alone_scores[0], atol=1e-5)
        assert ids[place].tolist() == alone_ids[0].tolist()


def test_changing_gives_another_index_and_leaves_this_one(case: Case) -> None:
    ids = _ids(case)
    before = case.index.search(clustered(4, seed=6), 8)
    other = case.index.changed(np.array([7]), clustered(1, seed=2), ids[:50])
    assert len(other) == len(ids) - 50 + 1
    after = case.index.search(clustered(4, seed=6), 8)
    assert before[1].tolist() == after[1].tolist()
    assert len(case.index) == len(ids)


def test_removing_everything_leaves_an_index_that_finds_nothing(case: Case) -> None:
    nothing = np.empty((0, _DIMENSION), np.float32)
    empty = case.index.changed(np.empty(0, np.int64), nothing, _ids(case))
    assert len(empty) == 0
    assert (empty.search(clustered(1, seed=6), 4)[1] == -1).all()
    full = empty.changed(np.array([3]), clustered(1, seed=6), np.empty(0, np.int64))
    assert full.search(clustered(1, seed=6), 2)[1].tolist() == [[3, -1]]


def test_searches_go_on_while_it_is_changed(case: Case) -> None:
    queries = clustered(8, seed=7)
    expected = case.index.search(queries, 10)[1].tolist()
    stop = threading.Event()
    wrong = list[object]()

    def search() -> None:
        while not stop.is_set():
            found = case.index.search(queries, 10)[1].tolist()
            if found != expected:
                wrong.append(found)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    index = case.index
    for number in range(60):
        fresh = np.array([200_000 + number])
        index = index.changed(fresh, clustered(1, seed=number), _ids(case)[number : number + 1])
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(index) == len(case.index)


@pytest.mark.parametrize("exact_up_to", [10, 0])
def test_an_index_over_nothing_or_over_one_works(exact_up_to: int) -> None:
    nothing = np.empty((0, _DIMENSION), np.float32)
    empty = build_index(np.empty(0, np.int64), nothing, Held(np.empty(0, np.int64), nothing), 10)
    assert empty.search(clustered(3, seed=1), 2)[1].tolist() == [[-1, -1]] * 3
    one = clustered(1, seed=1)
    single = build_index(np.array([4]), one, Held(np.array([4]), one), exact_up_to)
    assert single.search(one, 2)[1].tolist() == [[4, -1]]


@pytest.mark.parametrize("exact_up_to", [1000, 0])
def test_equal_vectors_come_by_their_ids(exact_up_to: int) -> None:
    ids = np.arange(1, 101, dtype=np.int64)
    vectors = np.repeat(clustered(10, seed=1), 10, axis=0)
    index = build_index(ids, vectors, Held(ids, vectors), exact_up_to)
    scores, found = index.search(vectors[::10], 10)
    for place in range(10):
        assert found[place].tolist() == list(range(place * 10 + 1, place * 10 + 11))
        assert np.ptp(scores[place]) == 0


def test_the_ties_that_are_cut_off_are_those_with_the_highest_ids() -> None:
    ids = np.arange(1, 31, dtype=np.int64)
    vectors = np.repeat(clustered(1, seed=1), 30, axis=0)
    index = build_index(ids, vectors, Held(ids, vectors), 1000)
    assert index.search(vectors[:1], 4)[1].tolist() == [[1, 2, 3, 4]]
    allowed = np.array([3, 9, 20, 21, 22, 30])
    assert index.search(vectors[:1], 4, allowed)[1].tolist() == [[3, 9, 20, 21]]


@pytest.mark.parametrize("exact_up_to", [1000, 0])
def test_a_lost_vector_is_never_found(exact_up_to: int) -> None:
    ids = np.arange(200, dtype=np.int64)
    vectors = clustered(200, seed=1)
    held = Held(ids, vectors)
    index = build_index(ids, vectors, held, exact_up_to)
    for lost in range(0, 200, 2):
        del held.rows[lost]
    if index.recall is not None:
        _, found = index.search(vectors[:1], 20)
        assert not {number for number in found[0].tolist() if number >= 0 and number % 2 == 0}
    scores, found = index.within(vectors[0], -2.0)
    assert set(found.tolist()) == set(range(1, 200, 2))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("make", [_exact, _graph])
def test_damage_is_found_before_the_file_is_used(make: Callable[[], Case], tmp_path: Path) -> None:
    case = make()
    assert isinstance(case.index, FaissIndex)
    path = tmp_path / "saved.faiss"
    sha256 = case.index.save(path)
    data = path.read_bytes()
    for place in (0, 40, len(data) // 2, len(data) - 1):
        damaged = bytearray(data)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(DamagedIndexError, match=r"saved\.faiss"):
            load_index(path, sha256, case.held, None)
    path.write_bytes(data[:-1])
    with pytest.raises(DamagedIndexError):
        load_index(path, sha256, case.held, None)
    path.unlink()
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        load_index(path, sha256, case.held, None)


def test_an_index_that_cannot_be_saved_leaves_nothing(tmp_path: Path) -> None:
    case = _exact()
    assert isinstance(case.index, FaissIndex)
    with pytest.raises((OSError, RuntimeError)):
        case.index.save(tmp_path / "no-such-folder" / "saved.faiss")
    assert list(tmp_path.iterdir()) == []

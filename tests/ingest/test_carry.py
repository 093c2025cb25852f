"""What is published reaches Milvus, whole and once, whatever is killed on the way."""

from __future__ import annotations

import json
import threading
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.errors import IndexConflictError, IndexUnavailableError, UnusableVectorError
from core.settings import Settings
from core.store.catalog import Catalog
from core.store.commit import Commit, IndexedFile, Label, NewSegment
from core.store.index.milvus.collection import MilvusCollection
from core.store.index.milvus.layout import Row
from core.store.index.milvus.snapshot import MilvusSnapshot
from core.store.segments import SegmentRows, write_segment
from core.store.snapshot import read_snapshot
from ingest.carry.carrier import Carrier
from ingest.carry.compare import Comparison, compare
from ingest.carry.duty import CarryDuty
from tests.milvus import LiteServer, lite_server
from tests.processes import kill, wait_for
from tests.store import DIMENSION, identity, indexed, md5, publish, stat, vector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.store.view import CatalogueView, Filters, Found
    from tests.shop import Shop

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")

HOSTILE = ('"', "'", "\\", '" or 1 == 1 or "', "{n0}", "%", "ключ 鍵 🔑", "a:b, c", "\n", " ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteServer]:
    with lite_server(tmp_path_factory.mktemp("milvus")) as started:
        yield started


@pytest.fixture
def settings(tmp_path: Path, server: LiteServer) -> Settings:
    """A store of its own, under an alias of its own."""
    return settings_of(tmp_path, server, f"t{abs(hash(tmp_path))}")


def settings_of(folder: Path, server: LiteServer, alias: str, **more: object) -> Settings:
    return Settings.load(
        image_dir=folder / "images",
        store_dir=folder / "store",
        index="milvus",
        milvus_uri=server.uri,
        milvus_alias=alias,
        **{"milvus_structure": "FLAT", "milvus_timeout_s": 30, **more},
    )


@contextmanager
def opened(settings: Settings, *, take_over: bool = False) -> Iterator[Carrier]:
    with closing(Catalog(settings.store_dir)) as catalog:
        carrier = Carrier(settings, catalog, take_over=take_over)
        yield carrier
        carrier.close()


def differences(carrier: Carrier) -> Comparison:
    carrier.carry()
    return compare(carrier)


def assert_in_step(carrier: Carrier) -> None:
    found = compare(carrier)
    assert found.differences == 0, found.examples
    assert found.unreadable == 0


def view_of(carrier: Carrier, settings: Settings) -> MilvusSnapshot:
    alias = MilvusCollection(carrier.connection, settings.milvus_alias)
    return MilvusSnapshot.of(alias, alias.facts())


def seen(found: list[Found]) -> list[tuple[object, ...]]:
    return [
        (
            match.entry.path,
            match.entry.product_id,
            match.entry.attributes,
            match.entry.ambiguous,
            match.entry.stale,
            round(match.score, 4),
        )
        for match in found
    ]


def test_what_is_published_is_found_as_in_the_store(settings: Settings) -> None:
    with opened(settings) as carrier:
        catalog = carrier.catalog
        space = catalog.ensure_space(identity())
        publish(catalog, space, {f"p{n}.jpg": f"C{n % 40}" for n in range(60)})
        labels = [
            Label(f"p{n}.jpg", f"product {n % 9}", json.dumps({"note": HOSTILE[n % 10], "n": "1"}))
            for n in range(60)
        ]
        catalog.publish(space, Commit(labels=labels))
        assert carrier.carry().items == 60
        assert carrier.carry().items == 0
        assert_in_step(carrier)
        local, remote = read_snapshot(catalog), view_of(carrier, settings)
        assert remote.generation == local.generation
        assert remote.item_count == local.item_count == 60
        assert remote.attribute_keys == local.attribute_keys
        assert remote.space == local.space
        for number in range(10):
            assert_alike(local, remote, vector(f"C{number}", "one"))


def assert_alike(local: CatalogueView, remote: CatalogueView, query: np.ndarray) -> None:
    """Both give the same, however it is asked."""
    chosen: list[Filters] = [
        {},
        *({"note": [value]} for value in HOSTILE),
        {"note": list(HOSTILE[:3]), "n": ["1"]},
        {"note": ['x" or 1 == 1']},
        {'note"] == 1 or item > 0 or attributes["x': ["1"]},
    ]
    for filters in chosen:
        ours, theirs = local.search(query, 100, filters), remote.search(query, 100, filters)
        assert seen(ours) == seen(theirs), filters
        products = local.search_products(query, 5, filters)
        assert seen(products) == seen(remote.search_products(query, 5, filters)), filters
        for by_product in (False, True):
            counted = local.facets(query, 0.1, filters, by_product=by_product)
            assert counted == remote.facets(query, 0.1, filters, by_product=by_product)
    assert seen(local.search(query, 5, {}, {1, 2, 3})) == seen(
        remote.search(query, 5, {}, {1, 2, 3})
    )
    assert seen(local.search_having(query, 5, "note")) == seen(
        remote.search_having(query, 5, "note")
    )
    assert remote.search_having(query, 5, "no such key") == []


def test_every_kind_of_change_is_carried_over(shop: Shop, server: LiteServer) -> None:
    settings = settings_of(shop.images.parent, server, "changes")
    shop.photos(12)
    shop.photo("twin.png", seed=1)
    shop.photo("twin.bmp", seed=2, kind="BMP")
    shop.photo(b"caf\xe9 %41.png".decode("utf-8", "surrogateescape"))
    shop.write(
        "products.csv", "path,product_id,colour\n0000.png,runner,red\n0001.png,runner,blue\n"
    )
    shop.ingest(settings)
    with opened(settings) as carrier:
        assert_in_step(carrier)
        before = {row.entry.path for row in view_of(carrier, settings).search(vector_any(24), 99)}
        assert before == set(shop.items())
    (shop.images / "0003.png").unlink()
    (shop.images / "0004.png").rename(shop.images / "renamed.png")
    (shop.images / "twin.bmp").unlink()
    shop.photo("0005.png", seed=77)
    shop.write("0006.png", b"no picture any more")
    shop.photo("new.png")
    shop.write("products.csv", "path,product_id,colour\n0000.png,other,\n0002.png,runner,blue\n")
    shop.ingest(settings)
    with opened(settings) as carrier:
        assert_in_step(carrier)
        assert_alike(shop.snapshot(), view_of(carrier, settings), vector_any(24))


def vector_any(seed: int) -> np.ndarray:
    from tests.shop import picture_bytes, vector_of  # noqa: PLC0415  # loads the model

    return vector_of(picture_bytes(seed))


def test_vectors_that_are_none_never_reach_milvus(settings: Settings) -> None:
    with opened(settings) as carrier:
        catalog = carrier.catalog
        space = catalog.ensure_space(identity())
        publish(catalog, space, {"good": "A"})
        bad = np.zeros((3, DIMENSION), np.float16)
        bad[1] = np.nan
        bad[2] = 3
        contents = ["zero", "nan", "long"]
        rows = SegmentRows(
            bad,
            np.frombuffer(b"".join(map(md5, contents)), np.uint8).reshape(-1, 16),
            np.full(3, -1, np.int32),
        )
        record = write_segment(
            catalog.store_dir, catalog.next_segment_id(), space.id, space.fingerprint, rows
        )
        files = [IndexedFile(one, stat(), md5(one), racy=False) for one in contents]
        catalog.publish(space, Commit(NewSegment(record, rows), files))
        carried = carrier.carry()
        assert sorted(carried.refused.values()) == [
            f"{one}: its vector is not finite or not of unit length." for one in sorted(contents)
        ]
        assert carrier.collection_of(space).count() == 1
        found = compare(carrier)
        assert (found.differences, len(found.refused)) == (0, 3)
        for wrong in bad.astype(np.float32):
            with pytest.raises(UnusableVectorError, match="kept from Milvus"):
                carrier.collection_of(space).upsert([Row(1, wrong, 1, path="x")])


def test_differences_are_found_and_mended(settings: Settings) -> None:
    with opened(settings) as carrier:
        catalog = carrier.catalog
        space = catalog.ensure_space(identity())
        publish(catalog, space, {f"p{n}": f"C{n}" for n in range(20)})
        carrier.carry()
        collection = carrier.collection_of(space)
        rows = carrier.source_of(space).between(0, 100).good
        collection.delete([rows[0].key, rows[1].key])
        strange = vector("strange")
        collection.upsert([Row(rows[2].key, rows[2].vector, rows[2].item_id, path="other")])
        collection.upsert([Row(**{**vars(rows[3]), "vector": strange})])
        collection.upsert([Row(5 << 50, strange, 5, path="far"), Row(-7, strange, 5, path="low")])
        found = compare(carrier)
        assert (found.missing, found.different, found.surplus) == (2, 2, 2)
        assert_in_step(carrier)


@pytest.mark.parametrize("structure", ["FLAT", "HNSW"])
def test_a_server_killed_in_the_middle_of_a_carry_over_costs_nothing(
    tmp_path: Path, structure: str
) -> None:
    with lite_server(tmp_path / "milvus") as server:
        settings = settings_of(tmp_path, server, "killed", milvus_structure=structure)
        with opened(settings) as carrier:
            catalog = carrier.catalog
            space = catalog.ensure_space(identity())
            publish(catalog, space, {f"p{n}": f"C{n}" for n in range(4000)})
            collection = carrier.collection_of(space)
            killer = threading.Thread(target=_kill_when_filling, args=(server, collection, 1000))
            killer.start()
            with pytest.raises(IndexUnavailableError, match="LOOKALIKE_MILVUS_URI"):
                carrier.carry()
            killer.join()
            with pytest.raises(IndexUnavailableError):
                carrier.carry()
            server.start()
            assert 0 < wait_for(lambda: _count(collection)) < 4000
            carrier.carry()
            assert collection.count() == 4000
            assert_in_step(carrier)


def _count(collection: MilvusCollection) -> int:
    try:
        return collection.count()
    except IndexUnavailableError:
        return 0


def _filled(collection: MilvusCollection, rows: int) -> bool:
    return _count(collection) >= rows


def _kill_when_filling(server: LiteServer, collection: MilvusCollection, rows: int) -> None:
    wait_for(partial(_filled, collection, rows), 60)
    server.kill()


@pytest.mark.slow
def test_an_ingester_killed_in_the_middle_of_a_carry_over_costs_nothing(
    shop: Shop, server: LiteServer
) -> None:
    settings = settings_of(shop.images.parent, server, "ingester")
    with opened(settings) as carrier:
        catalog = carrier.catalog
        space = catalog.ensure_space(identity())
        publish(catalog, space, {f"p{n}": f"C{n}" for n in range(8000)})
    milvus = {"index": "milvus", "milvus_uri": server.uri, "milvus_alias": "ingester"}
    for rows in (500, 3000, 5000):
        process = shop.start("sync", **milvus)
        with opened(settings) as carrier:
            wait_for(partial(_filled, carrier.collection_of(space), rows), 60)
            kill(process)
            assert carrier.collection_of(space).count() < 8000
    done = shop.cli("sync", "--verify", **milvus)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8000 rows compared: 0 differences" in done.stdout


def test_sync_reports_and_mends(shop: Shop, server: LiteServer) -> None:
    milvus = {"index": "milvus", "milvus_uri": server.uri, "milvus_alias": "command"}
    shop.photos(5)
    assert shop.cli("run", **milvus).returncode == 0
    done = shop.cli("sync", "--verify", "--json", **milvus)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 5
    settings = settings_of(shop.images.parent, server, "command")
    with opened(settings) as carrier:
        space = carrier.catalog.live_space()
        assert space is not None
        carrier.collection_of(space).delete([1 << 31])
    assert shop.cli("sync", **milvus).returncode == 0  # nothing was published since
    done = shop.cli("sync", "--verify", **milvus)
    assert done.returncode == 5, done.stdout
    assert "1 differences (1 missing, 0 different, 0 surplus), mended" in done.stdout
    assert shop.cli("sync", "--verify", **milvus).returncode == 0
    refused = shop.cli("sync")
    assert refused.returncode == 2
    assert "LOOKALIKE_INDEX" in refused.stderr


def test_a_run_goes_on_without_milvus_and_makes_up_for_it(shop: Shop, tmp_path: Path) -> None:
    with lite_server(tmp_path / "milvus") as server:
        settings = settings_of(shop.images.parent, server, "gone", milvus_timeout_s=1)
        shop.photos(4)
        server.kill()
        done = shop.ingest(settings)
        assert len(shop.snapshot().entries) == 4
        assert any("LOOKALIKE_MILVUS_URI" in warning for warning in done.warnings), done.warnings
        with closing(Catalog(settings.store_dir)) as catalog:
            duty = CarryDuty(settings, catalog)
            duty.after_commit()
            assert duty.problem is not None
            server.start()
            wait_for(lambda: (duty.after_commit(), duty.problem is None)[1])
            duty.close()
        with opened(settings) as carrier:
            assert_in_step(carrier)


def test_a_server_that_hangs_costs_a_deadline(shop: Shop, tmp_path: Path) -> None:
    with lite_server(tmp_path / "milvus") as server:
        settings = settings_of(shop.images.parent, server, "hangs", milvus_timeout_s=0.5)
        with opened(settings) as carrier:
            carrier.catalog.ensure_space(identity())
            carrier.carry()
            server.pause()
            with pytest.raises(IndexUnavailableError, match=r"within 0\.5 s"):
                carrier.carry()
            server.resume()
            carrier.carry()


def test_another_model_is_built_beside_the_one_that_answers(settings: Settings) -> None:
    with opened(settings) as carrier:
        catalog = carrier.catalog
        first = catalog.ensure_space(identity("one"))
        publish(catalog, first, {"a": "A", "b": "B"})
        carrier.carry()
        second = catalog.ensure_space(identity("two"))
        publish(catalog, second, {"a": "A", "b": "B", "c": "C"})
        carrier.carry()
        held = view_of(carrier, settings)
        assert held.space is not None
        assert held.space.fingerprint == first.fingerprint
        catalog.go_live(second)
        carrier.carry()
        moved = view_of(carrier, settings)
        assert moved.space is not None
        assert moved.space.fingerprint == second.fingerprint
        assert moved.collection is not None
        assert held.collection is not None
        assert moved.collection.name != held.collection.name
        assert len(held.search(vector("A", "one"), 9)) == 2  # a request that began before goes on
        assert len(moved.search(vector("A", "two"), 9)) == 3
        assert_in_step(carrier)
        carrier.tidy()
        assert len(held.search(vector("A", "one"), 9)) == 2


def test_an_alias_of_another_store_is_left_alone(tmp_path: Path, server: LiteServer) -> None:
    ours, theirs = (
        settings_of(tmp_path / name, server, "shared_alias") for name in ("ours", "theirs")
    )
    for chosen, path in ((ours, "ours.jpg"), (theirs, "theirs.jpg")):
        with closing(Catalog(chosen.store_dir)) as catalog:
            publish(catalog, catalog.ensure_space(identity()), {path: "A"})
    with opened(theirs) as carrier:
        carrier.carry()
    with opened(ours) as carrier:
        with pytest.raises(IndexConflictError, match="LOOKALIKE_MILVUS_ALIAS=shared_alias"):
            carrier.carry()
        assert _paths(carrier, ours) == ["theirs.jpg"]
    with opened(ours, take_over=True) as carrier:
        carrier.carry()
        assert _paths(carrier, ours) == ["ours.jpg"]
        assert_in_step(carrier)


def _paths(carrier: Carrier, settings: Settings) -> list[str]:
    found = view_of(carrier, settings).search(vector("A", "one"), 9)
    return [match.entry.path for match in found]


def test_a_catalog_from_a_backup_is_right(settings: Settings) -> None:
    with opened(settings) as carrier:
        catalog = carrier.catalog
        space = catalog.ensure_space(identity())
        publish(catalog, space, {"a": "A"})
        with catalog.database.reading() as connection:
            connection.execute("VACUUM") if False else None
        collection = carrier.collection_of(space)
        publish(catalog, space, {"b": "B"})
        carrier.carry()
        collection.keep({"carried": [catalog.generation() + 5, 0]})
        collection.upsert([Row(99 << 31, vector("later"), 99, path="later")])
        carrier.carry()
        assert collection.count() == 2
        assert_in_step(carrier)


def test_moments_of_videos_come_and_go(settings: Settings) -> None:
    with opened(settings) as carrier:
        catalog = carrier.catalog
        space = catalog.ensure_space(identity())
        _publish_video(catalog, "film.mp4", "film", [0, 1000, 2500])
        publish(catalog, space, {"still.jpg": "still"})
        carrier.carry()
        assert carrier.collection_of(space).count() == 4
        assert_in_step(carrier)
        local, remote = read_snapshot(catalog), view_of(carrier, settings)
        assert seen(remote.search(vector("film1000", "one"), 9)) == seen(
            local.search(vector("film1000", "one"), 9)
        )
        assert remote.item_count == 2
        _publish_video(catalog, "film.mp4", "film 2", [500])
        carrier.carry()
        assert carrier.collection_of(space).count() == 2
        assert_in_step(carrier)


def _publish_video(catalog: Catalog, path: str, content: str, moments: list[int]) -> None:
    space = catalog.live_space()
    assert space is not None
    rows = SegmentRows(
        np.stack([vector(f"{content}{at}", "one") for at in moments]).astype(np.float16),
        np.frombuffer(md5(content) * len(moments), np.uint8).reshape(-1, 16),
        np.array(moments, np.int32),
    )
    record = write_segment(
        catalog.store_dir, catalog.next_segment_id(), space.id, space.fingerprint, rows
    )
    catalog.publish(space, Commit(NewSegment(record, rows), [indexed(path, content)]))


def test_a_narrow_filter_over_a_graph_finds_the_best_it_allows(
    tmp_path: Path, server: LiteServer
) -> None:
    settings = settings_of(tmp_path, server, "narrow", milvus_structure="HNSW")
    with opened(settings) as carrier:
        catalog = carrier.catalog
        space = catalog.ensure_space(identity())
        publish(catalog, space, {f"p{n}": f"C{n}" for n in range(6000)})
        labels = [
            Label(
                f"p{n}", f"product {n % 900}", json.dumps({"rare": str(n % 1000), "n": str(n % 5)})
            )
            for n in range(6000)
        ]
        catalog.publish(space, Commit(labels=labels))
        carrier.carry()
        local, remote = read_snapshot(catalog), view_of(carrier, settings)
        for number in range(20):
            query, rare = vector(f"C{number}", "one"), {"rare": [str(number)]}
            assert seen(local.search(query, 10, rare)) == seen(remote.search(query, 10, rare))
            assert seen(local.search_products(query, 3, rare)) == seen(
                remote.search_products(query, 3, rare)
            )
            wide = {"n": ["3"]}
            found = {row[0] for row in seen(remote.search(query, 10, wide))}
            true = {row[0] for row in seen(local.search(query, 10, wide))}
            assert len(found & true) >= 9

"""One collection: its making, what is written to it, and what is read from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.errors import UnusableVectorError
from core.store.index.milvus.connection import BOUNDED, STRONG, MilvusConnection
from core.store.index.milvus.layout import MOST_TAGS, MOST_TEXT_BYTES, VECTOR, Row, is_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from core.store.index.milvus.filters import Expression

MOST_HITS: Final = 16_384  # of one search or query; Milvus gives no more
_METRIC: Final = "IP"  # of unit vectors the cosine, with the store's own rounding
_PROPERTY: Final = "lookalike."
_BUILD: Final[Mapping[str, dict[str, int]]] = {"HNSW": {"M": 32, "efConstruction": 200}}
_BREADTH: Final = 400  # nodes that a search of a graph visits at least
_FEW: Final = 500  # rows that pass a filter and are compared here
_DELETED_AT_ONCE: Final = 8_192
_READ_AT_ONCE: Final = 2_000
_SLOW: Final = 12  # times the deadline of a search, for what writes much or makes a collection

Facts = dict[str, Any]
"""What is known of a collection beside its rows; kept as JSON in its properties."""


@dataclass(frozen=True)
class Hit:
    """One row that was found."""

    key: int
    score: float
    fields: dict[str, Any]


class MilvusCollection:
    """A collection by its own name, or by an alias for reading."""

    def __init__(self, connection: MilvusConnection, name: str) -> None:
        self.connection = connection
        self.name = name

    @property
    def tags_as_text(self) -> bool:
        """Whether tags are a text rather than an array, see `filters`."""
        return not self.connection.takes_parameters

    # Making

    def create(self, dimension: int, index: str, facts: Facts) -> None:
        """Make it, with its indexes, loaded and empty.

        Args:
            dimension: of its vectors.
            index: FLAT (exact), HNSW, DISKANN or AUTOINDEX.
            facts: what is kept in its properties.
        """
        from pymilvus import DataType, MilvusClient  # noqa: PLC0415

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("pk", DataType.INT64, is_primary=True)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dimension)
        for name in ("item", "at_ms", "path_key", "content"):
            schema.add_field(name, DataType.INT64)
        for name, length in (("path", MOST_TEXT_BYTES), ("md5", 32), ("product", MOST_TEXT_BYTES)):
            schema.add_field(name, DataType.VARCHAR, max_length=length)
        if self.tags_as_text:
            schema.add_field("tags", DataType.VARCHAR, max_length=MOST_TEXT_BYTES)
        else:
            schema.add_field(
                "tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=MOST_TAGS
            )
        for name in ("attributes", "marks"):
            schema.add_field(name, DataType.JSON)
        indexes = MilvusClient.prepare_index_params()
        indexes.add_index(
            VECTOR, index_type=index, metric_type=_METRIC, params=_BUILD.get(index, {})
        )
        for name in ("item", "path_key", "content"):
            indexes.add_index(name, index_type="INVERTED")
        if not self.tags_as_text:
            indexes.add_index("tags", index_type="INVERTED")
        self._slow(
            "create_collection",
            schema=schema,
            index_params=indexes,
            properties=_properties({**facts, "index": index, "dimension": dimension}),
            consistency_level=BOUNDED,
        )

    def drop(self) -> None:
        """Delete it with everything in it, if it is there."""
        self._slow("drop_collection")

    def release(self) -> None:
        """Free the memory it takes; reading loads it again."""
        self._slow("release_collection")

    def facts(self) -> Facts | None:
        """What is kept of it, its own name under `name`; None: there is no such collection."""
        found = self.connection.describe(self.name)
        if found is None:
            return None
        kept = {
            key.removeprefix(_PROPERTY): json.loads(value)
            for key, value in found.get("properties", {}).items()
            if key.startswith(_PROPERTY)
        }
        return {**kept, "name": found["collection_name"]}

    def keep(self, facts: Facts) -> None:
        """Keep facts, over those of the same names."""
        self._slow("alter_collection_properties", properties=_properties(facts))

    # Writing

    def upsert(self, rows: Sequence[Row]) -> None:
        """Write rows, in place of those with the same keys.

        Raises:
            UnusableVectorError: a vector is not finite or not of unit length; nothing is written.
        """
        for row in rows:
            if not is_unit(row.vector):
                raise UnusableVectorError(
                    f"{row.path}: its vector is not finite or not of unit length, so it is kept "
                    "from Milvus, which would take it."
                )
        if rows:
            self._slow("upsert", data=[row.fields(tags_as_text=self.tags_as_text) for row in rows])

    def delete(self, keys: Sequence[int]) -> None:
        """Delete rows; keys that are not there are no harm."""
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            self._slow("delete", ids=list(keys[start : start + _DELETED_AT_ONCE]))

    def flush(self) -> None:
        """Have what was written sealed and indexed; it is durable and found without."""
        self._slow("flush")

    # Reading

    def count(self) -> int:
        """How many rows there are at this moment."""
        found = self.connection.call_loaded(
            "query", self.name, output_fields=["count(*)"], consistency_level=STRONG
        )
        return int(found[0]["count(*)"])

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        expression: Expression | None = None,
        *,
        fields: Sequence[str] = (),
        group_by: str | None = None,
        threshold: float | None = None,
        consistency: str = BOUNDED,
    ) -> list[list[Hit]]:
        """The k best rows of each `[q, d]` query, best first, at most `MOST_HITS`.

        Args:
            queries: unit vectors.
            k: how many at most.
            expression: which rows may be found; None: all.
            fields: what to give of each row beside key and score.
            group_by: a field of which each value is found once, by its best row.
            threshold: rows score more than this.
            consistency: BOUNDED or STRONG.
        """
        limit = min(k, MOST_HITS)
        breadth = max(_BREADTH, 2 * limit)
        if expression and self.tags_as_text:
            # Milvus scans what a narrow filter leaves; Milvus Lite walks its graph past it.
            few = self.query(
                expression, (*fields, *([group_by] if group_by else []), VECTOR), limit=_FEW + 1
            )
            if len(few) <= _FEW:
                return [_scanned(few, query, limit, group_by, threshold) for query in queries]
            breadth = MOST_HITS
        inner: dict[str, float] = {"ef": breadth}
        if threshold is not None:
            inner["radius"] = threshold
        more: dict[str, Any] = {"group_by_field": group_by} if group_by else {}
        found = self.connection.call_loaded(
            "search",
            self.name,
            data=list(queries),
            limit=limit,
            output_fields=list(fields),
            search_params={"metric_type": _METRIC, "params": inner},
            consistency_level=consistency,
            **self._filter(expression),
            **more,
        )
        return [
            [Hit(int(hit["pk"]), float(hit["distance"]), dict(hit["entity"])) for hit in hits]
            for hits in found
        ]

    def query(
        self,
        expression: Expression,
        fields: Sequence[str],
        limit: int = MOST_HITS,
        consistency: str = BOUNDED,
    ) -> list[dict[str, Any]]:
        """Rows that fulfil a condition, at most `limit`, in no particular order."""
        found = self.connection.call_loaded(
            "query",
            self.name,
            output_fields=["pk", *fields],
            limit=limit,
            consistency_level=consistency,
            **self._filter(expression),
        )
        return [dict(row) for row in found]

    def rows(
        self, low: int, high: int, fields: Sequence[str], consistency: str = STRONG
    ) -> Iterator[dict[str, Any]]:
        """Every row whose key is from `low` to below `high`, by ascending key."""
        while low < high:
            iterator = self.connection.call_loaded(
                "query_iterator",
                self.name,
                batch_size=_READ_AT_ONCE,
                limit=_READ_AT_ONCE,
                filter=f"pk >= {int(low)} and pk < {int(high)}",
                output_fields=["pk", *fields],
                consistency_level=consistency,
                timeout_s=_SLOW * self.connection.address.timeout_s,
            )
            rows = self.connection.read_next(iterator)
            rows.sort(key=lambda row: row["pk"])
            yield from rows
            if len(rows) < _READ_AT_ONCE:
                return
            low = int(rows[-1]["pk"]) + 1

    def _filter(self, expression: Expression | None) -> dict[str, Any]:
        if not expression:
            return {}
        if self.connection.takes_parameters:
            text, numbers = expression.parametric()
            return {"filter": text, "filter_params": numbers}
        return {"filter": expression.literal()}

    def _slow(self, method: str, **more: Any) -> Any:
        deadline = _SLOW * self.connection.address.timeout_s
        return self.connection.call(method, self.name, timeout_s=deadline, **more)


def _scanned(
    rows: list[dict[str, Any]],
    query: NDArray[np.float32],
    limit: int,
    group_by: str | None,
    threshold: float | None,
) -> list[Hit]:
    """The best of a few rows, by comparing with each."""
    hits = [Hit(row["pk"], float(np.dot(row[VECTOR], query)), row) for row in rows]
    hits = [hit for hit in hits if threshold is None or hit.score > threshold]
    hits.sort(key=lambda hit: (-hit.score, hit.key))
    if group_by is not None:
        best: dict[Any, Hit] = {}
        for hit in hits:
            best.setdefault(hit.fields[group_by], hit)
        hits = list(best.values())
    return hits[:limit]


def _properties(facts: Facts) -> dict[str, str]:
    return {f"{_PROPERTY}{key}": json.dumps(value) for key, value in facts.items()}

"""`lookalike-ingest sync`: what the daemon does by itself, at once and with a report."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from core.errors import SettingsError
from core.store.catalog import Catalog
from ingest.carry.carrier import Carried, Carrier
from ingest.carry.compare import Comparison, compare
from ingest.lock import IngestLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings


@dataclass(frozen=True)
class Synced:
    """What was done."""

    generation: int
    carried: Carried
    comparison: Comparison | None  # None: not asked for

    @property
    def differences(self) -> int:
        """How many rows differed and were mended."""
        return 0 if self.comparison is None else self.comparison.differences

    def report(self) -> dict[str, Any]:
        """For scripts."""
        found: dict[str, Any] = {
            "generation": self.generation,
            "carried_items": self.carried.items,
            "carried_rows": self.carried.rows,
            "deleted": self.carried.deleted,
            "refused": sorted(self.refused.values()),
        }
        if self.comparison is not None:
            compared = asdict(self.comparison)
            del compared["refused"]
            found |= {**compared, "differences": self.differences}
        return found

    @property
    def refused(self) -> dict[int, str]:
        """What Milvus must not have, and why."""
        return self.carried.refused | (self.comparison.refused if self.comparison else {})


def sync_store(settings: Settings, *, verify: bool, take_over: bool) -> Synced:
    """Carry over what is outstanding; with `verify` also compare everything, and mend it.

    Raises:
        SettingsError: LOOKALIKE_INDEX is not milvus.
        BusyError: an ingester is at work, which carries over by itself.
        IndexUnavailableError: Milvus is gone.
        IndexConflictError: another store has the alias.
    """
    if settings.index != "milvus":
        raise SettingsError("LOOKALIKE_INDEX=faiss: there is nothing to bring in step with.")
    with (
        IngestLock(settings.store_dir),
        closing(Catalog(settings.store_dir)) as catalog,
        closing(Carrier(settings, catalog, take_over=take_over)) as carrier,
    ):
        carried = carrier.carry()
        comparison = compare(carrier) if verify else None
        carrier.tidy()
        return Synced(catalog.generation(), carried, comparison)


def show_sync(done: Synced, echo: Callable[..., object]) -> None:
    """Say what was done, for people."""
    carried, compared = done.carried, done.comparison
    echo(
        f"Generation {done.generation}: {carried.items} items carried over, "
        f"{carried.rows} rows written, {carried.deleted} deleted."
    )
    for why in sorted(done.refused.values()):
        echo(f"kept from Milvus: {why}", err=True)
    if compared is None:
        return
    if compared.unreadable:
        echo(f"{compared.unreadable} rows of damaged segments were not compared.", err=True)
    for example in compared.examples:
        echo(example, err=True)
    verdict = (
        f"{compared.differences} differences ({compared.missing} missing, {compared.different} "
        f"different, {compared.surplus} surplus), mended"
        if compared.differences
        else "0 differences"
    )
    recall = "" if compared.recall is None else f"; recall@10 {compared.recall:.3f}"
    echo(f"{compared.rows} rows compared: {verdict}{recall}.")

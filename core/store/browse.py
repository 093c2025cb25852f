"""Which items a person wants to see, as a condition on the table of items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.records import ItemState


@dataclass(frozen=True)
class ItemFilter:
    """What is asked of an item; each part narrows the others."""

    state: ItemState | None = None
    text: str = ""  # in the path, the product or an attribute, whatever the case of ASCII letters
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Key -> values: any of a key's values, and so for every key."""

    def condition(self) -> tuple[str, list[str]]:
        """A WHERE clause, empty where nothing is asked, and its parameters."""
        clauses = list[str]()
        values = list[str]()
        if self.state is not None:
            clauses.append("state = ?")
            values.append(self.state)
        if self.text:
            pattern = f"%{_escaped(self.text)}%"
            clauses.append(
                "(CAST(path AS TEXT) LIKE ? ESCAPE '~' OR product_id LIKE ? ESCAPE '~' OR EXISTS "
                "(SELECT 1 FROM json_each(attributes) WHERE value LIKE ? ESCAPE '~'))"
            )
            values += [pattern] * 3
        for key, wanted in self.attributes.items():
            marks = ",".join("?" * len(wanted))
            clauses.append(
                f"EXISTS (SELECT 1 FROM json_each(attributes) WHERE key = ? AND value IN ({marks}))"
            )
            values += [key, *wanted]
        return f"WHERE {' AND '.join(clauses)}" if clauses else "", values


def _escaped(text: str) -> str:
    for special in "~%_":
        text = text.replace(special, f"~{special}")
    return text

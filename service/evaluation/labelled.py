"""Photos with what they show, as their folders or a column of the product data say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import EvaluationError
from core.folder.metadata import find_metadata, read_metadata
from core.records import printable
from service.rank import find_pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

_PRODUCT: Final = "product_id"


@dataclass(frozen=True)
class LabelledFolder:
    """The pictures below a folder that have a label, and why the other files do not count."""

    folder: Path
    files: list[Path]
    labels: list[str]  # of each file
    skipped: dict[str, str]  # name -> why


def read_labelled(folder: Path, column: str | None, metadata: Path | None) -> LabelledFolder:
    """List the pictures below `folder` with their labels.

    Args:
        folder: without a column, each picture's label is its folder's path below this one.
        column: of the product data: `product_id` or the name of an attribute.
        metadata: the product data; None: products.csv or products.json in `folder`.

    Raises:
        EvaluationError: no picture has a label, or there is no product data to read.
        MetadataError: the product data cannot be read.
    """
    files, skipped = find_pictures(folder)
    said = None if column is None else _column(folder, column, metadata)
    kept, labels = list[Path](), list[str]()
    for file in files:
        name = file.relative_to(folder).as_posix()
        label = _folder_of(file, folder) if said is None else said.get(name)
        if label is None:
            skipped[printable(name)] = "no label" if said is not None else "not in a folder"
        else:
            kept.append(file)
            labels.append(printable(label))
    if not kept:
        wanted = "lie in folders named for what they show" if said is None else "have that column"
        raise EvaluationError(f"{folder} holds no photos to evaluate with: they must {wanted}.")
    return LabelledFolder(folder, kept, labels, skipped)


def read_labels_file(path: Path) -> set[str]:
    """The labels that a file lists, one a line; lines that start with # are remarks.

    Raises:
        EvaluationError: it cannot be read, or lists none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read as text: {error}.") from error
    labels = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    if not labels:
        raise EvaluationError(f"{path} lists no labels.")
    return labels


def _folder_of(file: Path, folder: Path) -> str | None:
    parent = file.parent.relative_to(folder).as_posix()
    return None if parent == "." else parent


def _column(folder: Path, column: str, metadata: Path | None) -> Mapping[str, str]:
    """The label of each path that has one."""
    path = find_metadata(folder, metadata)
    if path is None:
        raise EvaluationError(
            f"{folder} has no products.csv or products.json; name the product data by --metadata."
        )
    labels = dict[str, str]()
    for name, said in read_metadata(path).labels.items():
        value = said.product_id if column == _PRODUCT else json.loads(said.attributes).get(column)
        if value:
            labels[name] = value
    if not labels:
        raise EvaluationError(f"{path} has no column {column!r} with anything in it.")
    return labels

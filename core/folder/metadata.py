"""The shop's own product data: a CSV or JSON file beside the photos.

One row (or JSON object) describes one photo: `path` names it, `product_id` groups the photos of a
product, every other column is an attribute to filter on.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.errors import MetadataError
from core.records import default_product, printable
from core.store.commit import Label

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DEFAULT_NAMES: Final = ("products.csv", "products.json")


@dataclass(frozen=True)
class Metadata:
    """What the shop says of its photos."""

    version: str  # changes with the file's content; empty: there is no file
    labels: dict[str, Label]  # by path
    warnings: tuple[str, ...] = ()

    def label(self, path: str) -> Label:
        """What is said of a photo; without a row its product is the file's stem."""
        found = self.labels.get(path)
        return found or Label(path, default_product(printable(path)), "{}")


def find_metadata(image_dir: Path | None, setting: Path | None) -> Path | None:
    """The metadata file, if there is one; without an image folder only the setting names one.

    Raises:
        MetadataError: the one that LOOKALIKE_METADATA names is not there.
    """
    if setting is not None:
        if not setting.is_file():
            raise MetadataError(f"LOOKALIKE_METADATA={setting} is no file.")
        return setting
    candidates = (image_dir / name for name in _DEFAULT_NAMES) if image_dir else ()
    return next((path for path in candidates if path.is_file()), None)


def read_metadata(path: Path | None) -> Metadata:
    """Read a metadata file whole.

    Raises:
        MetadataError: naming the file, the row and what is wrong; nothing is half taken over.
    """
    if path is None:
        return Metadata("", {})
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MetadataError(f"{path} cannot be read: {error.strerror or error}.") from error
    return parse_metadata(str(path), data)


def parse_metadata(path: str, data: bytes) -> Metadata:
    """Take over a metadata file; `path` names it, and says by its suffix what it is.

    Raises:
        MetadataError: naming the file, the row and what is wrong; nothing is half taken over.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise MetadataError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from error
    rows = _json_rows(path, text) if path.lower().endswith(".json") else _csv_rows(path, text)
    labels: dict[str, Label] = {}
    doubled = list[str]()
    for number, row in rows:
        label = _label(path, number, row)
        if label.path in labels:
            doubled.append(label.path)
        labels[label.path] = label
    version = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Metadata(version, labels, _doubled_warning(path, doubled))


def _csv_rows(path: str, text: str) -> Iterable[tuple[str, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = reader.fieldnames or []
        if "path" not in columns:
            found = ", ".join(columns) or "none"
            raise MetadataError(f"{path}, line 1: there is no `path` column (found: {found}).")
        if len(set(columns)) < len(columns):
            raise MetadataError(f"{path}, line 1: a column name occurs twice.")
        for row in reader:
            if None in row:
                raise MetadataError(
                    f"{path}, line {reader.line_num}: more fields than the {len(columns)} columns."
                )
            yield f"line {reader.line_num}", dict(row)
    except csv.Error as error:
        raise MetadataError(f"{path}, line {reader.line_num}: {error}.") from error


def _json_rows(path: str, text: str) -> Iterable[tuple[str, dict[str, object]]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, too
        raise MetadataError(f"{path} is not JSON: {error}.") from error
    if not isinstance(rows, list):
        raise MetadataError(f"{path} must hold a list of objects.")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise MetadataError(f"{path}, entry {number}: not an object.")
        yield f"entry {number}", row


def _label(path: str, where: str, row: dict[str, object]) -> Label:
    name = row.pop("path", None)
    if not isinstance(name, str) or not name.strip():
        raise MetadataError(f"{path}, {where}: `path` is empty.")
    name = name.removeprefix("./")
    product = row.pop("product_id", None)
    attributes = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in row.items()
        if value not in (None, "")
    }
    label = Label(
        path=name,
        product_id=str(product) if product not in (None, "") else default_product(name),
        attributes=json.dumps(attributes, ensure_ascii=False, sort_keys=True),
    )
    try:
        (label.path + label.product_id + label.attributes).encode()
    except UnicodeEncodeError as error:
        raise MetadataError(f"{path}, {where}: half a character (a lone surrogate).") from error
    return label


def _doubled_warning(path: str, doubled: list[str]) -> tuple[str, ...]:
    if not doubled:
        return ()
    shown = ", ".join(doubled[:3])
    return (f"{path}: {len(doubled)} photos have more than one row, the last counts: {shown}.",)

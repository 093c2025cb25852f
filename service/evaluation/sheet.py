"""Queries and what was found for them, as one picture to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from core.errors import EvaluationError
from core.vision.decode import decode_image

if TYPE_CHECKING:
    from pathlib import Path

    from core.vision.decode import DecodeLimits
    from service.evaluation.run import Evaluation

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")

_TILE: Final = 120  # side of a photo, in pixels
_TEXT: Final = 26  # height of the two lines below it
_GAP: Final = 4
_MATCHES: Final = 4
_ROWS_A_COLUMN: Final = 10
_RIGHT, _WRONG, _PLAIN = (30, 150, 60), (200, 40, 40), (120, 120, 120)


def draw_misses(evaluation: Evaluation, most: int, limits: DecodeLimits) -> Image.Image:
    """The worst misses: query, first matches, and last the best photo that would be right."""
    misses = evaluation.figures.misses[:most]
    rows = [(miss.query, [*miss.first, miss.right]) for miss in misses]
    return _draw(evaluation, rows, limits)


def draw_sample(evaluation: Evaluation, most: int, limits: DecodeLimits) -> Image.Image:
    """Queries picked evenly, right or wrong: query, then first matches."""
    queries, gallery = evaluation.queries.photos, evaluation.gallery.photos
    count = min(most, len(queries.labels))
    rows = []
    for place in np.linspace(0, len(queries.labels) - 1, count).astype(int).tolist():
        scores = gallery.vectors @ queries.vectors[place]
        copies = [content == queries.contents[place] for content in gallery.contents]
        scores[copies] = -np.inf
        rows.append((place, np.argsort(-scores, kind="stable")[:_MATCHES].tolist()))
    return _draw(evaluation, rows, limits)


def check_suffix(path: Path) -> None:
    """See that a sheet can be written as what its name says.

    Raises:
        EvaluationError: its suffix names no kind of picture that is written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise EvaluationError(f"{path}: a sheet is written as {', '.join(SUFFIXES)}.")


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a sheet.

    Raises:
        EvaluationError: the file cannot be written.
    """
    try:
        sheet.save(path)
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror or error}.") from error


def _draw(
    evaluation: Evaluation, rows: list[tuple[int, list[int]]], limits: DecodeLimits
) -> Image.Image:
    width = (1 + max((len(found) for _, found in rows), default=0)) * (_TILE + _GAP) + 3 * _GAP
    height = _TILE + _TEXT + _GAP
    columns = max(1, -(-len(rows) // _ROWS_A_COLUMN))
    sheet = Image.new("RGB", (width * columns, height * min(max(len(rows), 1), _ROWS_A_COLUMN)))
    sheet.paste((255, 255, 255), (0, 0, *sheet.size))
    queries, gallery = evaluation.queries, evaluation.gallery
    for number, (query, found) in enumerate(rows):
        left, top = number // _ROWS_A_COLUMN * width, number % _ROWS_A_COLUMN * height
        label = queries.photos.labels[query]
        _tile(sheet, (left, top), _photo(queries.files[query], limits), label, _PLAIN)
        for place, match in enumerate(found, 1):
            theirs = gallery.photos.labels[match]
            score = float(gallery.photos.vectors[match] @ queries.photos.vectors[query])
            at = (left + place * (_TILE + _GAP) + _GAP, top)
            frame = _RIGHT if theirs == label else _WRONG
            _tile(sheet, at, _photo(gallery.files[match], limits), f"{score:.2f} {theirs}", frame)
    return sheet


def _photo(file: Path, limits: DecodeLimits) -> Image.Image:
    return ImageOps.pad(decode_image(file.read_bytes(), limits), (_TILE - 6, _TILE - 6),
                        color=(255, 255, 255))  # fmt: skip


def _tile(
    sheet: Image.Image,
    at: tuple[int, int],
    photo: Image.Image,
    text: str,
    frame: tuple[int, int, int],
) -> None:
    left, top = at
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((left, top, left + _TILE - 1, top + _TILE - 1), fill=frame)
    sheet.paste(photo, (left + 3, top + 3))
    lines = (text[:22], text[22:44])
    for line, words in enumerate(lines):
        pen.text((left, top + _TILE + 12 * line), words, fill=(0, 0, 0), font_size=10)

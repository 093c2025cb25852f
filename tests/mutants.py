"""Valid files with seeded damage: what a hostile or broken client may send."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_TELLING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutants(seeds: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Give as many damaged files, the same for the same seed."""
    dice = random.Random(seed)
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)])
        for _ in range(dice.choice((1, 1, 2, 4, 16))):
            dice.choice(_DAMAGES)(data, dice)
        if dice.random() < 0.05:
            data += dice.choice(seeds)
        yield bytes(data)


def _place(data: bytearray, dice: random.Random) -> int:
    """Somewhere, in the header half of the time."""
    end = max(1, len(data) - 4)
    return dice.randrange(min(end, 512) if dice.random() < 0.5 else end)


def _flip(data: bytearray, dice: random.Random) -> None:
    if data:
        data[_place(data, dice) % len(data)] ^= 1 << dice.randrange(8)


def _number(data: bytearray, dice: random.Random) -> None:
    form = dice.choice(("<B", "<H", ">H", "<I", ">I"))
    value = dice.choice(_TELLING) % (1 << 8 * struct.calcsize(form))
    if len(data) >= 8:
        struct.pack_into(form, data, min(_place(data, dice), len(data) - 4), value)


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[_place(data, dice) :]


def _drop(data: bytearray, dice: random.Random) -> None:
    place = _place(data, dice)
    del data[place : place + dice.randrange(1, 64)]


def _repeat(data: bytearray, dice: random.Random) -> None:
    place = _place(data, dice)
    data[place:place] = data[place : place + dice.randrange(1, 256)]


def _noise(data: bytearray, dice: random.Random) -> None:
    place = _place(data, dice)
    noise = dice.randbytes(dice.randrange(1, 32))
    data[place : place + len(noise)] = noise


_DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _flip,
    _number,
    _number,
    _cut,
    _drop,
    _repeat,
    _noise,
)

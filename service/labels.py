"""What a picture may be named where the model compares pictures with words."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.errors import SettingsError

MOST_LABELS: Final = 2000
MOST_LABEL_CHARACTERS: Final = 100

SHOP_CATEGORIES: Final = tuple(
    """handbag, backpack, suitcase, wallet, belt, hat, cap, scarf, gloves, sunglasses, glasses,
    umbrella, watch, smartwatch, necklace, earrings, bracelet, ring, t-shirt, shirt, blouse,
    sweater, hoodie, jacket, coat, dress, skirt, trousers, jeans, shorts, leggings, swimwear,
    underwear, socks, pyjamas, sneakers, boots, sandals, high heels, slippers, mobile phone,
    tablet computer, laptop, computer monitor, keyboard, computer mouse, headphones, loudspeaker,
    camera, television, game controller, charger, cable, lamp, chair, armchair, sofa, table, desk,
    bed, mattress, pillow, blanket, shelf, wardrobe, mirror, carpet, curtain, vase, candle, clock,
    picture frame, mug, cup, glass, plate, bowl, cutlery, knife, pan, cooking pot, kettle, toaster,
    blender, coffee machine, vacuum cleaner, iron, washing machine, refrigerator, towel, soap,
    shampoo, perfume, lipstick, face cream, toothbrush, toy, doll, plush animal, board game, puzzle,
    toy car, book, notebook, pen, bicycle, helmet, ball, tennis racket, yoga mat, dumbbell, tent,
    fishing rod, drill, hammer, screwdriver, plant, flower, pet food, apple, banana, orange, lemon,
    pear, grapes, berries, melon, mango, avocado, tomato, potato, carrot, onion, garlic, cucumber,
    pepper, lettuce, cabbage, mushrooms, bread, cake, biscuits, chocolate, sweets, crisps, nuts,
    cereal, pasta, rice, milk, yoghurt, cheese, butter, eggs, meat, fish, juice, soft drink, water,
    coffee, tea, wine, beer, oil, sauce, canned food""".replace("\n", " ").split(",")
)


def read_labels(setting: str) -> tuple[str, ...]:
    """Give the labels of LOOKALIKE_LABELS: a file of one per line, or names with commas between.

    Raises:
        SettingsError: the file cannot be read, or there are too few, too many or too long ones.
    """
    if not setting.strip():
        return tuple(label.strip() for label in SHOP_CATEGORIES)
    parts = _lines(setting)
    labels = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if not 2 <= len(labels) <= MOST_LABELS:
        raise SettingsError(
            f"LOOKALIKE_LABELS holds {len(labels)} labels; 2 to {MOST_LABELS} are of use."
        )
    longest = max(labels, key=len)
    if len(longest) > MOST_LABEL_CHARACTERS:
        raise SettingsError(
            f"LOOKALIKE_LABELS: a label has {len(longest)} characters, at most "
            f"{MOST_LABEL_CHARACTERS} are allowed: {longest[:40]!r}..."
        )
    return labels


def _lines(setting: str) -> list[str]:
    if "," in setting:
        return setting.split(",")
    try:
        return Path(setting).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"LOOKALIKE_LABELS={setting!r} is neither names with commas between nor a file that "
            f"can be read: {error}."
        ) from error

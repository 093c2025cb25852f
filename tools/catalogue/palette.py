"""The three colours a product is drawn in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Main is what a shopper would call its colour; the others set it off."""

    main: str
    accent: str
    trim: str

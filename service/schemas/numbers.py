"""Numbers as clients may send them."""

from typing import Annotated, Final

from fastapi import Path, Query

LARGEST: Final = 2**63 - 1  # what the database takes

RunId = Annotated[int, Path(ge=0, le=LARGEST)]
Offset = Annotated[int, Query(ge=0, le=LARGEST)]

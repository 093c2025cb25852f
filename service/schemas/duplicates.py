"""What is told of near-duplicates."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DuplicateItem(BaseModel):
    """One photo of a group."""

    image_path: str
    image_url: str
    product_id: str
    attributes: dict[str, str]


class DuplicateGroup(BaseModel):
    """Photos that look the same."""

    kind: Literal["same_photo", "near_copy"] = Field(
        description="same_photo: equal files; near_copy: files that look the same."
    )
    score: float = Field(description="Similarity of the weakest link of the group.")
    size: int = Field(description="Photos in the group.")
    products: int = Field(description="Different products among them.")
    items: list[DuplicateItem] = Field(description="The first 50 of them.")


class DuplicatesAnswer(BaseModel):
    """Groups of near-duplicates, the most alike first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "groups": [
                    {
                        "kind": "near_copy",
                        "score": 0.991842,
                        "size": 2,
                        "products": 2,
                        "items": [
                            {
                                "image_path": "mugs/m1.jpg",
                                "image_url": "/api/v1/images/mugs/m1.jpg",
                                "product_id": "m1",
                                "attributes": {"colour": "white"},
                            },
                            {
                                "image_path": "mugs/m7.jpg",
                                "image_url": "/api/v1/images/mugs/m7.jpg",
                                "product_id": "m7",
                                "attributes": {"colour": "white"},
                            },
                        ],
                    }
                ],
                "total": 1,
                "compared": 3000,
                "vectors": 3000,
                "complete": True,
            }
        }
    )

    groups: list[DuplicateGroup]
    total: int = Field(description="Groups there are, so far.")
    compared: int = Field(description="Vectors compared with the others so far.")
    vectors: int
    complete: bool = Field(description="Whether all have been compared; if not, ask again soon.")

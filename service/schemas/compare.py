"""What a comparison of two pictures answers."""

from pydantic import BaseModel, ConfigDict, Field


class PingAnswer(BaseModel):
    """The service is there."""

    model_config = ConfigDict(json_schema_extra={"example": {"message": "pong"}})

    message: str = "pong"


class CompareAnswer(BaseModel):
    """How alike two pictures are and where they differ."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "similarity_score": 0.87654321,
                "visualization": "data:image/png;base64,iVBORw0KGgo=",
            }
        }
    )

    similarity_score: float = Field(description="Cosine of the two vectors, at most 1.")
    visualization: str = Field(
        description="Data URI of a PNG: black where the pictures are equal, the brighter the "
        "further apart. It has the first picture's size, 1024 pixels at most on its longest side."
    )

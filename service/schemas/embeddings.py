"""Vectors of several pictures and what they may show."""

from pydantic import BaseModel, ConfigDict, Field


class PredictionAnswer(BaseModel):
    """One class a picture may belong to."""

    label: str
    score: float = Field(description="Share of belief or of the vote, 0 to 1.")
    source: str = Field(description="classifier, zero-shot or neighbours.")


class EmbeddingError(BaseModel):
    """Why a file has no vector."""

    index: int = Field(description="Place of the file in the request, from 0.")
    filename: str | None
    code: str = Field(description="As in a problem document.")
    detail: str


class EmbeddingsAnswer(BaseModel):
    """Predictions and vectors in the order of the files; null in both for one that failed."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "message": "Embedded 1 of 2 pictures.",
                "predictions": [
                    [{"label": "tabby cat", "score": 0.71, "source": "classifier"}],
                    None,
                ],
                "embeddings": [[0.0213, -0.0447, 0.0391], None],
                "errors": [
                    {
                        "index": 1,
                        "filename": "notes.txt",
                        "code": "not_an_image",
                        "detail": "The content is no picture.",
                    }
                ],
                "model": "timm:resnet18.a1_in1k",
                "dimension": 512,
                "processing_time_ms": 35.1,
            }
        }
    )

    message: str
    predictions: list[list[PredictionAnswer] | None] = Field(
        description="Of each picture its likeliest classes, best first."
    )
    embeddings: list[list[float] | None] = Field(
        description="Of each picture its vector, of unit length: an inner product is a cosine."
    )
    errors: list[EmbeddingError]
    model: str = Field(description="Spec of the model.")
    dimension: int
    processing_time_ms: float

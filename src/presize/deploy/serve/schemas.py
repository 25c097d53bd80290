"""The answers of the server, for its description (OpenAPI)."""

from typing import Any

from pydantic import BaseModel, Field


class Share(BaseModel):
    """A class and how likely it is."""

    label: str
    probability: float = Field(ge=0, le=1)


class HeatMap(BaseModel):
    """Which parts of a picture speak for a class, to be laid over it."""

    label: str = Field(description="The class.")
    probability: float | None = Field(None, description="How likely it is.")
    image: str = Field(description="A PNG with transparency, as a data URI.")
    box: list[float] | None = Field(
        None,
        description="Where on the upright picture it lies: left, top, right, bottom, as fractions.",
    )
    seen: str | None = Field(
        None, description="Where there is no box: the picture as the model saw it, as a data URI."
    )


class PredictionAnswer(BaseModel):
    """What the model says of one picture."""

    name: str | None = Field(description="The name of the file, where the client gave one.")
    label: str | list[str] = Field(
        description="The class; of a model that tells several, a list of them, perhaps empty."
    )
    index: int | list[int] = Field(description="The number of the class, in the order of /model.")
    confidence: float = Field(ge=0, le=1, description="The probability of the label.")
    unknown: bool | None = Field(
        description="Whether the picture is none of the classes; null where the model cannot tell."
    )
    top: list[Share] = Field(description="The most likely classes, the most likely first.")
    heat_map: HeatMap | None = Field(None, description="With heat_map=true.")
    heat_map_error: str | None = Field(None, description="Why there is no heat map.")


class ParameterFault(BaseModel):
    """What is wrong with a parameter."""

    parameter: str
    message: str


class Fault(BaseModel):
    """Why there is no answer."""

    code: str = Field(description="A word for programs.")
    message: str = Field(description="A sentence for people.")
    parameters: list[ParameterFault] | None = None


class UnreadPicture(BaseModel):
    """A picture among several that could not be read."""

    name: str | None
    error: Fault


class PredictAnswer(BaseModel):
    """What the model says of the pictures of a request, in their order."""

    model: str
    predictions: list[PredictionAnswer | UnreadPicture]


class ErrorAnswer(BaseModel):
    """Any answer that is not the one that was asked for."""

    error: Fault


class HealthAnswer(BaseModel):
    """How the server is."""

    status: str


class Limits(BaseModel):
    """What a request may be."""

    max_body: int = Field(description="Bytes.")
    max_pixels: int = Field(description="Height times width.")
    max_files: int = Field(description="Pictures in a request.")
    max_heat_maps: int = Field(description="Pictures in a request with heat_map=true.")
    timeout: float = Field(description="Seconds until a request is given up.")


class Training(BaseModel):
    """How the model was trained."""

    source: str | None = Field(description="The name of the data, where it is known.")
    train: int | None = Field(description="Pictures for training.")
    valid: int | None = Field(description="Pictures for validation.")
    epochs: int
    metrics: dict[str, float | None] = Field(
        description="The figures after the last epoch; null is no number, such as a loss of NaN."
    )
    started: str | None


class ModelAnswer(BaseModel):
    """What the server answers with."""

    name: str
    task: str
    classes: list[str]
    n_classes: int
    parameters: int
    calibrated: bool
    can_tell_unknown: bool
    training: Training | None
    drift: dict[str, Any] | None = Field(
        description="Whether the pictures that come in differ from those of training."
    )
    limits: Limits
    token_needed: bool
    version: str = Field(description="Of presize.")

"""Predict the species of an iris."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

router = APIRouter(tags=["predict"])

Centimetres = Annotated[float, Field(gt=0, lt=100)]


class Flower(BaseModel):
    model_config = ConfigDict(strict=True)  # reject "5.1" and true

    sepal_length: Centimetres = Field(examples=[5.1])
    sepal_width: Centimetres = Field(examples=[3.5])
    petal_length: Centimetres = Field(examples=[1.4])
    petal_width: Centimetres = Field(examples=[0.2])


class Prediction(BaseModel):
    species: str
    probability: float


@router.post("/predict", responses={400: {"description": "The body cannot be parsed"}})
async def predict(flower: Flower) -> Prediction:
    """Predict the species of an iris from the size of its sepals and petals in centimetres."""
    from app.iris import classify  # Import the model with the first prediction, so that no cold start waits for it.

    species, probability = classify(flower.sepal_length, flower.sepal_width, flower.petal_length, flower.petal_width)
    return Prediction(species=species, probability=probability)

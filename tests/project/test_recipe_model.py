"""Test the recipe that makes predictions with an ONNX model."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.projects import combination_name
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME
from tests.support.recipes import DEPLOYED, RecipeService, deployed_with_every_recipe

FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


@pytest.fixture(params=DEPLOYED, ids=combination_name)
def service(request: pytest.FixtureRequest, bake: Bake, tmp_path: Path) -> Iterator[RecipeService]:
    """Deploy a project with every recipe."""
    with deployed_with_every_recipe(bake(**request.param), tmp_path / "my-api") as service:
        yield service


def test_predictions_are_made_in_batches(service: RecipeService) -> None:
    status, body = service.request("predict/batch", json.dumps([FLOWER] * 3).encode())
    assert (status, {prediction["species"] for prediction in json.loads(body)}) == (200, {"setosa"})
    assert service.request("predict/batch", b"[]")[0] == 422
    function = service.aws.client("lambda").get_function_configuration(FunctionName=NAME, Qualifier="live")
    assert function["MemorySize"] == 1769

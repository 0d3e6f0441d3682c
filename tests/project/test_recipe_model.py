"""Test the recipe that makes predictions with an ONNX model."""

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.projects import combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import push_image
from tests.support.deployed_stage import NAME
from tests.support.recipes import (
    DEPLOYED,
    RecipeService,
    copy_generated_files,
    deployed,
    deployed_with_every_recipe,
    follow,
    read_recipes,
)

FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}

# A library that writes to the folder of HF_HOME, or of the home directory, while it is imported.
LIBRARY = """\
import os
import pathlib

cache = pathlib.Path(os.environ.get("HF_HOME") or pathlib.Path.home() / ".cache-of-{name}") / "{name}"
cache.mkdir(parents=True)
"""


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


def test_a_library_can_write_where_the_recipe_sets_its_folder(bake: Bake, tmp_path: Path) -> None:
    project = copy_generated_files(bake(), tmp_path / "my-api")
    name = f"recipe-{uuid.uuid4().hex}"
    project.edit("app/iris.py", "import json\n", LIBRARY.format(name=name) + "import json\n")
    body = json.dumps(FLOWER).encode()
    try:
        with deployed(project) as service:
            assert service.request("predict", body)[0] == 500
            assert service.wait_for_log_records("[Errno 30] Read-only file system")
            follow(project, read_recipes(project)["Serve a machine-learning model"])
            assert service.deploy("--image", push_image(project, service.aws)).code == 0
            assert service.request("predict", body)[0] == 200
    finally:
        shutil.rmtree(Path("/tmp/huggingface", name), ignore_errors=True)  # noqa: S108 (the folder of the recipe)

"""Test the recipe that moves an existing FastAPI service into a project."""

import json
import shutil
from pathlib import Path

import pytest

from scripts.projects import Answers, Project, combination_name
from tests.support.bake import Bake
from tests.support.recipes import (
    DEFAULT,
    DEPLOYED,
    LARGEST,
    MOVE_IN,
    copy_generated_files,
    deployed,
    follow,
    read_recipes,
)

PICTURE = bytes(range(256)) * 40
# An existing service with settings, a lifespan, static files and a route that fails.
SHOP = {
    "shop/__init__.py": "",
    "shop/settings.py": """from functools import lru_cache

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    page_size: int = 3


@lru_cache
def get_settings() -> Settings:
    return Settings()
""",
    "shop/main.py": '''"""A service from before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles

from shop.settings import get_settings


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, int]]:
    app.state.starts = getattr(app.state, "starts", 0) + 1
    yield {"opened": 7}


app = FastAPI(title="Shop", lifespan=lifespan)
app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")))


@app.get("/")
async def start(request: Request) -> dict[str, int]:
    return {"starts": request.app.state.starts, "opened": request.state.opened, "page_size": get_settings().page_size}


@app.get("/broken")
async def broken() -> None:
    raise KeyError("colour")
''',
}


def move_shop_in(project: Project) -> Project:
    """Add the existing service to the project, delete the sample, and follow the recipe."""
    for name, text in SHOP.items():
        (project.path / name).parent.mkdir(exist_ok=True)
        (project.path / name).write_text(text, "utf-8")
    (project.path / "shop/static").mkdir()
    (project.path / "shop/static/picture.png").write_bytes(PICTURE)
    if (project.path / "app/tables.py").exists():  # the shop has the tables of the sample, which have a migration
        shutil.copy(project.path / "app/tables.py", project.path / "shop/tables.py")
    for folder in ("app", "tests/app"):
        shutil.rmtree(project.path / folder)
    follow(project, read_recipes(project)[MOVE_IN])
    project.edit("deploy.toml", "[environment]", '[environment]\nPAGE_SIZE = "50"\n#')
    return project


@pytest.mark.parametrize("answers", DEPLOYED, ids=combination_name)
def test_a_moved_service_can_be_deployed(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    with deployed(move_shop_in(copy_generated_files(bake(**answers), tmp_path / "my-api"))) as service:
        for _ in range(2):
            assert json.loads(service.request("")[1]) == {"starts": 1, "opened": 7, "page_size": 50}
        assert service.request("static/picture.png") == (200, PICTURE)
        assert service.request("health")[0] == 404
        status, body = service.request("broken")
        assert (status, json.loads(body)["detail"]) == (500, "Internal Server Error")
        assert json.loads(service.request("openapi.json")[1])["info"]["title"] == "Shop"


@pytest.mark.parametrize("answers", [DEFAULT, LARGEST], ids=combination_name)
def test_a_project_with_a_moved_service_is_clean_and_its_tests_pass(
    bake: Bake, tmp_path: Path, answers: Answers
) -> None:
    project = move_shop_in(copy_generated_files(bake(**answers), tmp_path / "my-api"))
    for check in ("ruff check", "ruff format --check", "pytest -q", "mypy"):
        project.run(check)

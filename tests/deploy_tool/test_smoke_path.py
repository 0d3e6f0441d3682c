"""A smoke test that fails because of its path or host says which setting to change."""

from pathlib import Path

import pytest

from scripts.project_changes import write_handler
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.deployed_stage import NAME, DeployedStage, deployed_stage

RESPONDS = """
def handler(event, context):
    return {{"statusCode": {status}, "body": {body!r}}}
"""
ONLY_HEALTH = """
def handler(event, context):
    return {"statusCode": 200 if event["rawPath"] == "/health" else 404, "body": "no"}
"""
# Like Starlette's TrustedHostMiddleware.
TRUSTS_ONE_HOST = """
def handler(event, context):
    if event["headers"]["host"] == "api.example.com":
        return {"statusCode": 200, "body": "ok"}
    return {"statusCode": 400, "body": "Invalid host header"}
"""
OTHER_PATH = "No traffic was moved. Set smoke_path in deploy.toml to a path that returns 200 without credentials."
FIX_THE_ERROR = "No traffic was moved. Fix the error and deploy again."


@pytest.mark.parametrize(
    ("status", "hint"),
    [(404, OTHER_PATH), (401, OTHER_PATH), (403, OTHER_PATH), (307, OTHER_PATH), (500, FIX_THE_ERROR)],
)
def test_a_smoke_test_on_the_wrong_path_explains_the_setting(
    stage: DeployedStage, tmp_path: Path, status: int, hint: str
) -> None:
    root = write_handler(tmp_path / "root", RESPONDS.format(status=status, body="no"))
    run = stage.deploy("--image", stage.aws.push_image("built-elsewhere", root))
    assert run.code == 1
    assert f"failed its smoke test, GET /health: the response has status {status}" in run.err
    assert run.err.splitlines()[-1] == hint


def test_a_public_url_without_a_page_at_its_root_explains_the_setting(stage: DeployedStage, tmp_path: Path) -> None:
    root = write_handler(tmp_path / "root", ONLY_HEALTH)
    image = stage.aws.push_image("built-elsewhere", root)
    run = stage.deploy("--image", image)
    assert run.code == 1
    assert run.err.splitlines() == [
        f"{stage.url()} returned status 404: no",
        "If this response is correct, set check_path in deploy.toml to a path with a status below 400.",
    ]
    stage.configure('check_path = "/health"')
    assert stage.deploy("--image", image).code == 0


def test_a_service_that_rejects_the_host_of_the_smoke_test_is_explained(stage: DeployedStage, tmp_path: Path) -> None:
    root = write_handler(tmp_path / "root", TRUSTS_ONE_HOST)
    run = stage.deploy("--image", stage.aws.push_image("built-elsewhere", root))
    assert run.code == 1
    assert run.err.splitlines()[-1] == (
        "No traffic was moved. Allow the host smoke-test.internal in TrustedHostMiddleware."
    )


def test_the_smoke_test_uses_the_custom_domain_as_its_host(bake: Bake, tmp_path: Path) -> None:
    with deployed_stage(bake, tmp_path, endpoint="http_api") as stage:
        project = stage.project.copy(tmp_path / "project")
        project.edit("deploy.toml", "[stages.dev]", '[domain]\nname = "api.example.com"\n\n[stages.dev]')
        root = write_handler(tmp_path / "root", TRUSTS_ONE_HOST)
        image = stage.aws.push_image("built-elsewhere", root)
        run = DeployTool(project, stage.aws)("--image", image)
        assert "failed its smoke test" not in run.err
        assert run.code == 1
        assert run.err.splitlines()[-1] == "Allow the host 127.0.0.1 in TrustedHostMiddleware."
        assert stage.aws.client("lambda").get_alias(FunctionName=NAME, Name="live")["FunctionVersion"] == "1"

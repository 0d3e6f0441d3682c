"""Test `permissions_boundary` in deploy.toml: every role carries it, and it limits what roles can do and grant."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import EmbeddedAws
from scripts.project_changes import add_secret
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image
from tests.support.deployed_stage import NAME, DeployedStage, task_root

REPOSITORY = "octo-org/my-api"
GITHUB_ROLES = ("my-api.github", "my-api.github.previews")
EVERYTHING = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
IN_TWO_COMBINATIONS = pytest.mark.parametrize(
    "combination",
    [
        "smallest",
        pytest.param(
            "largest",
            marks=pytest.mark.answers(
                endpoint="http_api",
                secrets="secrets_manager",
                migrations="alembic",
                cold_starts="provisioned_concurrency",
            ),
        ),
    ],
)


def create_boundary(stage: DeployedStage, name: str, statements: list[dict[str, Any]]) -> str:
    policy = stage.aws.client("iam").create_policy(PolicyName=name, PolicyDocument=document(statements))["Policy"]
    return str(policy["Arn"])


def document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def everything_except(*actions: str, **condition: Any) -> list[dict[str, Any]]:
    deny = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
    return [*EVERYTHING, deny | ({"Condition": condition} if condition else {})]


def boundaries(stage: DeployedStage) -> dict[str, str | None]:
    """Return the boundary of each role by its name."""
    iam = stage.aws.client("iam")
    roles = [iam.get_role(RoleName=role["RoleName"])["Role"] for role in iam.list_roles()["Roles"]]
    return {role["RoleName"]: role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn") for role in roles}


@IN_TWO_COMBINATIONS
def test_every_role_carries_the_boundary_until_it_is_removed(stage: DeployedStage, combination: str) -> None:
    first, second = (create_boundary(stage, name, EVERYTHING) for name in ("first", "second"))
    for boundary in (first, second):
        stage.configure(f'permissions_boundary = "{boundary}"')
        assert stage.deploy("github", REPOSITORY).code == 0
        assert stage.release("old").code == 0
        assert boundaries(stage) == dict.fromkeys((NAME, *GITHUB_ROLES), boundary)
        stage.release("old")
        assert stage.mutations == []
        stage.deploy("github", REPOSITORY)
        assert stage.mutations == []
    assert stage.get() == "old"

    stage.configure('permissions_boundary = ""')
    plan = stage.deploy("plan", "--image", stage.images["old"])
    assert f"~ role {NAME}\n    PermissionsBoundary: {second} → null\n" in plan.out
    stage.deploy("github", REPOSITORY)
    assert stage.release("old").code == 0
    assert boundaries(stage) == dict.fromkeys((NAME, *GITHUB_ROLES))
    assert stage.deploy("destroy", "--yes").code == 0
    stage.deploy("github", "--remove")
    assert boundaries(stage) == {}


def test_the_boundary_limits_the_running_service(bake: Bake, tmp_path: Path) -> None:
    """IAM allows only what both the policy and the boundary allow."""
    project = add_secret(bake().copy(tmp_path))
    with EmbeddedAws() as aws:
        deploy, image = DeployTool(project, aws), push_image(project, aws)
        iam = aws.client("iam")
        boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=document(EVERYTHING))["Policy"]["Arn"]
        project.edit("deploy.toml", "# permissions_boundary = ", f'permissions_boundary = "{boundary}"  # ')
        deploy("secret", "set", "API_KEY", typed="one")
        run = deploy("--image", image)
        assert run.code == 0, run.err
        urllib.request.urlopen(run.url + "mark", timeout=30).close()

        narrow = document(everything_except("ssm:*"))
        iam.create_policy_version(PolicyArn=boundary, PolicyDocument=narrow, SetAsDefault=True)
        deploy("secret", "set", "API_KEY", typed="two")
        run = deploy("--image", image)
        assert run.code == 1
        assert "is not authorized to perform: ssm:GetParameters" in run.err
        assert "PROBLEM  permissions_boundary: " in deploy("doctor").out


@pytest.mark.parametrize(
    ("keys", "denied", "named"),
    [
        ([], ["logs:*"], "logs:CreateLogStream, logs:PutLogEvents."),
        (['permissions = [{ actions = ["s3:GetObject"], resources = ["*"] }]'], ["s3:*"], "s3:GetObject."),
        (
            ["tracing = true"],
            ["xray:*", "logs:*"],
            "logs:CreateLogStream, logs:PutLogEvents, xray:PutTelemetryRecords and 1 more.",
        ),
    ],
)
def test_a_boundary_that_is_too_narrow_is_reported_before_anything_is_created(
    stage: DeployedStage, keys: list[str], denied: list[str], named: str
) -> None:
    boundary = create_boundary(stage, "narrow", everything_except(*denied))
    stage.configure(*keys, f'permissions_boundary = "{boundary}"')
    error = f"The permissions boundary {boundary} does not allow what the role {NAME} needs: {named}\n"
    hint = "Ask the owner of the boundary to allow it, or remove what needs it from deploy.toml.\n"
    run = stage.release("old")
    assert (run.code, run.err) == (1, error + hint)
    assert stage.mutations == []
    doctor = stage.deploy("doctor")
    assert f"PROBLEM  permissions_boundary: {error}         {hint}" in doctor.out


def test_a_boundary_that_is_too_narrow_for_github_is_reported_before_a_role_is_created(stage: DeployedStage) -> None:
    boundary = create_boundary(stage, "narrow", everything_except("ecr:PutImage"))
    stage.configure(f'permissions_boundary = "{boundary}"')
    run = stage.deploy("github", REPOSITORY)
    assert run.code == 1
    assert "does not allow what the role my-api.github needs: ecr:PutImage.\n" in run.err
    assert stage.mutations == []
    assert stage.release("old").code == 0  # the role of the service needs less


def test_a_boundary_that_does_not_exist_is_reported_before_anything_is_created(stage: DeployedStage) -> None:
    arn = f"arn:aws:iam::{stage.aws.account}:policy/missing"
    stage.configure(f'permissions_boundary = "{arn}"')
    run = stage.release("old")
    assert run.err.startswith(f"The permissions boundary {arn} does not exist.\n")
    assert stage.mutations == []
    assert (
        f"PROBLEM  permissions_boundary: The permissions boundary {arn} does not exist.\n" in stage.deploy("doctor").out
    )


def test_a_boundary_with_conditions_that_are_not_known_is_no_problem(stage: DeployedStage) -> None:
    """Boundaries often require that created roles carry them, or deny other Regions."""
    boundary = create_boundary(
        stage, "conditional", everything_except("*", StringNotEquals={"aws:PrincipalAccount": stage.aws.account})
    )
    stage.configure(f'permissions_boundary = "{boundary}"')
    assert stage.release("old").code == 0


def test_whoever_may_not_read_the_boundary_can_deploy(stage: DeployedStage) -> None:
    boundary = create_boundary(stage, "boundary", EVERYTHING)
    stage.configure(f'permissions_boundary = "{boundary}"')
    stage.aws.deny("iam:GetPolicy")
    assert "you may not read or simulate it, so it was not checked\n" in stage.deploy("doctor").out
    assert stage.release("old").code == 0


@pytest.fixture
def github(stage: DeployedStage, tmp_path: Path) -> tuple[str, str]:
    """Deploy with a boundary. Return the ARN of GitHub's role, and an image that GitHub may deploy."""
    stage.configure(f'permissions_boundary = "{create_boundary(stage, "boundary", EVERYTHING)}"')
    assert stage.deploy("github", REPOSITORY).code == 0
    assert stage.release("old").code == 0
    image = stage.aws.push_image(NAME, task_root(tmp_path, "github"), tag="github")
    return f"arn:aws:iam::{stage.aws.account}:role/my-api.github", image


def test_github_cannot_change_or_create_a_role_without_the_boundary(
    stage: DeployedStage, github: tuple[str, str]
) -> None:
    role, image = github
    wide, boundary = create_boundary(stage, "wide", EVERYTHING), boundaries(stage)[NAME]
    iam, trust = stage.aws.client("iam"), document([])
    with stage.aws.acting_as(role):
        with pytest.raises(iam.exceptions.ClientError, match="iam:PutRolePermissionsBoundary"):
            iam.put_role_permissions_boundary(RoleName=NAME, PermissionsBoundary=wide)
        with pytest.raises(iam.exceptions.ClientError, match="iam:DeleteRolePermissionsBoundary"):
            iam.delete_role_permissions_boundary(RoleName=NAME)
        iam.put_role_policy(RoleName=NAME, PolicyName="service", PolicyDocument=document(EVERYTHING))
    iam.delete_role_permissions_boundary(RoleName=NAME)
    with stage.aws.acting_as(role):
        with pytest.raises(iam.exceptions.ClientError, match="not authorized to perform: iam:PutRolePolicy"):
            iam.put_role_policy(RoleName=NAME, PolicyName="service", PolicyDocument=document(EVERYTHING))
        with pytest.raises(iam.exceptions.ClientError, match="not authorized to perform: iam:UpdateAssumeRolePolicy"):
            iam.update_assume_role_policy(RoleName=NAME, PolicyDocument=trust)
        run = stage.deploy("--image", image)  # adds the boundary again
        assert run.code == 0, run.err
    assert boundaries(stage)[NAME] == boundary
    assert stage.deploy("destroy", "--yes").code == 0
    with stage.aws.acting_as(role):
        for options in ({}, {"PermissionsBoundary": wide}):
            with pytest.raises(iam.exceptions.ClientError, match="not authorized to perform: iam:CreateRole"):
                iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust, **options)
        iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust, PermissionsBoundary=boundary)


def test_github_cannot_remove_the_boundary_and_the_error_says_who_can(
    stage: DeployedStage, github: tuple[str, str]
) -> None:
    role, image = github
    stage.configure('permissions_boundary = ""')
    with stage.aws.acting_as(role):
        run = stage.deploy("--image", image)
    assert run.code == 1
    assert f"The permissions boundary of the role {NAME} cannot be removed with these credentials" in run.err
    assert "Deploy once with your own credentials" in run.err
    assert stage.get() == "old"
    assert stage.deploy("--image", image).code == 0


@pytest.mark.parametrize(
    "boundary", ["boundary", "arn:aws:iam::123456789012:role/boundary", "arn:aws:iam::12:policy/b"]
)
def test_a_value_that_is_no_arn_of_a_policy_is_an_error_in_deploy_toml(stage: DeployedStage, boundary: str) -> None:
    stage.configure(f'permissions_boundary = "{boundary}"')
    rejected = stage.deploy("plan")
    assert rejected.code == 2
    assert rejected.err.startswith("deploy.toml: permissions_boundary: must be the ARN of a managed policy; it is ")

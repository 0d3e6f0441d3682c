"""Test `[[permissions]]` in deploy.toml: the role of the service gets these statements, and loses them again."""

import json
from typing import Any

import pytest

from tests.support.deployed_stage import NAME, DeployedStage
from tests.support.permissions import list_grants, unused

ACCOUNT = "123456789012"
READ = '{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::reports-{stage}/*"] }'
QUEUE = '{ actions = ["sqs:Send*", "sqs:GetQueueUrl"], resources = ["arn:aws:sqs:{region}:{account}:orders"] }'
ANYTHING = '{ actions = ["ses:SendEmail"], resources = ["*"] }'
OWN_FILES = '{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::files/${aws:userid}/*"] }'
WITH_AND_WITHOUT_OPTIONS = pytest.mark.parametrize(
    "stage_answers",
    [
        pytest.param("smallest"),
        pytest.param(
            "largest",
            marks=pytest.mark.answers(endpoint="http_api", migrations="alembic", secrets="secrets_manager"),
        ),
    ],
)


def statements(stage: DeployedStage) -> list[dict[str, Any]]:
    """Return the statements of the role, except those that every service has."""
    policy = stage.aws.client("iam").get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"]
    return [
        statement
        for statement in policy["Statement"]
        if not statement["Action"][0].startswith(("logs:", "ssm:", "secretsmanager:"))
    ]


@WITH_AND_WITHOUT_OPTIONS
def test_statements_are_added_changed_and_removed(stage: DeployedStage, stage_answers: str) -> None:
    stage.configure(f"permissions = [{READ}, {QUEUE}, {ANYTHING}, {OWN_FILES}]")
    assert stage.release("old").code == 0
    assert statements(stage) == [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::reports-prod/*"]},
        {
            "Effect": "Allow",
            "Action": ["sqs:Send*", "sqs:GetQueueUrl"],
            "Resource": [f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"],
        },
        {"Effect": "Allow", "Action": ["ses:SendEmail"], "Resource": ["*"]},
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::files/${aws:userid}/*"]},
    ]
    stage.release("old")
    assert stage.mutations == []

    stage.configure(f"permissions = [{ANYTHING}]")
    plan = stage.deploy("plan", "--image", stage.images["old"])
    assert "PolicyDocument.Statement: " in plan.out
    assert '"ses:SendEmail"' in plan.out
    assert stage.release("old").code == 0
    assert [statement["Action"] for statement in statements(stage)] == [["ses:SendEmail"]]
    assert stage.mutations == ["PutRolePolicy"]

    stage.configure("permissions = []")
    assert stage.release("old").code == 0
    assert statements(stage) == []
    stage.configure(f"permissions = [{ANYTHING}]")
    stage.release("old")
    assert stage.deploy("destroy", "--yes").code == 0
    assert stage.aws.client("iam").list_roles()["Roles"] == []


def test_a_permission_that_is_not_used_is_noticed(stage: DeployedStage) -> None:
    """The tests of least privilege compare what roles allow with what they were used for."""
    stage.configure(f"permissions = [{READ}]")
    stage.release("old")
    superfluous = unused(list_grants(stage.aws), stage.aws.used_by_roles)
    assert "s3:GetObject" in {action for _, action, _ in superfluous}


def test_a_stage_replaces_the_statements_of_all_stages(stage: DeployedStage) -> None:
    stage.configure(f"permissions = [{READ}]", f"stages = {{ dev = {{ permissions = [{QUEUE}] }} }}")
    assert stage.deploy("--stage", "dev", "--image", stage.images["old"]).code == 0
    policy = stage.aws.client("iam").get_role_policy(RoleName="my-api-dev", PolicyName="service")["PolicyDocument"]
    assert policy["Statement"][-1]["Action"] == ["sqs:Send*", "sqs:GetQueueUrl"]
    assert "s3:GetObject" not in json.dumps(policy)


def test_a_policy_that_is_too_long_is_an_error_before_anything_is_created(stage: DeployedStage) -> None:
    resources = [f"arn:aws:s3:::a-bucket-with-a-long-name-{number:04}/*" for number in range(250)]
    stage.configure(f'permissions = [{{ actions = ["s3:GetObject"], resources = {json.dumps(resources)} }}]')
    run = stage.release("old")
    assert run.code == 2
    assert (
        f"The policy of the role {NAME} would have 12,380 characters; IAM allows 10,240.\n"
        "Combine entries of [[permissions]]"
    ) in run.err
    assert stage.mutations == []


@pytest.mark.parametrize(
    ("permissions", "error"),
    [
        (
            '[{ actions = ["s3:GetObject"] }]',
            "permissions.0.resources: is missing.\n"
            'Write the ARNs of the resources, or resources = ["*"] to allow the actions on every resource.\n',
        ),
        (
            '[{ actions = ["s3:GetObject"], resources = [] }]',
            "permissions.0.resources: is empty.\n"
            'Write the ARNs of the resources, or resources = ["*"] to allow the actions on every resource.\n',
        ),
        (
            '[{ resources = ["*"] }]',
            'permissions.0.actions: is missing.\nWrite the actions to allow, such as actions = ["s3:GetObject"].\n',
        ),
        (
            '[{ actions = ["*"], resources = ["*"] }]',
            "permissions.0.actions.0: must be a service and one of its actions, such as s3:GetObject or s3:Get*; "
            "it is '*'.\nCorrect permissions.0.actions.0 in deploy.toml.\n",
        ),
        (
            '[{ actions = ["GetObject"], resources = ["*"] }]',
            "permissions.0.actions.0: must be a service and one of its actions, such as s3:GetObject or s3:Get*; "
            "it is 'GetObject'.\nCorrect permissions.0.actions.0 in deploy.toml.\n",
        ),
        (
            '[{ actions = ["s3:GetObject"], resources = ["my-bucket"] }]',
            'permissions.0.resources.0: must be an ARN, such as arn:aws:s3:::my-bucket/*, or "*" for every resource; '
            "it is 'my-bucket'.\nCorrect permissions.0.resources.0 in deploy.toml.\n",
        ),
        (
            '[{ actions = ["s3:GetObject"], resources = ["arn:aws:s3:::{bucket}/*"] }]',
            "permissions.0.resources.0: can only contain the placeholders {account}, {region} and {stage}; "
            "it is 'arn:aws:s3:::{bucket}/*'.\nCorrect permissions.0.resources.0 in deploy.toml.\n",
        ),
        (
            '[{ actions = ["s3:GetObject"], resources = ["*"], when = "x" }]',
            "permissions.0.when: unknown key.\nRemove permissions.0.when.\n",
        ),
        (
            '{ actions = ["s3:GetObject"], resources = ["*"] }',
            "permissions: must be an array of tables.\nWrite [[permissions]], with two brackets, in deploy.toml.\n",
        ),
    ],
)
def test_a_mistake_names_the_key_and_says_what_to_write(stage: DeployedStage, permissions: str, error: str) -> None:
    stage.configure(f"permissions = {permissions}")
    rejected = stage.deploy("plan")
    assert (rejected.code, rejected.err) == (2, f"deploy.toml: {error}")

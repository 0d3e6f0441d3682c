"""destroy takes everything down, after asking, and nothing of anybody else."""

import pytest

from tests.deploying import left_behind
from tests.scene import NAME, Scene


def test_everything_goes(scene: Scene) -> None:
    scene.configure('alarm_email = "ops@example.com"')
    scene.release("old")
    gone = scene.deploy("destroy", typed=NAME)
    assert gone.code == 0
    assert gone.out.endswith("0 left\n")
    assert left_behind(scene.aws) == []
    repositories = scene.aws.client("ecr").describe_repositories()["repositories"]
    assert [one["repositoryName"] for one in repositories] == ["built-elsewhere"]

    assert scene.deploy("destroy").code == 0
    assert scene.mutations == []


def test_policies_that_somebody_added_to_the_role_are_no_obstacle(scene: Scene) -> None:
    scene.release("old")
    iam = scene.aws.client("iam")
    deny = '{"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}'
    document = '{"Version": "2012-10-17", "Statement": [' + deny + "]}"
    iam.put_role_policy(RoleName=NAME, PolicyName="more", PolicyDocument=document)
    policy = iam.create_policy(PolicyName="shared", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=NAME, PolicyArn=policy)
    assert scene.deploy("destroy", typed=NAME).code == 0
    assert iam.list_roles()["Roles"] == []
    assert iam.list_policies(Scope="Local")["Policies"]  # it may serve others


@pytest.mark.parametrize("typed", ["", "yes", "my"])
def test_another_answer_than_the_name_deletes_nothing(scene: Scene, typed: str) -> None:
    scene.release("old")
    assert scene.deploy("destroy", typed=typed).code == 2
    assert scene.mutations == []


def test_the_other_stage_stays(scene: Scene) -> None:
    scene.release("old")
    scene.deploy("--stage", "dev", "--image", scene.images["old"])
    assert scene.deploy("destroy", typed=NAME).code == 0
    functions = scene.aws.client("lambda").list_functions()["Functions"]
    assert [function["FunctionName"] for function in functions] == ["my-api-dev"]

"""destroy takes everything down, after asking, and nothing of anybody else."""

import pytest

from tests.deploy.cloud import Cloud


def test_everything_goes(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.configure('alarm_email = "ops@example.com"')
    cloud.run("--image", cloud.push_image())
    assert cloud.run("destroy", typed=cloud.name) == 0
    assert capsys.readouterr().out.endswith("0 left\n")
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("iam").list_roles()["Roles"] == []
    assert cloud.client("logs").describe_log_groups()["logGroups"] == []
    assert cloud.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert cloud.client("sns").list_topics()["Topics"] == []
    repositories = cloud.client("ecr").describe_repositories()["repositories"]
    assert [repository["repositoryName"] for repository in repositories] == ["elsewhere"]

    assert cloud.run("destroy") == 0
    assert cloud.mutations == []


def test_policies_that_somebody_added_to_the_role_are_no_obstacle(cloud: Cloud) -> None:
    cloud.run("--image", cloud.push_image())
    iam = cloud.client("iam")
    deny = '{"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}'
    document = '{"Version": "2012-10-17", "Statement": [' + deny + "]}"
    iam.put_role_policy(RoleName=cloud.name, PolicyName="more", PolicyDocument=document)
    policy = iam.create_policy(PolicyName="shared", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=cloud.name, PolicyArn=policy)
    assert cloud.run("destroy", typed=cloud.name) == 0
    assert iam.list_roles()["Roles"] == []
    assert iam.list_policies(Scope="Local")["Policies"]  # it may serve others


@pytest.mark.parametrize("typed", ["", "yes", "my"])
def test_another_answer_than_the_name_deletes_nothing(cloud: Cloud, typed: str) -> None:
    cloud.run("--image", cloud.push_image())
    assert cloud.run("destroy", typed=typed) == 2
    assert cloud.mutations == []


def test_the_other_stage_stays(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    cloud.run("--stage", "dev", "--image", image)
    assert cloud.run("destroy", typed=cloud.name) == 0
    names = [function["FunctionName"] for function in cloud.client("lambda").list_functions()["Functions"]]
    assert names
    assert all(name.startswith(cloud.name.removesuffix("prod") + "dev") for name in names)

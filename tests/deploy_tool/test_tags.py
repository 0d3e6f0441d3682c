"""Test `tags` in deploy.toml: every resource gets them, and they can be changed and removed."""

from typing import Any

import pytest

from embedded_aws import EmbeddedAws
from tests.support.deployed_stage import NAME, DeployedStage

OWN = {"service": "my-api", "stage": "prod", "managed-by": "deploy.sh"}
WITH_ALARMS = ('secrets = ["API_KEY"]', 'alarm_email = "ops@example.com"')
SMALLEST_AND_LARGEST = pytest.mark.parametrize(
    "kinds",
    [
        pytest.param({"lambda", "ecr", "iam", "logs", "cloudwatch", "sns", "ssm"}, id="smallest"),
        pytest.param(
            {"lambda", "ecr", "iam", "logs", "cloudwatch", "sns", "secretsmanager", "apigatewayv2", "scaling"},
            marks=pytest.mark.answers(
                endpoint="http_api",
                secrets="secrets_manager",
                migrations="alembic",
                cold_starts="provisioned_concurrency",
            ),
            id="largest",
        ),
    ],
)


def tag_dict(tags: Any) -> dict[str, str]:
    pairs = tags.items() if isinstance(tags, dict) else [(tag["Key"], tag["Value"]) for tag in tags]
    return {key: value for key, value in pairs if not key.startswith("secret:")}  # the keys of a JSON secret


def list_tags(aws: EmbeddedAws) -> dict[str, dict[str, str]]:
    """Return the tags of each resource by its service and name, as AWS lists them."""
    functions, iam, sns = aws.client("lambda"), aws.client("iam"), aws.client("sns")
    cloudwatch, logs, ecr, ssm = (aws.client(service) for service in ("cloudwatch", "logs", "ecr", "ssm"))
    tags: dict[str, Any] = {}
    for function in functions.list_functions()["Functions"]:
        name, arn = function["FunctionName"], function["FunctionArn"]
        tags[f"lambda {name}"] = functions.list_tags(Resource=arn)["Tags"]
    for role in iam.list_roles()["Roles"]:
        tags[f"iam {role['RoleName']}"] = iam.list_role_tags(RoleName=role["RoleName"])["Tags"]
    for topic in sns.list_topics()["Topics"]:
        tags[f"sns {topic['TopicArn']}"] = sns.list_tags_for_resource(ResourceArn=topic["TopicArn"])["Tags"]
    for alarm in cloudwatch.describe_alarms()["MetricAlarms"]:
        arn = alarm["AlarmArn"]
        tags[f"cloudwatch {alarm['AlarmName']}"] = cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
    for group in logs.describe_log_groups()["logGroups"]:
        arn = group["arn"].removesuffix(":*")
        tags[f"logs {group['logGroupName']}"] = logs.list_tags_for_resource(resourceArn=arn)["tags"]
    for repository in ecr.describe_repositories()["repositories"]:
        if repository["repositoryName"] != "built-elsewhere":
            arn = repository["repositoryArn"]
            tags[f"ecr {repository['repositoryName']}"] = ecr.list_tags_for_resource(resourceArn=arn)["tags"]
    for parameter in ssm.describe_parameters()["Parameters"]:
        name = parameter["Name"]
        response = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
        tags[f"ssm {name}"] = response["TagList"]
    for secret in aws.client("secretsmanager").list_secrets()["SecretList"]:
        tags[f"secretsmanager {secret['Name']}"] = secret["Tags"]
    for api in aws.client("apigatewayv2").get_apis()["Items"]:
        tags[f"apigatewayv2 {api['Name']}"] = api["Tags"]
    scaling = [call.params for call in aws.calls if call.operation == "RegisterScalableTarget"]
    if scaling:  # moto does not store them
        tags["scaling target"] = scaling[-1]["Tags"]
    return {name: tag_dict(resource_tags) for name, resource_tags in tags.items()}


def deploy(stage: DeployedStage) -> None:
    run = stage.release("old")
    assert run.code == 0, run.err


@SMALLEST_AND_LARGEST
def test_every_resource_gets_the_tags_and_loses_those_that_are_removed(stage: DeployedStage, kinds: set[str]) -> None:
    stage.configure(*WITH_ALARMS, 'tags = { team = "core", "cost center" = "12" }')
    if "scaling" in kinds:
        schedule = '[{ at = "cron(0 8 ? * MON-FRI *)", executions = 1 }]'
        stage.configure(f"provisioned_concurrency = {{ executions = 1, schedule = {schedule} }}")
    for name in ("API_KEY", "OTHER_KEY"):
        stage.deploy("secret", "set", name, typed="value")
    deploy(stage)
    created = OWN | {"team": "core", "cost center": "12", "managed-tags": "cost center+team"}
    assert {name.split()[0] for name in list_tags(stage.aws)} == kinds
    assert list_tags(stage.aws) == dict.fromkeys(list_tags(stage.aws), created)
    deploy(stage)
    assert stage.mutations == []

    stage.configure('tags = { team = "platform", owner = "" }')
    deploy(stage)
    changed = OWN | {"team": "platform", "owner": "", "managed-tags": "owner+team"}
    assert list_tags(stage.aws) == dict.fromkeys(list_tags(stage.aws), changed)
    assert stage.live_version() == "1"
    deploy(stage)
    assert stage.mutations == []

    stage.configure("tags = {}")
    deploy(stage)
    assert list_tags(stage.aws) == dict.fromkeys(list_tags(stage.aws), OWN)
    deploy(stage)
    assert stage.mutations == []
    assert stage.deploy("destroy", "--yes").code == 0


def test_a_service_without_tags_makes_no_call_for_them(stage: DeployedStage) -> None:
    stage.configure(*WITH_ALARMS)
    stage.deploy("secret", "set", "API_KEY", typed="value")
    deploy(stage)
    before = len(stage.aws.calls)
    deploy(stage)
    tag_calls = [call for call in stage.aws.calls[before:] if call.service == "ssm" and "Tags" in call.operation]
    assert tag_calls == []


def test_tags_of_others_are_kept(stage: DeployedStage) -> None:
    """Organizations add tags to the resources of all teams."""
    stage.configure('tags = { team = "core" }')
    deploy(stage)
    arn = stage.aws.client("lambda").get_function(FunctionName=NAME)["Configuration"]["FunctionArn"]
    stage.aws.client("lambda").tag_resource(Resource=arn, Tags={"auto:created-by": "somebody"})
    stage.aws.client("iam").tag_role(RoleName=NAME, Tags=[{"Key": "auto:created-by", "Value": "somebody"}])
    deploy(stage)
    assert stage.mutations == []
    stage.configure("tags = {}")
    deploy(stage)
    for resource in (f"lambda {NAME}", f"iam {NAME}"):
        assert list_tags(stage.aws)[resource] == OWN | {"auto:created-by": "somebody"}


def test_plan_shows_the_tags_that_change(stage: DeployedStage) -> None:
    stage.configure('tags = { team = "core" }')
    plan = stage.deploy("plan", "--image", stage.images["old"])
    assert f"+ role {NAME}\n" in plan.out
    assert "\n    tags.team: core\n" in plan.out
    deploy(stage)
    stage.configure('tags = { owner = "ops" }')
    plan = stage.deploy("plan", "--image", stage.images["old"])
    assert (
        f"~ role {NAME}\n    tags.owner: null → ops\n    tags.managed-tags: team → owner\n    tags.team: core → null\n"
    ) in plan.out
    assert stage.mutations == []


def test_an_interrupted_change_of_parameters_is_completed(stage: DeployedStage) -> None:
    stage.configure('secrets = ["A_KEY", "B_KEY"]')
    for name in ("A_KEY", "B_KEY"):
        stage.deploy("secret", "set", name, typed="value")
    deploy(stage)
    stage.configure('tags = { team = "core" }')
    stage.aws.fail("ssm:AddTagsToResource", call=2, times=5)
    assert stage.release("old").code == 1
    stage.aws.clear_faults()
    deploy(stage)
    tags = list_tags(stage.aws)
    assert [tags[f"ssm /my-api/prod/{name}"]["team"] for name in ("A_KEY", "B_KEY")] == ["core", "core"]


def test_a_stage_adds_to_the_tags_of_all_stages(stage: DeployedStage) -> None:
    file = stage.project.path / "deploy.toml"
    text = file.read_text("utf-8")
    file.write_text(text + '[tags]\nteam = "core"\nowner = "ops"\n[stages.dev.tags]\nteam = "other"\n', "utf-8")
    assert stage.deploy("--stage", "dev", "--image", stage.images["old"]).code == 0
    assert list_tags(stage.aws)["lambda my-api-dev"] == {
        "service": "my-api",
        "stage": "dev",
        "managed-by": "deploy.sh",
        "team": "other",
        "owner": "ops",
        "managed-tags": "owner+team",
    }


@pytest.mark.parametrize(
    ("tags", "error"),
    [
        ('{ "aws:team" = "x" }', "tags.aws:team: must be 1 to 128 letters, digits, spaces and . : / = _ @ -"),
        ('{ "a+b" = "x" }', "tags.a+b: must be 1 to 128 letters"),
        (f'{{ "{"a" * 129}" = "x" }}', f"tags.{'a' * 129}: must be 1 to 128 letters"),
        (f'{{ team = "{"x" * 257}" }}', "tags.team: must be up to 256 letters"),
        ('{ team = "a;b" }', "tags.team: must be up to 256 letters"),
        ("{ team = 1 }", "tags.team: must be text; it is 1."),
        ('{ Stage = "x" }', "tags: Stage is a tag of the deploy tool."),
        ('{ managed-tags = "x" }', "tags: managed-tags is a tag of the deploy tool."),
        (
            '{ team = "x", Team = "y" }',
            "tags: team is listed twice, and IAM does not distinguish upper and lower case.",
        ),
        (
            "{ " + ", ".join(f'k{number} = ""' for number in range(46)) + " }",
            "tags: must have at most 45 items, not 46",
        ),
        (f'{{ {"a" * 128} = "", {"b" * 128} = "" }}', "tags: the keys, joined with +, must have at most 256"),
    ],
)
def test_tags_that_aws_would_reject_are_errors_in_deploy_toml(stage: DeployedStage, tags: str, error: str) -> None:
    stage.configure(f"tags = {tags}")
    rejected = stage.deploy("plan")
    assert rejected.code == 2
    assert rejected.err.startswith(f"deploy.toml: {error}")
    assert stage.calls == []

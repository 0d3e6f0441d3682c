"""Migrations run between converging and publishing; one that fails releases nothing."""

import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.embedded_aws import EmbeddedAws
from tests.embedded_aws.vpc import make_subnet
from tests.scene import NAME, Scene

pytestmark = pytest.mark.answers(migrations="alembic")

TO_TWO = """
import json

def handler(event, context):
    print(json.dumps(event))
    return {"from": "one", "to": "two", "output": ""}
"""
BACK_AND_FORTH = """
def handler(event, context):
    told = f"{event['command']} {event['revision']}"
    return {"from": "one", "to": None, "output": told if event["command"] in ("current", "history") else ""}
"""
FAILS = """
def handler(event, context):
    raise RuntimeError('relation "items" already exists\\n[SQL: CREATE TABLE items]')
"""


def test_the_migration_function_runs_the_image_that_is_released(scene: Scene) -> None:
    assert scene.deploy("--image", scene.push("to two", migrations=TO_TWO)).code == 0
    asked = [line for line in scene.aws.log_messages(f"/aws/lambda/{NAME}") if '"command"' in line]
    assert [json.loads(line) for line in asked] == [{"command": "upgrade", "revision": "head"}]
    functions = scene.aws.client("lambda")
    live = functions.get_function(FunctionName=NAME, Qualifier="live")
    migrate = functions.get_function(FunctionName=f"{NAME}-migrate")
    assert migrate["Code"]["ImageUri"] == live["Code"]["ImageUri"]
    assert migrate["Configuration"]["ImageConfigResponse"]["ImageConfig"]["Command"] == ["aws_lambda.migrate.handler"]
    assert migrate["Configuration"]["Timeout"] == 900
    assert migrate["Configuration"]["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{NAME}"
    same = ("Role", "Environment", "MemorySize")
    assert [migrate["Configuration"][key] for key in same] == [live["Configuration"][key] for key in same]


def test_the_order_of_a_release(scene: Scene) -> None:
    scene.release("old")
    released = scene.deploy("--image", scene.push("to two", migrations=TO_TWO))
    assert released.code == 0
    changes = [call for call in scene.calls if call in scene.mutations or call == "Invoke"]
    assert changes == [
        *["UpdateFunctionCode"] * 2,
        "Invoke",  # the migrations
        "PublishVersion",
        "Invoke",  # the smoke test
        "UpdateAlias",
    ]
    assert "[4/7] Migrating database...      one → two (" in released.out


def test_a_failing_migration_releases_nothing(scene: Scene) -> None:
    scene.release("old")
    refused = scene.deploy("--image", scene.push("fails", migrations=FAILS))
    assert refused.code == 1
    assert scene.live_version() == "1"
    assert not {"PublishVersion", "UpdateAlias"} & set(scene.calls)
    assert "[4/7] Migrating database...      failed" in refused.out
    assert 'Alembic\'s upgrade failed: relation "items" already exists\nWhat was live still is.' in refused.err


def test_a_lost_connection_is_not_answered_with_a_second_run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long migration would run twice."""
    scene.release("old")
    sent: list[str] = []
    send = EmbeddedAws.send

    def hang(self: EmbeddedAws, request: Any) -> Any:
        if request.url.endswith("/invocations"):
            sent.append(request.url)
            raise ReadTimeoutError(endpoint_url=request.url)
        return send(self, request)

    monkeypatch.setattr(EmbeddedAws, "send", hang)
    lost = scene.deploy("migrate", "upgrade")
    assert lost.code == 1
    assert len(sent) == 1
    assert "It may still be running" in lost.err


def test_commands(scene: Scene) -> None:
    scene.deploy("--image", scene.push("back and forth", migrations=BACK_AND_FORTH))
    for arguments, told in {
        ("upgrade",): "one → empty",
        ("upgrade", "+1"): "one → empty",
        ("downgrade", "-1"): "one → empty",
        ("stamp", "one"): "one → empty",
        ("current",): "current",
        ("history",): "history",
    }.items():
        run = scene.deploy("migrate", *arguments)
        assert run.code == 0
        assert told in run.out
        assert scene.mutations == []


@pytest.mark.parametrize("arguments", [[], ["drop"], ["downgrade"], ["stamp"]])
def test_a_mistake_in_the_arguments(scene: Scene, arguments: list[str]) -> None:
    assert scene.deploy("migrate", *arguments).code == 2
    assert scene.calls == []


def test_before_the_first_deploy(scene: Scene) -> None:
    refused = scene.deploy("migrate", "current")
    assert refused.code == 1
    assert "was not deployed in stage prod" in refused.err


def test_both_functions_join_the_vpc_and_leave_it(scene: Scene) -> None:
    scene.release("old")
    assert "ec2:" not in policy(scene)
    subnets = [make_subnet(scene.aws.client("ec2"), block)[1] for block in ("10.0.0.0/24", "10.0.1.0/24")]
    scene.configure(f'vpc = {{ subnet_ids = {json.dumps(subnets)}, security_group_ids = ["sg-1"] }}')
    assert scene.release("old").code == 0
    assert "ec2:CreateNetworkInterface" in policy(scene)
    assert networks(scene) == [(sorted(subnets, reverse=True), ["sg-1"])] * 2
    scene.release("old")
    assert scene.mutations == []
    scene.project.edit("deploy.toml", "vpc = ", "# vpc = ")
    assert scene.release("old").code == 0
    assert networks(scene) == [([], [])] * 2
    assert "ec2:" in policy(scene)  # as long as there is a version in the VPC to go back to
    scene.aws.client("lambda").delete_function(FunctionName=NAME, Qualifier="2")
    assert scene.release("old").code == 0
    assert "ec2:" not in policy(scene)


def policy(scene: Scene) -> str:
    return str(scene.aws.client("iam").get_role_policy(RoleName=NAME, PolicyName="service")["PolicyDocument"])


def networks(scene: Scene) -> list[tuple[list[str], list[str]]]:
    functions = scene.aws.client("lambda").list_functions()["Functions"]
    configs = [function.get("VpcConfig", {}) for function in functions]
    return [(one.get("SubnetIds", []), one.get("SecurityGroupIds", [])) for one in configs]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("vpc = {}", "vpc.subnet_ids: is missing"),
        (
            'vpc = {subnet_ids = ["vpc-1"], security_group_ids = ["sg-1"]}',
            "vpc.subnet_ids.0: must be a subnet's id; it is 'vpc-1'",
        ),
        ("migration_timeout_s = 901", "migration_timeout_s: must be less than or equal to 900"),
    ],
)
def test_mistakes_in_deploy_toml(scene: Scene, text: str, told: str) -> None:
    scene.configure(text)
    refused = scene.deploy()
    assert refused.code == 2
    assert told in refused.err

"""Migrations run between converging and publishing; one that fails releases nothing."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from moto.core.botocore_stubber import BotocoreStubber

from deploy.aws import Aws
from tests.deploy.cloud import Cloud

Event = dict[str, Any]
VPC = '[vpc]\nsubnet_ids = ["subnet-1", "subnet-2"]\nsecurity_group_ids = ["sg-1"]'


def to_two(event: Event) -> Event:
    return {"from": "one", "to": "two", "output": ""}


def fails(event: Event) -> Event:
    raise RuntimeError('relation "items" already exists\n[SQL: CREATE TABLE items]')


def test_the_migration_function_runs_the_image_that_is_released(cloud: Cloud) -> None:
    asked: list[Event] = []
    cloud.migrate = lambda event: asked.append(event) or to_two(event)  # type: ignore[func-returns-value]
    assert cloud.run("--image", cloud.push_image()) == 0
    assert asked == [{"command": "upgrade", "revision": "head"}]
    functions = cloud.client("lambda")
    live = functions.get_function(FunctionName=cloud.name, Qualifier="live")
    migrate = functions.get_function(FunctionName=f"{cloud.name}-migrate")
    assert migrate["Code"]["ImageUri"] == live["Code"]["ImageUri"]
    assert migrate["Configuration"]["ImageConfigResponse"]["ImageConfig"]["Command"] == ["app.migrate.handler"]
    assert migrate["Configuration"]["Timeout"] == 900
    assert migrate["Configuration"]["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{cloud.name}"
    same = ("Role", "Environment", "MemorySize")
    assert [migrate["Configuration"][key] for key in same] == [live["Configuration"][key] for key in same]


def test_the_order_of_a_release(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.run("--image", cloud.push_image("one"))
    cloud.migrate = to_two
    assert cloud.run("--image", cloud.push_image("two")) == 0
    changes = [call for call in cloud.calls if call in cloud.mutations or call == "Invoke"]
    assert changes == [
        *["UpdateFunctionCode"] * 2,
        "Invoke",  # the migrations
        "PublishVersion",
        "Invoke",  # the smoke test
        "UpdateAlias",
    ]
    assert "[4/7] Migrating database...      one → two (" in capsys.readouterr().out


def test_a_failing_migration_releases_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.run("--image", cloud.push_image("good"))
    cloud.migrate = fails
    assert cloud.run("--image", cloud.push_image("bad")) == 1
    assert cloud.live_version() == "1"
    assert not {"PublishVersion", "UpdateAlias"} & set(cloud.calls)
    told = capsys.readouterr()
    assert "[4/7] Migrating database...      failed" in told.out
    assert 'Alembic\'s upgrade failed: relation "items" already exists\nWhat was live still is.' in told.err


def test_a_lost_connection_is_not_answered_with_a_second_run(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long migration would run twice."""
    cloud.run("--image", cloud.push_image())
    sent: list[str] = []
    send = BotocoreStubber.__call__

    def hang(self: BotocoreStubber, event_name: str, request: Any, **options: Any) -> Any:
        if request.url.endswith("/invocations"):
            sent.append(request.url)
            raise ReadTimeoutError(endpoint_url=request.url)
        return send(self, event_name, request, **options)

    monkeypatch.setattr(BotocoreStubber, "__call__", hang)
    assert cloud.run("migrate", "upgrade") == 1
    assert len(sent) == 1
    assert "It may still be running" in capsys.readouterr().err
    configuration: Any = Aws(cloud.region).invoker.meta.config
    assert configuration.read_timeout > 900
    assert configuration.retries["total_max_attempts"] == 1


def test_commands(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Event] = []

    def answers(event: Event) -> Event:
        asked.append(event)
        return {"from": "one", "to": None, "output": "one (head)\n" if event["command"] == "current" else ""}

    cloud.run("--image", cloud.push_image())
    cloud.migrate = answers
    capsys.readouterr()
    for arguments in (["upgrade"], ["upgrade", "+1"], ["downgrade", "-1"], ["stamp", "one"], ["current"], ["history"]):
        assert cloud.run("migrate", *arguments) == 0
        assert cloud.mutations == []
    assert [(event["command"], event["revision"]) for event in asked] == [
        ("upgrade", "head"),
        ("upgrade", "+1"),
        ("downgrade", "-1"),
        ("stamp", "one"),
        ("current", ""),
        ("history", ""),
    ]
    shown = capsys.readouterr().out.splitlines()
    assert (shown[2], shown[4]) == (f"{cloud.name}: one → empty", "one (head)")


@pytest.mark.parametrize("arguments", [[], ["drop"], ["downgrade"], ["stamp"]])
def test_a_mistake_in_the_arguments(cloud: Cloud, arguments: list[str]) -> None:
    assert cloud.run("migrate", *arguments) == 2
    assert cloud.calls == []


def test_before_the_first_deploy(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.run("migrate", "current") == 1
    assert "was not deployed in stage prod" in capsys.readouterr().err


def test_both_functions_join_the_vpc_and_leave_it(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    assert "ec2:" not in policy(cloud)
    file = cloud.project / "deploy.toml"
    without = file.read_text(encoding="utf-8")
    file.write_text(f"{without}\n{VPC}\n", encoding="utf-8")
    assert cloud.run("--image", image) == 0
    assert "ec2:CreateNetworkInterface" in policy(cloud)
    assert networks(cloud) == [(["subnet-1", "subnet-2"], ["sg-1"])] * 2
    cloud.run("--image", image)
    assert cloud.mutations == []
    file.write_text(without, encoding="utf-8")
    assert cloud.run("--image", image) == 0
    assert networks(cloud) == [([], [])] * 2
    assert "ec2:" in policy(cloud)  # as long as there is a version in the VPC to go back to
    cloud.client("lambda").delete_function(FunctionName=cloud.name, Qualifier="2")
    assert cloud.run("--image", image) == 0
    assert "ec2:" not in policy(cloud)


def policy(cloud: Cloud) -> str:
    return str(cloud.client("iam").get_role_policy(RoleName=cloud.name, PolicyName="service")["PolicyDocument"])


def networks(cloud: Cloud) -> list[tuple[list[str], list[str]]]:
    functions = cloud.client("lambda").list_functions()["Functions"]
    return [(one["VpcConfig"]["SubnetIds"], one["VpcConfig"]["SecurityGroupIds"]) for one in functions]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("vpc = {}", "vpc.subnet_ids: is missing"),
        ('vpc = {subnet_ids = ["vpc-1"], security_group_ids = ["sg-1"]}', "vpc.subnet_ids.0: must match pattern"),
        ("migration_timeout_s = 901", "migration_timeout_s: must be less than or equal to 900"),
    ],
)
def test_mistakes_in_deploy_toml(cloud: Cloud, capsys: pytest.CaptureFixture[str], text: str, told: str) -> None:
    cloud.configure(text)
    assert cloud.run() == 2
    assert told in capsys.readouterr().err

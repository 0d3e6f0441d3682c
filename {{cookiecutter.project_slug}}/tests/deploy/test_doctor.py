"""What would keep a deploy from working is found, and each problem comes with its fix."""

from typing import Any

import pytest
from botocore.client import BaseClient

from tests.deploy.cloud import Cloud

DOCKER = """#!/bin/sh
case "$1" in
    info) {info} ;;
    buildx) exit {buildx} ;;
esac
"""


class Doctor:
    """The account's quota and the engine of this machine, as a test wants them."""

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud = cloud
        self.limit = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}
        self.folder = cloud.project / "bin"
        self.folder.mkdir()
        self.engine("echo x86_64")
        call = BaseClient._make_api_call  # type: ignore[attr-defined]

        def with_quota(client: BaseClient, operation: str, parameters: Any) -> Any:
            if operation == "GetAccountSettings":  # which moto does not have
                return {"AccountLimit": self.limit}
            return call(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", with_quota)
        monkeypatch.setenv("PATH", str(self.folder), prepend=":")

    def engine(self, info: str, *, buildx: bool = True) -> None:
        program = self.folder / "docker"
        program.write_text(DOCKER.format(info=info, buildx=0 if buildx else 1), encoding="utf-8")
        program.chmod(0o755)

    def run(self) -> int:
        return self.cloud.run("doctor")


@pytest.fixture
def doctor(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    return Doctor(cloud, monkeypatch)


def test_where_all_is_well(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run() == 0
    shown = capsys.readouterr().out
    assert "ok       credentials: arn:aws:" in shown
    assert "ok       docker: builds for arm64\n" in shown
    assert shown.endswith("\nNothing to mend.\n")
    assert doctor.cloud.mutations == []


@pytest.mark.parametrize(
    ("info", "buildx", "told"),
    [
        ("exit 1", True, "its engine does not answer.\n         Start Docker."),
        ("echo x86_64", False, "builds for x86_64 only, and deploy.toml says arm64.\n         Install Docker's buildx"),
    ],
)
def test_a_container_engine_that_cannot_build(
    doctor: Doctor, capsys: pytest.CaptureFixture[str], info: str, buildx: bool, told: str
) -> None:
    doctor.engine(info, buildx=buildx)
    assert doctor.run() == 1
    assert told in capsys.readouterr().out


def test_a_legacy_builder_is_enough_for_its_own_architecture(doctor: Doctor) -> None:
    doctor.engine("echo aarch64", buildx=False)
    assert doctor.run() == 0


@pytest.mark.parametrize(
    ("setting", "free", "told"),
    [
        ("reserved_concurrency = 950", 1000, "needs 950 executions at once; of this account's 1000, 1000 are not"),
        ("reserved_concurrency = 10", 105, "needs 10 executions at once; of this account's 1000, 105 are not reserved"),
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
        ("provisioned_concurrency = { executions = 500 }", 1000, "needs 1000 executions at once"),
{% endif %}
    ],
)
def test_a_quota_that_is_too_small(
    doctor: Doctor, capsys: pytest.CaptureFixture[str], setting: str, free: int, told: str
) -> None:
    doctor.limit["UnreservedConcurrentExecutions"] = free
    doctor.cloud.configure(setting)
    assert doctor.run() == 1
    assert told in (shown := capsys.readouterr().out)
    assert shown.endswith("\n1 to mend.\n")


def test_a_new_account(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.limit = {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}
    assert doctor.run() == 1
    assert "This account runs 10 requests at once" in capsys.readouterr().out


def test_a_secret_without_a_value(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.cloud.configure('secrets = ["API_KEY"]')
    assert doctor.run() == 1
    assert "PROBLEM  secrets: deploy.toml lists the secret API_KEY, which has no value" in capsys.readouterr().out


def test_an_address_that_nobody_has_confirmed(
    doctor: Doctor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor.cloud.configure('alarm_email = "ops@example.com"')
    doctor.cloud.run("--image", doctor.cloud.push_image())
    assert doctor.run() == 0  # moto confirms at once
    monkeypatch.setattr("deploy.resources.Topic.confirmed", lambda topic: False)
    assert doctor.run() == 1
    assert "ops@example.com has not been confirmed" in capsys.readouterr().out
{% if cookiecutter.migrations == 'alembic' %}


def in_vpc(subnet: str) -> str:
    return 'vpc = {subnet_ids = ["SUBNET"], security_group_ids = ["sg-1"]}'.replace("SUBNET", subnet)


def test_a_network_without_a_way_to_the_secrets(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    ec2 = doctor.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    doctor.cloud.configure(in_vpc(subnet))
    assert doctor.run() == 1
    assert f"Nothing leads from {subnet} to com.amazonaws.us-east-1." in capsys.readouterr().out

    public = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_nat_gateway(SubnetId=public)["NatGateway"]["NatGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
    assert doctor.run() == 0


def test_an_endpoint_is_a_way_too(doctor: Doctor) -> None:
    ec2 = doctor.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
{% if cookiecutter.secrets == 'ssm' %}
    service = "com.amazonaws.us-east-1.ssm"
{% else %}
    service = "com.amazonaws.us-east-1.secretsmanager"
{% endif %}
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, VpcEndpointType="Interface", SubnetIds=[subnet])
    doctor.cloud.configure(in_vpc(subnet))
    assert doctor.run() == 0
{% endif %}

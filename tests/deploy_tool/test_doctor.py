"""What would keep a deploy from working is found, and each problem comes with its fix."""

import os
from pathlib import Path

import pytest

from tests.deploying import Run
from tests.embedded_aws.vpc import make_subnet
from tests.scene import Scene

DOCKER = """#!/bin/sh
case "$1" in
    info) {info} ;;
    buildx) exit {buildx} ;;
esac
"""
PROVISIONED = pytest.mark.answers(cold_starts="provisioned_concurrency")
in_a_vpc = pytest.mark.answers(migrations="alembic")


class Doctor:
    """Looks at the account's quotas and at the engine of this machine, as a test wants them."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self._docker = folder / "docker"
        self.engine("echo x86_64")

    def engine(self, info: str, *, buildx: bool = True) -> None:
        self._docker.write_text(DOCKER.format(info=info, buildx=0 if buildx else 1), encoding="utf-8")
        self._docker.chmod(0o755)

    def __call__(self) -> Run:
        return self.scene.deploy("doctor")


@pytest.fixture
def doctor(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return Doctor(scene, tmp_path)


def test_where_all_is_well(doctor: Doctor) -> None:
    found = doctor()
    assert found.code == 0
    assert "ok       credentials: arn:aws:" in found.out
    assert "ok       docker: builds for arm64\n" in found.out
    assert found.out.endswith("\nNothing to mend.\n")
    assert doctor.scene.mutations == []


@pytest.mark.parametrize(
    ("info", "buildx", "told"),
    [
        ("exit 1", True, "its engine does not answer.\n         Start Docker."),
        ("echo x86_64", False, "builds for x86_64 only, and deploy.toml says arm64.\n         Install Docker's buildx"),
    ],
)
def test_a_container_engine_that_cannot_build(doctor: Doctor, info: str, buildx: bool, told: str) -> None:
    doctor.engine(info, buildx=buildx)
    found = doctor()
    assert found.code == 1
    assert told in found.out


def test_a_legacy_builder_is_enough_for_its_own_architecture(doctor: Doctor) -> None:
    doctor.engine("echo aarch64", buildx=False)
    assert doctor().code == 0


@pytest.mark.parametrize(
    ("setting", "others", "told"),
    [
        ("reserved_concurrency = 950", 0, "needs 950 executions at once; of this account's 1000, 1000 are not"),
        ("reserved_concurrency = 10", 895, "needs 10 executions at once; of this account's 1000, 105 are not reserved"),
        pytest.param(
            "provisioned_concurrency = { executions = 500 }", 0, "needs 1000 executions at once", marks=PROVISIONED
        ),
    ],
)
def test_a_quota_that_is_too_small(doctor: Doctor, setting: str, others: int, told: str) -> None:
    if others:
        doctor.scene.deploy("--stage", "dev", "--image", doctor.scene.images["old"])
        doctor.scene.aws.client("lambda").put_function_concurrency(
            FunctionName="my-api-dev", ReservedConcurrentExecutions=others
        )
    doctor.scene.configure(setting)
    found = doctor()
    assert found.code == 1
    assert told in found.out
    assert found.out.endswith("\n1 to mend.\n")


def test_a_new_account(doctor: Doctor) -> None:
    doctor.scene.aws.lambda_state().account_concurrency = 10
    found = doctor()
    assert found.code == 1
    assert "This account runs 10 requests at once" in found.out


def test_a_secret_without_a_value(doctor: Doctor) -> None:
    doctor.scene.configure('secrets = ["API_KEY"]')
    found = doctor()
    assert found.code == 1
    assert "PROBLEM  secrets: deploy.toml lists the secret API_KEY, which has no value" in found.out


def test_an_address_that_nobody_has_confirmed(doctor: Doctor) -> None:
    doctor.scene.configure('alarm_email = "ops@example.com"')
    doctor.scene.release("old")
    found = doctor()
    assert found.code == 1
    assert "ops@example.com has not been confirmed" in found.out


def subnet(scene: Scene) -> tuple[str, str]:
    """A network and a subnet in it that leads nowhere, in which the service is to run."""
    vpc, made = make_subnet(scene.aws.client("ec2"))
    scene.configure(f'vpc = {{subnet_ids = ["{made}"], security_group_ids = ["sg-1"]}}')
    return vpc, made


@in_a_vpc
def test_a_network_without_a_way_to_the_secrets(doctor: Doctor) -> None:
    ec2 = doctor.scene.aws.client("ec2")
    vpc, private = subnet(doctor.scene)
    found = doctor()
    assert found.code == 1
    assert f"Nothing leads from {private} to com.amazonaws.us-east-1." in found.out

    public = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_nat_gateway(SubnetId=public)["NatGateway"]["NatGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=private)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
    assert doctor().code == 0


@in_a_vpc
@pytest.mark.parametrize(
    "service",
    ["ssm", pytest.param("secretsmanager", marks=pytest.mark.answers(secrets="secrets_manager"))],
)
def test_an_endpoint_is_a_way_too(doctor: Doctor, service: str) -> None:
    vpc, private = subnet(doctor.scene)
    doctor.scene.aws.client("ec2").create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.us-east-1.{service}",
        VpcEndpointType="Interface",
        SubnetIds=[private],
    )
    assert doctor().code == 0

"""Test the command `doctor`: it finds what would make a deploy fail, and says how to fix it."""

import os
from pathlib import Path

import pytest

from scripts.deploy_tool import Run
from tests.support.deployed_stage import DeployedStage
from tests.support.subnets import make_subnet

DOCKER = """#!/bin/sh
case "$1 $2" in
    build*) {build} ;;
    "image inspect") echo '[{{"Architecture": "{architecture}"}}]' ;;
esac
"""
NO_ENGINE = "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock"
NO_BUILDX = "ERROR: BuildKit is enabled but the buildx component is missing or broken."
PROVISIONED = pytest.mark.answers(cold_starts="provisioned_concurrency")
QUOTA = "Service Quotas, AWS Lambda, Concurrent executions.\n"


class Doctor:
    """Runs `doctor` with a docker command that behaves as a test needs it."""

    def __init__(self, stage: DeployedStage, folder: Path) -> None:
        self.stage = stage
        self._docker = folder / "docker"
        self.set_engine()

    def set_engine(self, *, error: str = "", architecture: str = "arm64") -> None:
        """Let `docker build` fail with this error, or build an image for this architecture."""
        build = f"echo '{error}' >&2; exit 1" if error else "exit 0"
        self._docker.write_text(DOCKER.format(build=build, architecture=architecture), encoding="utf-8")
        self._docker.chmod(0o755)

    def run(self) -> Run:
        return self.stage.deploy("doctor")

    def report_one_problem(self) -> str:
        """Run it and return the output, which must contain exactly one problem."""
        run = self.run()
        assert run.code == 1, run.out
        assert run.out.endswith("\n1 problem found.\n")
        assert run.out.count("PROBLEM  ") == 1
        return run.out


@pytest.fixture
def doctor(stage: DeployedStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return Doctor(stage, tmp_path)


def test_no_problems_are_found_before_the_first_deploy(doctor: Doctor) -> None:
    run = doctor.run()
    assert run.code == 0
    assert "ok       container engine: docker builds for arm64\n" in run.out
    assert "ok       credentials: arn:aws:" in run.out
    assert "ok       network: no VPC\n" in run.out
    assert "ok       concurrency: 1000 concurrent executions in this account, 1000 of them not reserved\n" in run.out
    assert run.out.endswith("\nNo problems found.\n")
    assert doctor.stage.mutations == []


@pytest.mark.parametrize("error", [NO_ENGINE, NO_BUILDX])
def test_an_engine_that_cannot_build_is_a_problem_with_its_own_message(doctor: Doctor, error: str) -> None:
    doctor.set_engine(error=error)
    assert doctor.report_one_problem().splitlines()[1:4] == [
        "PROBLEM  container engine: docker build failed.",
        f"         {error}",
        "         Fix the error that docker reports above. --debug shows its complete output.",
    ]


def test_an_engine_that_builds_for_another_architecture_is_a_problem(doctor: Doctor) -> None:
    doctor.set_engine(architecture="amd64")
    assert (
        "PROBLEM  container engine: Docker built the image for amd64 instead of arm64.\n"
        "         Install Docker's buildx plugin, or set architecture in deploy.toml to that of this machine.\n"
    ) in doctor.report_one_problem()


def test_other_checks_are_skipped_without_credentials(doctor: Doctor) -> None:
    doctor.stage.aws.deny("sts:GetCallerIdentity")
    output = doctor.report_one_problem()
    assert "PROBLEM  credentials: AWS denied GetCallerIdentity: " in output
    assert output.endswith("         Skipping the remaining checks: they need AWS credentials.\n1 problem found.\n")


@pytest.mark.parametrize(
    ("setting", "reserved_elsewhere", "needed", "unreserved"),
    [
        ("reserved_concurrency = 950", 0, 950, 1000),
        ("reserved_concurrency = 10", 895, 10, 105),
        pytest.param("provisioned_concurrency = { executions = 500 }", 0, 1000, 1000, marks=PROVISIONED),
    ],
)
def test_a_quota_that_is_too_small_is_a_problem(
    doctor: Doctor, setting: str, reserved_elsewhere: int, needed: int, unreserved: int
) -> None:
    if reserved_elsewhere:
        doctor.stage.deploy("--stage", "dev", "--image", doctor.stage.images["old"])
        doctor.stage.aws.client("lambda").put_function_concurrency(
            FunctionName="my-api-dev", ReservedConcurrentExecutions=reserved_elsewhere
        )
    doctor.stage.configure(setting)
    assert (
        f"PROBLEM  concurrency: deploy.toml needs {needed} concurrent executions. {unreserved} of this account's 1000 "
        "are not reserved, and 100 of them must stay unreserved.\n"
        f"         Lower the number in deploy.toml, or request more: {QUOTA}"
    ) in doctor.report_one_problem()


def test_the_small_quota_of_a_new_account_is_a_problem(doctor: Doctor) -> None:
    doctor.stage.aws.lambda_state().account_concurrency = 10
    assert (
        "PROBLEM  concurrency: This account can run only 10 concurrent executions of all functions together.\n"
        f"         Request more: {QUOTA}"
    ) in doctor.report_one_problem()


def test_a_secret_without_a_value_is_a_problem(doctor: Doctor) -> None:
    doctor.stage.configure('secrets = ["API_KEY"]')
    assert (
        "PROBLEM  secrets: The secret API_KEY, listed in deploy.toml, has no value in stage prod.\n"
        "         Set it: ./deploy.sh --stage prod secret set API_KEY\n"
    ) in doctor.report_one_problem()


def test_an_email_address_that_is_not_confirmed_is_a_problem(doctor: Doctor) -> None:
    doctor.stage.configure('alarm_email = "ops@example.com"')
    doctor.stage.release("old")
    assert (
        "PROBLEM  alarm_email: ops@example.com has not been confirmed, so AWS sends nothing to it.\n"
        "         Follow the link in AWS's e-mail."
    ) in doctor.report_one_problem()


def connect_to_private_subnet(stage: DeployedStage) -> tuple[str, str]:
    """Configure a new subnet without any route, and return the IDs of its VPC and of the subnet."""
    vpc, subnet = make_subnet(stage.aws.client("ec2"))
    stage.configure(f'vpc = {{subnet_ids = ["{subnet}"], security_group_ids = ["{security_group(stage, vpc)}"]}}')
    return vpc, subnet


def security_group(stage: DeployedStage, vpc: str) -> str:
    """Return the ID of the default security group of a VPC."""
    in_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    groups = stage.aws.client("ec2").describe_security_groups(Filters=in_vpc)["SecurityGroups"]
    return str(groups[0]["GroupId"])


@pytest.mark.parametrize(
    ("subnets", "group", "problem"),
    [
        ('"subnet-0123"', None, "subnet-0123 does not exist in us-east-1.\n         Correct vpc.subnet_ids"),
        (None, "sg-0123", "sg-0123 does not exist in us-east-1.\n         Correct vpc.security_group_ids"),
    ],
)
def test_a_subnet_or_security_group_that_does_not_exist_is_a_problem(
    doctor: Doctor, subnets: str | None, group: str | None, problem: str
) -> None:
    vpc, subnet = connect_to_private_subnet(doctor.stage)
    subnets, group = subnets or f'"{subnet}"', group or security_group(doctor.stage, vpc)
    doctor.stage.configure(f'vpc = {{subnet_ids = [{subnets}], security_group_ids = ["{group}"]}}')
    assert f"PROBLEM  network: {problem} in deploy.toml.\n" in doctor.report_one_problem()


def test_a_security_group_of_another_vpc_is_a_problem(doctor: Doctor) -> None:
    _, subnet = connect_to_private_subnet(doctor.stage)
    other = doctor.stage.aws.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = security_group(doctor.stage, other)
    doctor.stage.configure(f'vpc = {{subnet_ids = ["{subnet}"], security_group_ids = ["{group}"]}}')
    problem = doctor.report_one_problem()
    assert "PROBLEM  network: The subnets and security groups belong to several VPCs.\n" in problem


SECRET_STORES = pytest.mark.parametrize(
    "service",
    ["ssm", pytest.param("secretsmanager", marks=pytest.mark.answers(secrets="secrets_manager"))],
)


@SECRET_STORES
def test_a_subnet_without_a_route_to_the_secrets_is_a_problem(doctor: Doctor, service: str) -> None:
    ec2 = doctor.stage.aws.client("ec2")
    vpc, private = connect_to_private_subnet(doctor.stage)
    assert (
        f"PROBLEM  network: No route leads from {private} to com.amazonaws.us-east-1.{service}. "
        "An internet gateway does not serve functions.\n"
        "         Add a route through a NAT gateway, or an interface endpoint for that service with private DNS.\n"
    ) in doctor.report_one_problem()

    public = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_nat_gateway(SubnetId=public)["NatGateway"]["NatGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=private)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
    run = doctor.run()
    assert run.code == 0
    assert "ok       network: a gateway leads to AWS\n" in run.out


def test_a_gateway_for_other_addresses_does_not_lead_to_the_secrets(doctor: Doctor) -> None:
    ec2 = doctor.stage.aws.client("ec2")
    vpc, private = connect_to_private_subnet(doctor.stage)
    gateway = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=private)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", TransitGatewayId=gateway)
    assert f"PROBLEM  network: No route leads from {private} to " in doctor.report_one_problem()


@SECRET_STORES
def test_an_interface_endpoint_leads_to_the_secrets(doctor: Doctor, service: str) -> None:
    vpc, private = connect_to_private_subnet(doctor.stage)
    name = f"com.amazonaws.us-east-1.{service}"
    doctor.stage.aws.client("ec2").create_vpc_endpoint(
        VpcId=vpc, ServiceName=name, VpcEndpointType="Interface", SubnetIds=[private]
    )
    run = doctor.run()
    assert run.code == 0
    assert f"ok       network: an interface endpoint leads to {name}\n" in run.out

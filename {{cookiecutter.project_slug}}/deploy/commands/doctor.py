"""./deploy.sh doctor: look for what would keep a deploy from working, and say how to mend it."""

from __future__ import annotations

import shutil
import subprocess
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

{% if cookiecutter.endpoint == 'http_api' %}
from deploy import dns
{% endif %}
from deploy.aws import Aws, explain
from deploy.config import Service
{% if cookiecutter.endpoint == 'http_api' %}
from deploy.dns import HostedZone
{% endif %}
from deploy.image import DOCKER_ARCHITECTURE
from deploy.problem import Problem
from deploy.release import live
from deploy.resources import Stack
from deploy.secrets import secrets_changed

NEW_ACCOUNT = 10  # at once, for an account that is new; others have 1,000
ALWAYS_FREE = 100  # no function may reserve the last ones (the Lambda guide: configuration-concurrency.html)


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None: ...


def run(service: Service, aws: Aws, given: Namespace) -> int:
    """The exit code: 1 when something was found."""
    print(f"{service.name} · {service.stage} · {service.region}")
    found = 0
    for name, check in CHECKS.items():
        try:
            print(f"ok       {name}: {check(service, aws)}")
        except (BotoCoreError, ClientError, Problem) as error:
            problem = error if isinstance(error, Problem) else explain(error)
            print(f"PROBLEM  {name}: {problem.what}\n         {problem.fix}")
            found += 1
            if check is credentials:
                print("         What is left to look for needs them.")
                break
    print(f"{found} to mend." if found else "Nothing to mend.")
    return 1 if found else 0


def docker(service: Service, aws: Aws) -> str:
    if not shutil.which("docker"):
        raise Problem("Docker is not installed.", "Install Docker, or deploy images built elsewhere with --image.")
    told = subprocess.run(["docker", "info", "--format", "{% raw %}{{.Architecture}}{% endraw %}"], capture_output=True, text=True)
    if told.returncode:
        raise Problem("Docker is installed, but its engine does not answer.", "Start Docker.")
    here = {"aarch64": "arm64"}.get(machine := told.stdout.strip(), machine)
    buildx = subprocess.run(["docker", "buildx", "version"], capture_output=True).returncode == 0
    if not buildx and here not in (service.architecture, DOCKER_ARCHITECTURE[service.architecture]):
        raise Problem(
            f"This engine builds for {here} only, and deploy.toml says {service.architecture}.",
            "Install Docker's buildx plugin.",
        )
    return f"builds for {service.architecture}"


def credentials(service: Service, aws: Aws) -> str:
    return aws.sts.get_caller_identity()["Arn"]


def concurrency(service: Service, aws: Aws) -> str:
    limit = aws.lambda_.get_account_settings()["AccountLimit"]
    total, free = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
    now = (Stack(service, aws).function.read() or {}).get("ReservedConcurrentExecutions") or 0
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}
    needed = max(service.reserved_concurrency or 0, 2 * service.provisioned_concurrency.most)
{% else %}
    needed = service.reserved_concurrency or 0
{% endif %}
    kept = min(ALWAYS_FREE, total)
    if needed and needed > free + now - kept:
        raise Problem(
            f"deploy.toml needs {needed} executions at once; of this account's {total}, {free + now} are not reserved, "
            f"and {kept} of them must stay free.",
            "Lower the number in deploy.toml, or ask for more: Service Quotas, AWS Lambda, Concurrent executions.",
        )
    if total <= NEW_ACCOUNT:
        raise Problem(
            f"This account runs {total} requests at once, all functions together.",
            "Ask for more: Service Quotas, AWS Lambda, Concurrent executions.",
        )
    return f"{total} requests at once in this account, {free} of them not reserved"


def secrets(service: Service, aws: Aws) -> str:
    if service.secrets:
        secrets_changed(service, Stack(service, aws).secrets.known())
    return f"{len(service.secrets)} in deploy.toml, each has a value"


{% if cookiecutter.migrations == 'alembic' %}
def network(service: Service, aws: Aws) -> str:
    """A function in a VPC has no internet: where nothing leads to its secrets, its cold start ends in a time-out."""
    if service.vpc is None:
        return "no VPC"
{% if cookiecutter.secrets == 'ssm' %}
    wanted = f"com.amazonaws.{service.region}.ssm"
{% else %}
    wanted = f"com.amazonaws.{service.region}.secretsmanager"
{% endif %}
    subnets = aws.ec2.describe_subnets(SubnetIds=service.vpc.subnet_ids)["Subnets"]
    vpc = [{"Name": "vpc-id", "Values": [subnets[0]["VpcId"]]}]
    endpoints = aws.ec2.describe_vpc_endpoints(Filters=vpc)["VpcEndpoints"]
    if any(one["ServiceName"] == wanted and one["State"].lower() == "available" for one in endpoints):
        return f"an endpoint leads to {wanted}"
    tables = aws.ec2.describe_route_tables(Filters=vpc)["RouteTables"]
    for subnet in service.vpc.subnet_ids:
        own = [table for table in tables if any(one.get("SubnetId") == subnet for one in table["Associations"])]
        main = [table for table in tables if any(one.get("Main") for one in table["Associations"])]
        routes = [route for table in (own or main) for route in table["Routes"]]
        if not any(route.keys() & {"NatGatewayId", "TransitGatewayId", "NetworkInterfaceId"} for route in routes):
            raise Problem(
                f"Nothing leads from {subnet} to {wanted}: an internet gateway does not serve functions.",
                "Route it through a NAT gateway, or make an interface endpoint for that service with private DNS.",
            )
    return "a gateway leads to AWS"


{% endif %}
{% if cookiecutter.endpoint == 'http_api' %}
def domain(service: Service, aws: Aws) -> str:
    if service.domain is None:
        return "none"
    if not service.domain.hosted_zone:
        return f"{service.domain.name}, with its DNS elsewhere"
    zone = HostedZone(aws, service.domain.hosted_zone)
    if not zone.is_delegated(dns.name_servers(service.domain.hosted_zone)):
        raise Problem(
            f"{service.domain.hosted_zone} is not delegated to Route 53.",
            f"Where it is registered, set its name servers to: {', '.join(sorted(zone.name_servers))}",
        )
    return f"{service.domain.name}, delegated to Route 53"


{% endif %}
def alarm_email(service: Service, aws: Aws) -> str:
    if not service.alarm_email:
        return "none: nobody is told of errors"
    stack = Stack(service, aws)
    if live(stack.function) and not stack.topic.confirmed():
        raise Problem(
            f"{service.alarm_email} has not been confirmed, so AWS sends nothing there.",
            "Follow the link in AWS's mail; to have it sent again, run ./deploy.sh after three days.",
        )
    return service.alarm_email


CHECKS: dict[str, Callable[[Service, Aws], str]] = {
    "docker": docker,
    "credentials": credentials,
    "concurrency": concurrency,
    "secrets": secrets,
{% if cookiecutter.migrations == 'alembic' %}
    "network": network,
{% endif %}
{% if cookiecutter.endpoint == 'http_api' %}
    "domain": domain,
{% endif %}
    "alarm_email": alarm_email,
}
